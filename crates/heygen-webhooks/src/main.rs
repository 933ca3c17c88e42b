//! The `heygen-webhooks` program: every capability of the crates as a subcommand. It parses, wires and prints.

use std::process::ExitCode;

mod api;
mod backfill;
mod cli;
mod commands;
mod dispatch;
mod failure;
mod output;
mod process;
mod secrets;
mod server;
mod settings;
mod store;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(code) = commands::completions::answered() {
        output::stderr::flush();
        return code;
    }
    let code = match cli::parse() {
        Ok(command) => run(command),
        Err(code) => code,
    };
    output::stderr::flush();
    process::signals::wait_if_second_signal_ends_us();
    code
}

fn run(command: cli::Command) -> ExitCode {
    #[cfg(unix)]
    if command.starts_programs()
        && let Some(status) = process::init::run()
    {
        return status;
    }
    #[cfg(unix)]
    process::activation::take_over();
    process::descriptors::raise();
    match commands::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
