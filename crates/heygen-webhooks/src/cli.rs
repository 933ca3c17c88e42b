//! The command line: the commands and their options. What a command does is in `commands`.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are printed as help, where a backtick would only be in the way"
)]

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::output::notice;
use crate::output::stderr;
use crate::process::environment;
use crate::settings::origin;

mod backfill;
mod body;
mod config;
mod dashboard;
mod dev;
mod doctor;
mod drill;
mod health;
pub(crate) mod help;
mod inbox;
mod management;
mod nats;
mod number;
mod program;
mod sandbox;
mod screen;
mod secrets;
mod serve;
mod suggestion;
mod trigger;
mod work;

pub(crate) use backfill::Backfill;
pub(crate) use body::{Inspect, Verify};
pub(crate) use config::{Config, ShowConfig};
pub(crate) use dashboard::Dashboard;
pub(crate) use dev::Dev;
pub(crate) use doctor::Doctor;
pub(crate) use drill::Drill;
pub(crate) use health::Health;
pub(crate) use inbox::{
    Attempts, Backup, ChangeByHand, Check, Drift, Export, Format, Import, Inbox, List,
    ListRejected, Prune, Rejected, RejectedId, Replay, Reverify, Selection, Show, ShowRejected,
    Stats, Tail,
};
pub(crate) use management::{
    Connection, CreateEndpoint, DeleteEndpoint, Endpoints, EventTypes, Events, ListEndpoints,
    RotateSecret, UpdateEndpoint,
};
pub(crate) use nats::NatsPage;
pub(crate) use program::{Completions, Man, Schema};
pub(crate) use sandbox::Sandbox;
pub(crate) use secrets::{ForwardSecret, Secrets};
pub(crate) use serve::Serve;
pub(crate) use trigger::Trigger;
pub(crate) use work::Work;

/// Parses the process's arguments; errors have been printed when it returns.
pub(crate) fn parse() -> Result<Command, ExitCode> {
    screen::choose_color();
    let definition = environment::prepared(definition());
    let parsed = definition.clone().try_get_matches().and_then(|matches| {
        origin::remember(&definition, &matches);
        screen::apply(&matches);
        if let Some(warning) = suggestion::options_after_exec(&definition, &matches) {
            notice::warn(warning);
        }
        Cli::from_arg_matches(&matches)
    });
    match parsed {
        Ok(cli) => {
            environment::warn_of_unknown(&self::definition());
            Ok(cli.command)
        }
        Err(mut error) => {
            let words: Vec<_> = arguments().skip(1).collect();
            suggestion::correct(&mut error, &definition, &words);
            let error = number::explained(error, &definition);
            match error.use_stderr() && !io::stderr().is_terminal() {
                true => stderr::say(error.render().to_string()),
                // In colour. A closed pipe, as in `--help | head`, is not a failure.
                false => drop(error.print()),
            }
            for variable in variables_of(&error, &definition) {
                notice::warn(variable);
            }
            notice::to_stderr();
            Err(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)))
        }
    }
}

/// What was typed, to be looked at: an argument need not be text.
fn arguments() -> impl Iterator<Item = String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned())
}

/// The parser names flags only: names the variable of each flag that was not typed.
fn variables_of(error: &clap::Error, definition: &clap::Command) -> Vec<String> {
    let spoken_of = [ContextKind::InvalidArg, ContextKind::PriorArg]
        .into_iter()
        .filter_map(|kind| error.get(kind))
        .flat_map(|value| match value {
            ContextValue::String(text) => vec![text.clone()],
            ContextValue::Strings(texts) => texts.clone(),
            _ => Vec::new(),
        });
    let mut found = Vec::new();
    for spoken_of in spoken_of {
        let flag = spoken_of.split([' ', '=', '[']).next().unwrap_or_default();
        let is_written =
            arguments().any(|argument| argument.split('=').next().unwrap_or_default() == flag);
        let variable = variable_of(definition, flag.trim_start_matches('-'));
        let variable = variable.filter(|name| environment::variable(name).is_some());
        if let (false, Some(variable)) = (is_written, variable) {
            found.push(format!("{flag} is set by the variable {variable}"));
        }
    }
    found
}

fn variable_of(definition: &clap::Command, long: &str) -> Option<String> {
    let options = environment::arguments(definition).into_iter();
    let mut options = options.filter(|arg| arg.get_long() == Some(long));
    let name = options.find_map(clap::Arg::get_env)?;
    Some(name.to_string_lossy().into_owned())
}

/// The whole command line, for completions and man pages too.
pub(crate) fn definition() -> clap::Command {
    help::laid_out(screen::with_options(Cli::command()))
}

/// The version, and what else tells which program this is.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    format!(
        "{} ({profile})\ncommit: {}\nbuilt with: SQLite {}, NATS JetStream, TLS by rustls and ring",
        env!("CARGO_PKG_VERSION"),
        option_env!("HEYGEN_WEBHOOKS_COMMIT").unwrap_or("not recorded"),
        heygen_inbox::sqlite::library_version(),
    )
});

/// Receive, store, inspect and test HeyGen webhooks
#[derive(Debug, Parser)]
#[command(
    name = "heygen-webhooks",
    version,
    long_version = VERSION.as_str(),
    max_term_width = 100,
    propagate_version = true
)]
#[command(
    before_help = "Examples:
  See everything work offline, without an account:
  heygen-webhooks serve --sandbox

  Receive, and send a signed sample from another terminal:
  HEYGEN_WEBHOOK_SECRET=whsec_test heygen-webhooks serve
  HEYGEN_WEBHOOK_SECRET=whsec_test \\
    heygen-webhooks trigger avatar_video.success
  heygen-webhooks inbox list",
    after_help = "`heygen-webhooks help COMMAND` prints the help of a command; `help nats` explains an inbox shared by \
            several machines.

Exit status: 0 success; 1 failure; 2 wrong usage; 130 or 143 after a second Ctrl-C or SIGTERM."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Box<Serve>),
    Work(Box<Work>),
    Dev(Box<Dev>),
    Trigger(Trigger),
    Inspect(Inspect),
    Verify(Verify),
    #[command(subcommand)]
    Inbox(Inbox),
    Dashboard(Box<Dashboard>),
    Doctor(Box<Doctor>),
    Health(Health),
    #[command(subcommand)]
    Config(Config),
    #[command(subcommand)]
    Endpoints(Endpoints),
    #[command(subcommand)]
    Secrets(Secrets),
    EventTypes(EventTypes),
    Events(Events),
    Backfill(Backfill),
    Sandbox(Sandbox),
    Drill(Drill),
    Schema(Schema),
    Completions(Completions),
    Man(Man),
    #[command(name = help::NATS, hide = true)]
    Nats(Box<NatsPage>),
}

impl Command {
    /// Whether it runs for long and starts other programs.
    #[cfg(unix)]
    pub(crate) fn starts_programs(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Work(_) | Self::Dev(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn mistyped_variables_are_named() {
        #[track_caller]
        fn check(name: &str, expected: Option<&str>) {
            let warning = environment::warning(name, &definition());
            match (&warning, expected) {
                (None, None) => {}
                (Some(warning), Some(expected)) => assert!(warning.contains(expected), "{warning}"),
                _ => panic!("{name}: {warning:?}"),
            }
        }
        check("HEYGEN_WEBHOOKS_LISTEN", None);
        check("HEYGEN_WEBHOOKS_INBOX", None);
        check("HEYGEN_WEBHOOKS_LISEN", Some("HEYGEN_WEBHOOKS_LISTEN?"));
        check("HEYGEN_WEBHOOK_LISTEN", Some("HEYGEN_WEBHOOKS_LISTEN?"));
        check("HEYGEN_WEBHOOKS_SECRET", Some("HEYGEN_WEBHOOK_SECRET?"));
        check("HEYGEN_WEBHOOKS_ORDERED", Some("--ordered has no variable"));
        check(
            "HEYGEN_WEBHOOKS_COLOUR_OF_LOG",
            Some("the closest known one is HEYGEN_WEBHOOKS_"),
        );
        check("HEYGEN_APIKEY", Some("HEYGEN_API_KEY?"));
        check("HEYGEN_AVATAR_OF_THE_YEAR", None);
        check("HEYGEN_EVENT_TYPE", None);
        check("HEYGEN_DEAD_LETTER_REASON", None);
        check("HEYGEN_WEBHOOKS_BIN", None);
        check("PATH", None);
    }
}
