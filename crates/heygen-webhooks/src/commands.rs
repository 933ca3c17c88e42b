//! The commands, a file each.

use crate::cli::{Command, Endpoints, Inbox, Rejected};
use crate::failure::Failure;
use crate::output::notice;
use crate::settings::when;

pub(crate) mod completions;

mod backfill;
mod body;
mod config;
mod confirm;
mod dashboard;
mod dev;
mod doctor;
mod drill;
mod endpoints;
mod event_types;
mod events;
mod health;
mod inbox;
mod man;
mod management;
mod progress;
mod prose;
mod sandbox;
mod schema;
mod secrets;
mod serve;
mod trigger;
mod work;

pub(crate) fn run(command: Command) -> Result<(), Failure> {
    let keeps_log = matches!(
        command,
        Command::Serve(_)
            | Command::Work(_)
            | Command::Dev(_)
            | Command::Dashboard(_)
            | Command::Sandbox(_)
    );
    if !keeps_log {
        notice::to_stderr();
    }
    let shows_times = !matches!(
        command,
        Command::Trigger(_)
            | Command::Inspect(_)
            | Command::Verify(_)
            | Command::Config(_)
            | Command::Health(_)
            | Command::Drill(_)
            | Command::EventTypes(_)
            | Command::Schema(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Nats(_)
    );
    if shows_times {
        // Also where nothing turns out to be shown: what is missing is said at the start.
        when::zone();
    }
    let only_shows = only_shows(&command);
    let ended = match command {
        Command::Serve(options) => serve::run(&options),
        Command::Work(options) => work::run(&options),
        Command::Dev(options) => dev::run(&options),
        Command::Trigger(options) => trigger::run(&options),
        Command::Inspect(options) => body::inspect(&options),
        Command::Verify(options) => body::verify(&options),
        Command::Inbox(options) => inbox::run(&options),
        Command::Dashboard(options) => dashboard::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Config(options) => config::run(&options),
        Command::Health(options) => health::run(&options),
        Command::Drill(options) => drill::run(&options),
        Command::Sandbox(options) => sandbox::run(&options),
        Command::Endpoints(options) => endpoints::run(&options),
        Command::Secrets(options) => secrets::run(&options),
        Command::EventTypes(options) => event_types::run(&options),
        Command::Events(options) => events::run(&options),
        Command::Backfill(options) => backfill::run(&options),
        Command::Schema(options) => schema::run(&options),
        Command::Completions(options) => completions::run(&options),
        Command::Man(options) => man::run(&options),
        Command::Nats(_) => man::nats(),
    };
    match ended {
        // As with `head`: the reader has seen enough.
        Err(Failure::NobodyListens) if only_shows => Ok(()),
        ended => ended,
    }
}

/// Whether it changes nothing, and its exit status tells nothing of what it shows.
fn only_shows(command: &Command) -> bool {
    match command {
        Command::Inbox(inbox) => matches!(
            inbox,
            Inbox::List(_)
                | Inbox::Show(_)
                | Inbox::Attempts(_)
                | Inbox::Tail(_)
                | Inbox::Stats(_)
                | Inbox::Drift(_)
                | Inbox::Rejected(Rejected::List(_) | Rejected::Show(_))
        ),
        Command::Endpoints(endpoints) => matches!(endpoints, Endpoints::List(_)),
        Command::Config(_)
        | Command::EventTypes(_)
        | Command::Events(_)
        | Command::Schema(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Nats(_) => true,
        _ => false,
    }
}
