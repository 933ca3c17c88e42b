//! What the inbox reports about a delivery: [`DeliverySummary`] in a list, [`StoredDelivery`]
//! whole, [`Attempt`] for each try.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use heygen_events::{Outcome, Pattern};
use serde::{Serialize, Serializer};

use crate::delivery::{Header, NewDelivery};
use crate::id::DeliveryId;
use crate::names::impl_names;
use crate::setters::setters;
use crate::source::Source;
use crate::time;

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeliverySummary {
    /// The inbox's own id of the delivery.
    pub id: DeliveryId,
    /// When it was received, by the receiver's clock.
    #[serde(serialize_with = "time::serialize")]
    pub received_at: SystemTime,
    /// The event name; `None` when the body could not be read as an event.
    pub event_type: Option<String>,
    /// The id of what the event is about, if it has one.
    pub subject_id: Option<String>,
    /// What the caller gave when starting the job, if anything.
    pub callback_id: Option<String>,
    /// Whether the event reports a success or a failure; `None` when the body could not be read.
    pub outcome: Option<Outcome>,
    /// Its state.
    pub state: State,
    /// How many attempts were started so far.
    pub attempts: u32,
    /// How it was received.
    pub source: Source,
    /// When it was dead-lettered, while it is.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "time::serialize_option"
    )]
    pub dead_lettered_at: Option<SystemTime>,
}

impl DeliverySummary {
    /// A delivery that was stored under this id, and not claimed yet.
    #[must_use]
    pub fn new(id: DeliveryId, delivery: &NewDelivery) -> Self {
        let label = delivery.label().clone();
        Self {
            id,
            received_at: delivery.received_at(),
            event_type: label.event_type,
            subject_id: label.subject_id,
            callback_id: label.callback_id,
            outcome: label.outcome,
            state: State::Pending,
            attempts: 0,
            source: delivery.source(),
            dead_lettered_at: None,
        }
    }
}

impl StoredDelivery {
    /// A delivery that was stored under this id, and not claimed yet.
    #[must_use]
    pub fn new(id: DeliveryId, delivery: &NewDelivery) -> Self {
        Self {
            summary: DeliverySummary::new(id, delivery),
            due_at: Some(delivery.received_at()),
            event_id: delivery.dedup_key().event_id().map(str::to_owned),
            headers: delivery.headers().to_vec(),
            body: delivery.body().clone(),
            signed: None,
            redeliveries: Redeliveries::default(),
            attempts: Vec::new(),
        }
    }
}

impl SignedPost {
    /// What is stored of the POST.
    #[must_use]
    pub fn new(post: &NewDelivery) -> Self {
        Self {
            received_at: post.received_at(),
            headers: post.headers().to_vec(),
            body: post.body().clone(),
        }
    }
}

/// When the last attempt of a dead-lettered delivery ended.
pub(crate) fn dead_lettered_at(state: State, attempts: &[Attempt]) -> Option<SystemTime> {
    let last = attempts.last().filter(|_| state == State::DeadLettered)?;
    last.started_at.checked_add(last.duration)
}

/// One delivery, whole. In JSON its body is null unless it is UTF-8.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StoredDelivery {
    /// What a list shows. In JSON its fields are flattened.
    #[serde(flatten)]
    pub summary: DeliverySummary,
    /// When its next attempt is due, while it is pending.
    #[serde(serialize_with = "time::serialize_option")]
    pub due_at: Option<SystemTime>,
    /// The `event_id` of the body or, for a POST whose body has none, of the record of HeyGen's log
    /// that it was matched with.
    pub event_id: Option<String>,
    /// The headers of the first time it was received. HeyGen signs none of them.
    pub headers: Vec<Header>,
    /// The bytes received.
    #[serde(serialize_with = "utf8_or_null")]
    pub body: Bytes,
    /// For a record of HeyGen's log: the POST of the same event that was received later, which
    /// HeyGen signed.
    pub signed: Option<SignedPost>,
    /// How often the same event was received again.
    pub redeliveries: Redeliveries,
    /// Every attempt that has ended, oldest first. In JSON: `attempt_list`.
    #[serde(rename = "attempt_list")]
    pub attempts: Vec<Attempt>,
}

/// A POST of an event that was stored from HeyGen's log before. In JSON its body is null unless it
/// is UTF-8.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SignedPost {
    /// When it was received, by the receiver's clock.
    #[serde(serialize_with = "time::serialize")]
    pub received_at: SystemTime,
    /// Its headers. HeyGen signs none of them.
    pub headers: Vec<Header>,
    /// The bytes that HeyGen signed.
    #[serde(serialize_with = "utf8_or_null")]
    pub body: Bytes,
}

/// The same event, received again: a retry, a second endpoint, or a replayed capture of a request.
/// Finding it in HeyGen's log does not count.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Redeliveries {
    /// How many times.
    pub count: u64,
    /// When the last time was.
    #[serde(serialize_with = "time::serialize_option")]
    pub last_at: Option<SystemTime>,
    /// The headers of the last time. HeyGen signs none of them.
    pub last_headers: Vec<Header>,
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// Waiting to be dispatched, now or when due.
    Pending,
    /// Being handled.
    Claimed,
    /// It was being handled when its process ended, and no process serves the inbox: the next one
    /// to start delivers it again. Shown for inboxes in a file; never stored.
    Interrupted,
    /// A handler acknowledged it.
    Acknowledged,
    /// A handler refused it for good, or it failed too often. It is still stored and can be
    /// replayed.
    DeadLettered,
}

impl_names! {
    State, "a state: pending, claimed, interrupted, acknowledged or dead_lettered";
    /// Every state, in the order of a delivery's life.
    ALL: 5;
    /// Its name in lists, JSON and options.
    as_str {
        Pending => "pending",
        Claimed => "claimed",
        Interrupted => "interrupted",
        Acknowledged => "acknowledged",
        DeadLettered => "dead_lettered",
    }
}

/// One attempt that has ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    /// When the handler was called.
    #[serde(serialize_with = "time::serialize")]
    pub started_at: SystemTime,
    /// How long it took. In JSON: `milliseconds`.
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// What it ended with.
    pub result: AttemptOutcome,
    /// The handler's note, if any.
    pub detail: Option<String>,
}

/// The outcome of one attempt.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// Acknowledged; never dispatched again.
    Acknowledged,
    /// Not acknowledged; to be dispatched again.
    Retry,
    /// Refused for good, or failed too often; not dispatched again unless it is replayed.
    DeadLettered,
    /// The process ended during the attempt: it is unknown how far the handler got.
    Interrupted,
}

impl Attempt {
    /// An attempt without further details.
    #[must_use]
    pub fn new(
        number: u32,
        started_at: SystemTime,
        duration: Duration,
        result: AttemptOutcome,
    ) -> Self {
        Self {
            number,
            started_at,
            duration,
            result,
            detail: None,
        }
    }
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1000.0)
}

pub(crate) fn utf8_or_null<S: Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    std::str::from_utf8(body).ok().serialize(serializer)
}

impl_names! {
    AttemptOutcome, "a result: acknowledged, retry, dead_lettered or interrupted";
    /// Every result.
    ALL: 4;
    /// Its name in lists and JSON.
    as_str {
        Acknowledged => "acknowledged",
        Retry => "retry",
        DeadLettered => "dead_lettered",
        Interrupted => "interrupted",
    }
}

impl AttemptOutcome {
    /// The state of a delivery whose last attempt ended so.
    pub(crate) fn state(self) -> State {
        match self {
            Self::Acknowledged => State::Acknowledged,
            Self::DeadLettered => State::DeadLettered,
            Self::Retry | Self::Interrupted => State::Pending,
        }
    }
}

/// How much is in an inbox, as far as that is known without a full scan.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Waiting to be dispatched, now or when due.
    pub pending: u64,
    /// Being handled.
    pub claimed: u64,
    /// Dead-lettered.
    pub dead_lettered: u64,
    /// When the oldest pending delivery was received.
    #[serde(serialize_with = "time::serialize_option")]
    pub oldest_pending: Option<SystemTime>,
    /// How many bytes of storage are in use, including the write-ahead log of a file once it
    /// exceeds its usual 24 MiB.
    pub bytes: u64,
    /// How long the write-ahead log of a file is, in bytes; 0 for other stores.
    pub log_bytes: u64,
}

/// What a replay found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReplayReport {
    /// How many are due now, with as many attempts as a new delivery has.
    pub pending: usize,
    /// How many are being handled, and stay claimed.
    pub claimed: usize,
    /// How many are not in this inbox.
    pub missing: usize,
}

/// What dead-lettering by hand found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeadLetterReport {
    /// How many are dead-lettered now, including those that were before.
    pub dead_lettered: usize,
    /// How many are acknowledged, and stay so.
    pub acknowledged: usize,
    /// How many are being handled, and stay claimed.
    pub claimed: usize,
    /// How many are not in this inbox.
    pub missing: usize,
}

/// What a deletion found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeleteReport {
    /// How many were deleted.
    pub deleted: usize,
    /// How many are being handled, and stay claimed.
    pub claimed: usize,
    /// How many are not in this inbox.
    pub missing: usize,
}

impl ReplayReport {
    /// Counts one by the state it was in before; `None` when it is not there.
    pub fn add(&mut self, before: Option<State>) {
        match before {
            Some(State::Pending | State::Acknowledged | State::DeadLettered) => self.pending += 1,
            Some(State::Claimed | State::Interrupted) => self.claimed += 1,
            None => self.missing += 1,
        }
    }
}

impl DeadLetterReport {
    /// Counts one by its state before; `None` when it is missing.
    pub fn add(&mut self, before: Option<State>) {
        match before {
            Some(State::Pending | State::DeadLettered) => self.dead_lettered += 1,
            Some(State::Acknowledged) => self.acknowledged += 1,
            Some(State::Claimed | State::Interrupted) => self.claimed += 1,
            None => self.missing += 1,
        }
    }
}

impl DeleteReport {
    /// Counts one by its state before; `None` when it is missing.
    pub fn add(&mut self, before: Option<State>) {
        match before {
            Some(State::Pending | State::Acknowledged | State::DeadLettered) => self.deleted += 1,
            Some(State::Claimed | State::Interrupted) => self.claimed += 1,
            None => self.missing += 1,
        }
    }
}

/// Which deliveries to list. Newest first unless [`oldest_first`](Self::oldest_first()) is set.
///
/// # Examples
///
/// ```
/// use heygen_inbox::{Query, State};
///
/// let query = Query::default().event_type("avatar_video.fail").state(State::Pending).limit(20);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Query {
    /// Only this event name.
    pub event_type: Option<String>,
    /// Only event names that match this pattern. A body that is not an event has an empty name,
    /// which only `*` matches.
    pub events: Option<Pattern>,
    /// Only this state.
    pub state: Option<State>,
    /// Only this subject.
    pub subject_id: Option<String>,
    /// Only this callback id.
    pub callback_id: Option<String>,
    /// Only this outcome.
    pub outcome: Option<Outcome>,
    /// Only this source.
    pub source: Option<Source>,
    /// Only what was received at this time or later.
    pub since: Option<SystemTime>,
    /// Only what was received before this time.
    pub until: Option<SystemTime>,
    /// Only what was stored after this one, which need not exist any more.
    pub after: Option<DeliveryId>,
    /// Only what was stored before this one, which need not exist any more.
    pub before: Option<DeliveryId>,
    /// The oldest first.
    pub oldest_first: bool,
    /// At most this many; `None` for all.
    pub limit: Option<usize>,
}

setters! {
    Query {
        /// Only this event name.
        event_type(event_type: impl Into<String>) => Some(event_type.into());
        /// Only event names that match this pattern.
        events(pattern: Pattern) => Some(pattern);
        /// Only this state.
        state(state: State) => Some(state);
        /// Only this subject.
        subject_id(subject_id: impl Into<String>) => Some(subject_id.into());
        /// Only this callback id.
        callback_id(callback_id: impl Into<String>) => Some(callback_id.into());
        /// Only this outcome.
        outcome(outcome: Outcome) => Some(outcome);
        /// Only this source.
        source(source: Source) => Some(source);
        /// Only what was received at this time or later.
        since(since: SystemTime) => Some(since);
        /// Only what was received before this time.
        until(until: SystemTime) => Some(until);
        /// Only what was stored after this one.
        after(after: DeliveryId) => Some(after);
        /// Only what was stored before this one.
        before(before: DeliveryId) => Some(before);
        /// At most this many.
        limit(limit: usize) => Some(limit);
    }
}

impl Query {
    /// The oldest first.
    #[must_use]
    pub fn oldest_first(mut self) -> Self {
        self.oldest_first = true;
        self
    }

    /// Whether it asks for this one; its limit and order aside.
    #[must_use]
    pub fn matches(&self, summary: &DeliverySummary) -> bool {
        let fits =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let name = summary.event_type.as_deref().unwrap_or_default();
        fits(&self.event_type, &summary.event_type)
            && self
                .events
                .as_ref()
                .is_none_or(|events| events.matches(name))
            && fits(&self.subject_id, &summary.subject_id)
            && fits(&self.callback_id, &summary.callback_id)
            && (self.outcome.is_none() || self.outcome == summary.outcome)
            && self.state.is_none_or(|state| state == summary.state)
            && self.source.is_none_or(|source| source == summary.source)
            && self.since.is_none_or(|since| since <= summary.received_at)
            && self.until.is_none_or(|until| summary.received_at < until)
            && self.after.is_none_or(|after| after < summary.id)
            && self.before.is_none_or(|before| summary.id < before)
    }
}
