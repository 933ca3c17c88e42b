//! The `heygen-webhooks` program: every capability of the crates as a subcommand. It parses, wires and prints.

use std::process::ExitCode;

mod address;
mod api;
mod backfill;
mod cli;
mod command;
mod config;
mod descriptors;
mod environment;
mod event_name;
mod failure;
mod forward_secret;
mod handing_out;
#[cfg(unix)]
mod init;
mod input;
mod lines;
mod logging;
mod nats;
mod nearest;
mod new_file;
mod notice;
mod origin;
mod output;
mod overlap;
mod place;
mod places;
mod printer;
mod private_file;
mod program;
mod rejected;
mod rule;
mod secret;
mod secret_store;
mod sending;
mod signals;
mod span;
mod store;
mod tasks;
mod view;
mod web;
mod web_address;
mod when;
mod work;
mod written;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let code = match cli::parse() {
        Ok(command) => run(command),
        Err(code) => code,
    };
    logging::flush();
    signals::leave_the_end_to_a_second();
    code
}

fn run(command: cli::Command) -> ExitCode {
    #[cfg(unix)]
    if command.starts_programs()
        && let Some(status) = init::run()
    {
        return status;
    }
    descriptors::raise();
    match command::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
