//! [`Queries`]: lists, gets, counts and prunes, while others write to the streams.
//!
//! A stream has no index but its sequence and its subjects. A list reads the stream from the newest
//! backwards, a batch at a time, until it has enough; a rare match takes much reading.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use async_nats::jetstream::message::StreamMessage;
use futures_util::StreamExt as _;

use super::consumer::Consumer;
use super::message::{self, Stored};
use super::reader::{Batches, Reader};
use super::record::{Record, is_of};
use super::streams::Streams;
use crate::admin::{PruneReport, PruneStep};
use crate::error::InboxError;
use crate::id::DeliveryId;
use crate::record::dead_lettered_at;
use crate::record::{AttemptOutcome, Counts, DeliverySummary, Query, State, StoredDelivery};
use crate::source::Source;
use crate::stats::{Stats, StatsGroup};
use crate::time::{from_micros, to_micros};

/// Reads an inbox.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queries<'a> {
    pub(super) streams: &'a Streams,
    /// The deliveries that this process has claimed.
    pub(super) consumer: &'a Consumer,
}

/// How far the consumer of events has come.
#[derive(Clone, Copy, Debug)]
struct Progress {
    delivered_to: u64,
    acked_to: u64,
}

impl Queries<'_> {
    /// Calls `each` with every delivery that matches `query`, in its order.
    pub(super) async fn list(
        &self,
        query: &Query,
        mut each: impl FnMut(DeliverySummary),
    ) -> Result<(), InboxError> {
        let names = &self.streams.names;
        let mut left = query.limit.unwrap_or(usize::MAX);
        let progress = self.progress().await?;
        let filter = match &query.event_type {
            // A truncated name matches others too: each event is compared again.
            Some(name) => names.event(Some(name)),
            None => names.all_of("events"),
        };
        let mut batches = Batches::new(&self.streams.events.stream.state().await?, query);
        while left > 0 {
            let Some(batch) = batches.next() else {
                return Ok(());
            };
            let mut events = self.events(batch, &filter, false).await?;
            if !query.oldest_first {
                events.reverse();
            }
            if let (Some(since), Some(oldest)) = (query.since, events.last()) {
                // Events stored long before were received before, however far apart the clocks are.
                let is_before = oldest.stored_at + CLOCKS_APART < since && !query.oldest_first;
                batches.is_over |= is_before;
            }
            events.retain(|event| in_range(query, event));
            for (event, record) in self.with_records(events).await? {
                let summary = self.summary(&event, &record, &progress);
                if left > 0 && query.matches(&summary) {
                    left -= 1;
                    each(summary);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn get(&self, id: DeliveryId) -> Result<Option<StoredDelivery>, InboxError> {
        let Some(event) = self.streams.events.find(id).await? else {
            return Ok(None);
        };
        let progress = self.progress().await?;
        let record = self.streams.records.of(&event).await?.record;
        let summary = self.summary(&event, &record, &progress);
        let due_at = match record.generation {
            0 => event.received_at,
            _ => from_micros(record.due_at),
        };
        let delivery = event.to_delivery();
        let event_id = delivery.dedup_key().event_id();
        Ok(Some(StoredDelivery {
            due_at: (summary.state == State::Pending).then_some(due_at),
            event_id: event_id.or(record.matched_id()).map(str::to_owned),
            signed: record.signed(),
            headers: event.headers.clone(),
            body: event.body.clone(),
            redeliveries: record.redeliveries(),
            attempts: record.attempts(),
            summary,
        }))
    }

    pub(super) async fn counts(&self) -> Result<Counts, InboxError> {
        let [dead, references, bytes] = self.sizes().await?;
        let workers = self.streams.queue.info().await?;
        let (held, out_again) = {
            let in_flight = self.consumer.in_flight();
            (in_flight.held_events_len(), in_flight.out_references_len())
        };
        let next = workers.delivered.stream_sequence + 1;
        let is_waiting = workers.num_pending > 0;
        Ok(Counts {
            pending: workers.num_pending + held + references.saturating_sub(out_again),
            claimed: (workers.num_ack_pending as u64).saturating_sub(held) + out_again,
            dead_lettered: dead,
            oldest_pending: self.oldest_pending(is_waiting.then_some(next)).await?,
            bytes,
            log_bytes: 0,
        })
    }

    /// How many dead letters and references there are, and how many bytes in all streams.
    async fn sizes(&self) -> Result<[u64; 3], InboxError> {
        let (events, dead, records, references) = tokio::try_join!(
            self.streams.events.stream.state(),
            self.streams.dead.stream.state(),
            self.streams.records.stream.state(),
            self.streams.references.stream.state(),
        )?;
        let bytes = events.bytes + dead.bytes + records.bytes + references.bytes;
        Ok([dead.messages, references.messages, bytes])
    }

    /// When the oldest pending delivery was received: the next event to be delivered, or that of the
    /// oldest reference.
    async fn oldest_pending(&self, next: Option<u64>) -> Result<Option<SystemTime>, InboxError> {
        let events = &self.streams.events;
        let held = self.consumer.in_flight().oldest_held();
        let mut oldest = Vec::from_iter(held);
        if let Some(next) = next {
            let all = self.streams.names.all_of("events");
            if let Some(message) = events.stream.next(&all, next).await? {
                let at = message::received_at(&message.headers);
                oldest.push(at.unwrap_or_else(|| message.time.into()));
            }
        }
        if let Some(sequence) = self.streams.references.oldest().await?
            && self.consumer.in_flight().out(sequence).is_none()
            && let Some(event) = events.get(sequence).await?
        {
            oldest.push(event.received_at);
        }
        Ok(oldest.into_iter().min())
    }

    /// Counts by event, state and source, and results of attempts since a time. Reads the whole
    /// stream.
    pub(super) async fn stats(&self, attempts_since: SystemTime) -> Result<Stats, InboxError> {
        let names = &self.streams.names;
        let progress = self.progress().await?;
        let mut states: HashMap<u64, (State, i64)> = HashMap::new();
        let mut attempts: BTreeMap<&str, (AttemptOutcome, u64)> = BTreeMap::new();
        let since = from_micros(to_micros(attempts_since));
        let counting = self.streams.records.for_each(|sequence, record| {
            for attempt in record.attempts() {
                if attempt.started_at >= since {
                    let result = attempt.result;
                    attempts.entry(result.as_str()).or_insert((result, 0)).1 += 1;
                }
            }
            if record.is_begun() {
                states.insert(sequence, (record.state(), record.received_at));
            }
        });
        counting.await?;
        let mut groups: HashMap<(Option<String>, State, Source), u64> = HashMap::new();
        let all = names.all_of("events");
        let query = Query::default().oldest_first();
        for batch in Batches::new(&self.streams.events.stream.state().await?, &query) {
            let reading = self.read(batch, &all, true, |message| {
                let event = Stored::read(&message);
                let state = match states.get(&event.sequence) {
                    Some((state, of_record)) if is_of(*of_record, to_micros(event.received_at)) => {
                        *state
                    }
                    Some(_) | None => self.unrecorded(&event, &progress),
                };
                let group = (names.event_type_of(&message.subject), state, event.source);
                *groups.entry(group).or_default() += 1;
            });
            reading.await?;
        }
        let groups = groups
            .into_iter()
            .map(|((event_type, state, source), count)| StatsGroup {
                event_type,
                state,
                source,
                count,
            })
            .collect();
        let attempts = attempts.into_values().collect();
        Ok(Stats { groups, attempts })
    }

    /// Reads the stream from the oldest event, and stops where newer ones begin: older ones that
    /// were imported behind them wait until they are reached.
    pub(super) async fn prune(&self, step: &PruneStep) -> Result<PruneReport, InboxError> {
        let events = &self.streams.events;
        let mut query = Query::default().oldest_first();
        query.after = step.after;
        let mut batches = Batches::new(&events.stream.state().await?, &query);
        let progress = self.progress().await?;
        let all = self.streams.names.all_of("events");
        let (mut deleted, mut next, mut newer) = (0, None, 0);
        while next.is_none()
            && newer <= NEWER_IN_A_ROW
            && let Some(batch) = batches.next()
        {
            let listed = self.events(batch, &all, true).await?;
            let mut finished = Vec::new();
            for (event, record) in self.with_records(listed).await? {
                if deleted + finished.len() == step.limit {
                    // There may be more from here on.
                    next = Some(events.id(event.sequence - 1));
                    break;
                }
                if event.received_at >= step.before {
                    newer += 1;
                    if newer > NEWER_IN_A_ROW {
                        break;
                    }
                    continue;
                }
                newer = 0;
                let state = self.state(&event, &record, &progress);
                if matches!(state, State::Acknowledged | State::DeadLettered) {
                    finished.push(event);
                }
            }
            deleted += self.delete(finished).await?;
        }
        let [.., bytes] = self.sizes().await?;
        Ok(PruneReport::new(deleted, next, bytes))
    }

    /// Gives how many of these were deleted. The record is deleted last: as long as the event
    /// exists, so does its record.
    pub(super) async fn delete(&self, finished: Vec<Stored>) -> Result<usize, InboxError> {
        let (events, records) = (&self.streams.events, &self.streams.records);
        let deleting = finished.into_iter().map(|event| async move {
            let sequence = event.sequence;
            // The record may have come from a server that is behind, or the delivery may have been
            // replayed meanwhile.
            let record = records.of(&event).await?.record;
            let is_finished = matches!(record.state(), State::Acknowledged | State::DeadLettered);
            if record.is_begun() && !is_finished {
                return Ok(false);
            }
            self.streams.dead.remove(record.dead_sequence).await;
            events.delete(sequence).await?;
            records.delete(sequence).await?;
            Ok(true)
        });
        let mut count = 0;
        let mut ends = futures_util::stream::iter(deleting).buffer_unordered(CONCURRENCY);
        while let Some(end) = ends.next().await {
            count += usize::from(end?);
        }
        Ok(count)
    }

    /// The state of an event now.
    pub(super) async fn state_now(
        &self,
        event: &Stored,
        record: &Record,
    ) -> Result<State, InboxError> {
        Ok(self.state(event, record, &self.progress().await?))
    }

    async fn progress(&self) -> Result<Progress, InboxError> {
        let info = self.streams.queue.info().await?;
        Ok(Progress {
            delivered_to: info.delivered.stream_sequence,
            acked_to: info.ack_floor.stream_sequence,
        })
    }

    fn state(&self, event: &Stored, record: &Record, progress: &Progress) -> State {
        let is_out = self.consumer.in_flight().out(event.sequence).is_some();
        match record.state() {
            State::Acknowledged => State::Acknowledged,
            _ if is_out => State::Claimed,
            state if record.is_begun() => state,
            _ => self.unrecorded(event, progress),
        }
    }

    fn summary(&self, event: &Stored, record: &Record, progress: &Progress) -> DeliverySummary {
        let label = event.to_delivery().label().clone();
        let in_flight = self.consumer.in_flight();
        let out = in_flight.out(event.sequence).map(|out| out.next.attempt);
        drop(in_flight);
        let state = self.state(event, record, progress);
        let dispatched = record.dispatched;
        let attempts = match (state, out) {
            (_, Some(attempt)) => attempt.max(dispatched),
            (State::Claimed | State::Interrupted, None) => dispatched.max(1),
            (State::Pending | State::Acknowledged | State::DeadLettered, None) => dispatched,
        };
        DeliverySummary {
            id: self.streams.events.id(event.sequence),
            received_at: event.received_at,
            event_type: label.event_type,
            subject_id: label.subject_id,
            callback_id: label.callback_id,
            outcome: label.outcome,
            state,
            attempts,
            source: event.source,
            dead_lettered_at: dead_lettered_at(state, &record.attempts()),
        }
    }

    /// The state of an event without a record: never delivered, or in its first attempt.
    fn unrecorded(&self, event: &Stored, progress: &Progress) -> State {
        let is_held = || self.consumer.in_flight().is_held(event.sequence);
        match event.imported_state {
            Some(State::Acknowledged) => State::Acknowledged,
            Some(State::DeadLettered) => State::DeadLettered,
            _ if event.sequence <= progress.acked_to => State::Acknowledged,
            _ if event.sequence > progress.delivered_to || is_held() => State::Pending,
            Some(State::Pending | State::Claimed | State::Interrupted) | None => State::Claimed,
        }
    }

    /// The events of a batch whose subject fits.
    async fn events(
        &self,
        batch: (u64, u64),
        filter: &str,
        is_without_bodies: bool,
    ) -> Result<Vec<Stored>, InboxError> {
        let mut found = Vec::new();
        let reading = self.read(batch, filter, is_without_bodies, |message| {
            found.push(Stored::read(&message));
        });
        reading.await?;
        Ok(found)
    }

    async fn read(
        &self,
        (first, last): (u64, u64),
        filter: &str,
        is_without_bodies: bool,
        each: impl FnMut(StreamMessage),
    ) -> Result<(), InboxError> {
        let reader = Reader {
            stream: &self.streams.events.stream,
            filter,
            is_without_bodies,
        };
        reader.read(first, last, last, each).await
    }

    /// Each with its record, a new one where there is none.
    async fn with_records(&self, events: Vec<Stored>) -> Result<Vec<(Stored, Record)>, InboxError> {
        let sequences = events.iter().map(|event| event.sequence);
        let mut records = self.streams.records.get_many(sequences.collect()).await?;
        let with_record = |event: Stored| {
            let found = records.remove(&event.sequence);
            let record = found.unwrap_or_else(Record::new).of(&event);
            (event, record)
        };
        Ok(events.into_iter().map(with_record).collect())
    }
}

/// Whether the parts of a query match that need neither body nor record.
fn in_range(query: &Query, event: &Stored) -> bool {
    query.since.is_none_or(|since| since <= event.received_at)
        && query.until.is_none_or(|until| event.received_at < until)
        && query.source.is_none_or(|source| source == event.source)
}

/// More than two clocks that are of any use differ by.
const CLOCKS_APART: Duration = Duration::from_secs(3600);

/// How many are deleted at a time.
const CONCURRENCY: usize = 16;

/// After so many newer events in a row, the rest is taken for newer too.
const NEWER_IN_A_ROW: usize = 500;
