//! The inbox: its last delivery, its backlog and its dead letters.

use std::time::{Duration, SystemTime};

use heygen_inbox::{
    Attempt, AttemptOutcome, BoxInbox, DeliverySummary, InboxAdmin as _, InboxError,
    InboxErrorKind, Query, State,
};

use super::filesystem;
use super::finding::{Finding, all_skipped};
use super::sample;
use crate::failure::LET_US_IN;
use crate::failure::error_chain;
use crate::output;
use crate::settings::when;
use crate::store::location::InboxLocation;
use crate::store::nats::Nats;
use crate::store::{open_existing, open_to_others};

/// Opening blocks for as long as the disk takes.
pub(super) async fn findings(location: &InboxLocation, nats: &Nats) -> Vec<Finding> {
    let filesystem = filesystem::finding(location);
    if !location.may_exist() {
        let missing = Finding::warn(
            "inbox",
            format!("no inbox at {location}"),
            "start `serve` to create it, or name the receiver's inbox with --inbox; the inbox of another machine cannot be checked",
        );
        return with_rest(missing, filesystem, "there is no inbox here");
    }
    let inbox = match open_existing(location, nats).await {
        Ok(inbox) => inbox,
        Err(error) => {
            return with_rest(unreadable(location, &error), filesystem, CANNOT_BE_READ);
        }
    };
    match read(&inbox).await {
        Ok((last, backlog)) => {
            let what = match location {
                InboxLocation::File(_) => format!("{location}, in a format this version reads"),
                InboxLocation::Streams(_) => format!("{location}; the servers answer"),
            };
            vec![found(location, what), filesystem, last, backlog]
        }
        Err(error) => with_rest(unreadable(location, &error), filesystem, CANNOT_BE_READ),
    }
}

async fn read(inbox: &BoxInbox) -> Result<(Finding, Finding), InboxError> {
    let newest = inbox.list(Query::default().limit(MOST)).await?;
    let waiting = of_state(inbox, State::Pending).await?;
    let dead = of_state(inbox, State::DeadLettered).await?;
    let last = newest.iter().find(|summary| !is_sample(summary));
    let failure = last_failure(inbox, &waiting).await?;
    let paused = inbox.paused().await?;
    Ok((
        last_delivery(last),
        backlog(&waiting, &dead, paused, failure),
    ))
}

async fn of_state(inbox: &BoxInbox, state: State) -> Result<Vec<DeliverySummary>, InboxError> {
    let mut found = inbox
        .list(Query::default().state(state).limit(MOST))
        .await?;
    found.retain(|summary| !is_sample(summary));
    Ok(found)
}

/// How the last attempt at what waits has failed. Of many that wait only the newest few are looked into.
async fn last_failure(
    inbox: &BoxInbox,
    waiting: &[DeliverySummary],
) -> Result<Option<String>, InboxError> {
    let tried = waiting.iter().filter(|summary| summary.attempts > 0);
    let mut last: Option<Attempt> = None;
    for summary in tried.take(LOOKED_INTO) {
        let stored = inbox.get(summary.id).await?;
        let attempt = stored.and_then(|stored| stored.attempts.into_iter().next_back());
        let started_at = |attempt: &Option<Attempt>| attempt.as_ref().map(|it| it.started_at);
        if started_at(&attempt) > started_at(&last) {
            last = attempt;
        }
    }
    Ok(last
        .filter(|attempt| attempt.result != AttemptOutcome::Acknowledged)
        .map(|attempt| {
            let detail = attempt.detail.as_deref();
            output::joined_lines(detail.unwrap_or("no reason was recorded"))
        }))
}

/// Bodies and links to videos are in there.
fn found(location: &InboxLocation, what: String) -> Finding {
    let open = open_to_others(location);
    match open.is_empty() {
        true => Finding::ok("inbox", what),
        false => Finding::warn(
            "inbox",
            format!("{what}; other users of this machine can read it"),
            "chmod 600 FILE",
        )
        .items(open.iter().map(|path| path.display().to_string())),
    }
}

fn last_delivery(last: Option<&DeliverySummary>) -> Finding {
    const ID: &str = "inbox.last-delivery";
    let Some(last) = last else {
        return Finding::warn(
            ID,
            "no delivery has arrived yet, except samples of this command",
            "nothing to fix if all else is well: one arrives when HeyGen has an event",
        );
    };
    let name = last.event_type.as_deref().unwrap_or("(unreadable)");
    let name = output::tame(name);
    Finding::ok(ID, format!("{name}, {}", when::short(last.received_at)))
}

fn backlog(
    waiting: &[DeliverySummary],
    dead: &[DeliverySummary],
    paused: Option<SystemTime>,
    failure: Option<String>,
) -> Finding {
    const ID: &str = "inbox.backlog";
    let what = format!(
        "{} pending, {} dead-lettered",
        at_least(waiting),
        at_least(dead)
    );
    if let Some(since) = paused {
        let since = when::short(since);
        return Finding::warn(
            ID,
            format!("{what}; dispatch is paused since {since}"),
            "`inbox resume` resumes it",
        );
    }
    if let Some(failure) = failure {
        return Finding::warn(
            ID,
            format!("{what}; the last attempt failed: {failure}"),
            "fix the application that fails; `inbox list --state pending` lists the deliveries, `inbox attempts ID` shows details",
        );
    }
    // Newest first: the last one has waited longest.
    let longest = waiting
        .last()
        .and_then(|oldest| SystemTime::now().duration_since(oldest.received_at).ok());
    if longest.is_some_and(|longest| longest > LONG) {
        let since = waiting.last().map(|oldest| when::short(oldest.received_at));
        let since = since.unwrap_or_default();
        return Finding::warn(
            ID,
            format!("{what}; the oldest since {since}"),
            "check that the receiver runs, and why its handler does not acknowledge: `inbox list --state pending`",
        );
    }
    match dead.is_empty() {
        true => Finding::ok(ID, what),
        false => Finding::warn(
            ID,
            what,
            "see them with `inbox list --state dead_lettered`, and the reason with `inbox show ID`; `inbox replay` dispatches them again",
        ),
    }
}

fn unreadable(location: &InboxLocation, error: &InboxError) -> Finding {
    let fix = match (location, error.kind()) {
        (InboxLocation::File(_), InboxErrorKind::Version) => {
            "use the version of heygen-webhooks that wrote it, or correct --inbox"
        }
        (InboxLocation::File(_), InboxErrorKind::Outdated) => {
            "start `serve` once with this version to upgrade it"
        }
        (InboxLocation::File(_), _) => "check that the file is an inbox and that you may read it",
        (InboxLocation::Streams(_), InboxErrorKind::Access) => LET_US_IN,
        (InboxLocation::Streams(_), InboxErrorKind::Version | InboxErrorKind::Subjects) => {
            "correct --inbox or --nats-subjects"
        }
        (InboxLocation::Streams(_), _) => {
            "check that the servers run and can be reached from here, and that --inbox names the stream of the receiver, which creates it"
        }
    };
    Finding::problem("inbox", error_chain(error), fix)
}

fn with_rest(first: Finding, filesystem: Finding, why: &str) -> Vec<Finding> {
    let mut findings = vec![first, filesystem];
    findings.extend(all_skipped(&IDS[2..], why));
    findings
}

fn is_sample(summary: &DeliverySummary) -> bool {
    summary.event_type.as_deref() == Some(sample::EVENT_TYPE)
}

fn at_least(found: &[DeliverySummary]) -> String {
    match found.len() >= MOST {
        true => format!("{MOST} or more"),
        false => found.len().to_string(),
    }
}

/// How many are read whole for their attempts.
const LOOKED_INTO: usize = 20;

pub(super) const IDS: [&str; 4] = [
    "inbox",
    filesystem::ID,
    "inbox.last-delivery",
    "inbox.backlog",
];

const CANNOT_BE_READ: &str = "the inbox cannot be read";

/// More are not counted.
const MOST: usize = 1000;

/// A handler may take its time, and a retry waits; longer than this deserves a look.
const LONG: Duration = Duration::from_secs(15 * 60);
