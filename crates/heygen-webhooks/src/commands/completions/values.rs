//! The values that completions offer beside those that the command line defines: event names, and what is in the inbox.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use heygen_events::EventType;
use heygen_inbox::sqlite::{RejectedFile, rejected_path};
use heygen_inbox::{DeliverySummary, InboxAdmin as _, Query};

use crate::failure::Failure;
use crate::output::tame;
use crate::process::environment;
use crate::settings::file::File;
use crate::settings::location::of_serve;
use crate::settings::when;
use crate::store;
use crate::store::location::InboxLocation;
use crate::store::nats::Nats;

pub(super) fn completed(command: Command) -> Command {
    command
        .mut_subcommand("inbox", |inbox| {
            inbox
                .mut_subcommands(|command| command.mut_args(of_inbox))
                .mut_subcommand("rejected", |rejected| {
                    rejected.mut_subcommands(|command| {
                        command.mut_args(|arg| candidates_if(is_id(&arg), arg, rejected_ids))
                    })
                })
        })
        .mut_subcommands(with_event_names)
}

fn with_event_names(command: Command) -> Command {
    let is_schema = command.get_name() == "schema";
    command
        .mut_args(|arg| {
            let is_name = is_named(&arg, "EVENT_TYPE")
                || is_named(&arg, "EVENT_TYPES")
                || is_schema && is_named(&arg, "NAME");
            let arg = candidates_if(is_name, arg, move || event_names(is_schema));
            candidates_if(arg.get_long() == Some("on"), arg, rules)
        })
        .mut_subcommands(with_event_names)
}

fn of_inbox(arg: Arg) -> Arg {
    match (arg.get_long(), is_id(&arg)) {
        (Some("subject"), _) => candidates_if(true, arg, subjects),
        (_, is_id) => candidates_if(is_id, arg, delivery_ids),
    }
}

fn candidates_if(
    condition: bool,
    arg: Arg,
    candidates: impl Fn() -> Vec<CompletionCandidate> + Send + Sync + 'static,
) -> Arg {
    match condition {
        true => arg.add(ArgValueCandidates::new(candidates)),
        false => arg,
    }
}

fn is_id(arg: &Arg) -> bool {
    arg.is_positional() && is_named(arg, "ID")
}

fn is_named(arg: &Arg, name: &str) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().any(|found| found.as_str() == name)
}

fn event_names(is_schema: bool) -> Vec<CompletionCandidate> {
    let names = EventType::KNOWN.iter().map(EventType::as_str);
    let others = if is_schema {
        &["any", "body", "index", "openapi"][..]
    } else {
        &[]
    };
    names
        .chain(others.iter().copied())
        .map(CompletionCandidate::new)
        .collect()
}

fn rules() -> Vec<CompletionCandidate> {
    let names = EventType::KNOWN.iter();
    names
        .map(|name| CompletionCandidate::new(format!("{name}=")))
        .collect()
}

fn delivery_ids() -> Vec<CompletionCandidate> {
    let deliveries = deliveries().unwrap_or_default().into_iter();
    let candidates = deliveries.map(|delivery| {
        let name = tame(delivery.event_type.as_deref().unwrap_or("(unreadable)"));
        let help = format!(
            "{name}, {}, {}",
            delivery.state,
            when::short(delivery.received_at)
        );
        CompletionCandidate::new(delivery.id.to_string()).help(Some(help.into()))
    });
    candidates.collect()
}

fn subjects() -> Vec<CompletionCandidate> {
    let deliveries = deliveries().unwrap_or_default();
    let subjects: BTreeSet<_> = deliveries
        .into_iter()
        .filter_map(|it| it.subject_id)
        .filter(|subject| is_plain(subject))
        .collect();
    subjects.into_iter().map(CompletionCandidate::new).collect()
}

/// Whether a shell takes it as it is. The sender of a delivery chooses its subject, and bash inserts what is offered
/// without quotes: `$(…)` would run when the line does.
fn is_plain(subject: &str) -> bool {
    let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !subject.is_empty() && !subject.starts_with('-') && subject.bytes().all(is_harmless)
}

/// The newest deliveries of an inbox in a file; servers may take too long to answer.
fn deliveries() -> Result<Vec<DeliverySummary>, Failure> {
    let location = location()?;
    if !matches!(&location, InboxLocation::File(path) if path.exists()) {
        return Ok(Vec::new());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let deliveries = runtime.block_on(async {
        let inbox = store::open_existing(&location, &Nats::default()).await?;
        inbox.list(Query::default().limit(MOST)).await
    });
    Ok(deliveries?)
}

fn rejected_ids() -> Vec<CompletionCandidate> {
    let list = || {
        let file = RejectedFile::open(&rejected_path(&location()?.beside()))?;
        Ok::<_, Failure>(file.map(|file| file.list(Some(MOST))).transpose()?)
    };
    let rejected = list().ok().flatten().unwrap_or_default().into_iter();
    let candidates = rejected.map(|it| {
        let help = format!("{}, {}", it.reason, when::short(it.last_at));
        CompletionCandidate::new(it.id.to_string()).help(Some(help.into()))
    });
    candidates.collect()
}

/// The inbox that the line names so far, else that of `serve`.
fn location() -> Result<InboxLocation, Failure> {
    if let Some(inbox) = typed("--inbox") {
        return InboxLocation::read(inbox);
    }
    let config = typed("--config");
    let config =
        config.or_else(|| environment::variable("HEYGEN_WEBHOOKS_CONFIG").map(PathBuf::from));
    of_serve(&File::of(config.as_deref())?)
}

/// The value of an option on the line that is being completed.
fn typed(option: &str) -> Option<PathBuf> {
    let words: Vec<_> = env::args_os().skip_while(|word| word != "--").collect();
    let mut pairs = words.windows(2);
    let value = pairs
        .find(|pair| pair[0] == option)
        .map(|pair| pair[1].clone());
    let joined = || {
        let mut words = words.iter().filter_map(|word| word.to_str());
        words.find_map(|word| Some(word.strip_prefix(option)?.strip_prefix('=')?.into()))
    };
    value.or_else(joined).map(PathBuf::from)
}

/// More would not be read.
const MOST: usize = 100;
