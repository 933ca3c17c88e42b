//! Looking: lists, one delivery whole, counts. Read from the streams, while others write to them.
//!
//! A stream has no index but its sequence and its subjects. A list goes through the stream from the newest backwards, a stretch at
//! a time, until it has what was asked for; asked for what is rare it reads a lot.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::stream::Stream;

use super::hand::Way;
use super::message::{self, Stored};
use super::reading::{Stretches, sequences};
use super::record::Record;
use super::subject::number_of;
use super::{JetStreamInbox, Shared};
use crate::record::dead_at;
use crate::time::{from_micros, to_micros};
use crate::{Counts, InboxError, Kept, Query, State, Stats, StatsGroup, Summary};

impl JetStreamInbox {
    pub(super) async fn look_for(&self, query: &Query) -> Result<Vec<Summary>, InboxError> {
        let mut found = Vec::new();
        self.scan(query, |summary| found.push(summary)).await?;
        Ok(found)
    }

    /// Tells each delivery that `query` asks for, in its order.
    async fn scan(&self, query: &Query, mut tell: impl FnMut(Summary)) -> Result<(), InboxError> {
        let shared = &self.shared;
        let mut left = query.limit.unwrap_or(usize::MAX);
        let progress = shared.progress().await?;
        let mut stretches = Stretches::new(shared, query).await?;
        while left > 0 {
            let Some((first, last)) = stretches.next() else {
                return Ok(());
            };
            let filter = match &query.event_type {
                // A name that was cut stands for others too: what comes is looked at again.
                Some(name) => shared.link.names.event(Some(name)),
                None => shared.link.names.all_of("events"),
            };
            let mut events = shared.stretch(first, last, &filter, false).await?;
            if !query.oldest_first {
                events.reverse();
            }
            if let (Some(since), Some(oldest)) = (query.since, events.last()) {
                // What was stored long before was received before, however far apart the clocks are.
                let is_before = oldest.stored_at + CLOCKS_APART < since && !query.oldest_first;
                stretches.is_over |= is_before;
            }
            events.retain(|seen| in_range(query, &seen.event));
            let records = shared.records_of(sequences(&events)).await?;
            for seen in &events {
                let record = records.get(&seen.event.sequence);
                let summary = shared.summary(&seen.event, record, &progress);
                if left > 0 && query.matches(&summary) {
                    left -= 1;
                    tell(summary);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn look_at(&self, sequence: u64) -> Result<Option<Kept>, InboxError> {
        let shared = &self.shared;
        let Some(event) = shared.link.event(sequence).await? else {
            return Ok(None);
        };
        let progress = shared.progress().await?;
        let record = shared
            .link
            .record(sequence)
            .await?
            .map(|found| found.record);
        let summary = shared.summary(&event, record.as_ref(), &progress);
        let due_at = match (&record, summary.state) {
            (Some(record), State::Pending) if record.generation > 0 => from_micros(record.due_at),
            _ => event.received_at,
        };
        let delivery = event.to_delivery();
        let matched = record.as_ref().and_then(Record::matched_id);
        let event_id = delivery.dedup_key().event_id().or(matched);
        Ok(Some(Kept {
            due_at: (summary.state == State::Pending).then_some(due_at),
            event_id: event_id.map(str::to_owned),
            signed: record.as_ref().and_then(Record::signed),
            headers: event.headers.clone(),
            body: event.body.clone(),
            repeats: record.as_ref().map(Record::repeats).unwrap_or_default(),
            attempts: record.as_ref().map(Record::attempts).unwrap_or_default(),
            summary,
        }))
    }

    /// How many deliveries `query` asks for, without its limit. Goes through all that are in its range.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the streams could not be read.
    pub(super) async fn count_all(&self, mut query: Query) -> Result<u64, InboxError> {
        query.limit = None;
        let mut count = 0;
        self.scan(&query, |_| count += 1).await?;
        Ok(count)
    }

    pub(super) async fn counts_now(&self) -> Result<Counts, InboxError> {
        let shared = &self.shared;
        let sizes = self.sizes().await?;
        let workers = shared.consumer_info(&shared.link.workers).await?;
        let (held, out_again) = {
            let hand = shared.hand();
            (hand.held_events_len(), hand.out_references_len())
        };
        let given_out = workers.num_ack_pending as u64;
        let next = workers.delivered.stream_sequence + 1;
        let oldest = shared.oldest_pending(next, workers.num_pending > 0).await?;
        Ok(Counts {
            pending: workers.num_pending + held + sizes.again.saturating_sub(out_again),
            claimed: given_out.saturating_sub(held) + out_again,
            dead: sizes.dead,
            oldest_pending: oldest,
            bytes: sizes.bytes,
            log_bytes: 0,
        })
    }

    /// How much is in the streams, all asked at once.
    pub(super) async fn sizes(&self) -> Result<Sizes, InboxError> {
        let link = &self.shared.link;
        link.check_connected()?;
        let state = async |stream: &Stream| {
            let info = stream.get_info().await;
            info.map(|info| info.state)
                .map_err(|error| link.cannot("read from", error))
        };
        let (events, dead, records, again) = tokio::try_join!(
            state(&link.events),
            state(&link.dead),
            state(&link.records),
            state(&link.again),
        )?;
        Ok(Sizes {
            dead: dead.messages,
            again: again.messages,
            bytes: events.bytes + dead.bytes + records.bytes + again.bytes,
        })
    }

    /// What is in it by event, state and source, and how the handings-out since a time ended. Goes through all of it.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the streams could not be read.
    pub(super) async fn stats_since(
        &self,
        attempts_since: SystemTime,
    ) -> Result<Stats, InboxError> {
        let shared = &self.shared;
        let progress = shared.progress().await?;
        let (states, attempts) = shared.all_records(to_micros(attempts_since)).await?;
        let mut groups: HashMap<(Option<String>, State, crate::Source), u64> = HashMap::new();
        let mut stretches = Stretches::new(shared, &Query::default().oldest_first()).await?;
        let all = shared.link.names.all_of("events");
        while let Some((first, last)) = stretches.next() {
            for seen in shared.stretch(first, last, &all, true).await? {
                let event_type = shared.link.names.event_type_of(&seen.subject);
                let sequence = seen.event.sequence;
                let state = match states.get(&sequence) {
                    Some(state) => *state,
                    None => shared.unrecorded(&seen.event, &progress),
                };
                *groups
                    .entry((event_type, state, seen.event.source))
                    .or_default() += 1;
            }
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
        Ok(Stats { groups, attempts })
    }
}

/// How much is in the streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// How many dead letters.
    dead: u64,
    /// How many references.
    again: u64,
    /// Of all of them.
    pub(super) bytes: u64,
}

/// How far the handing-out of events is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    given_out_to: u64,
    ended_to: u64,
}

impl Shared {
    pub(super) async fn progress(&self) -> Result<Progress, InboxError> {
        let info = self.consumer_info(&self.link.workers).await?;
        Ok(Progress {
            given_out_to: info.delivered.stream_sequence,
            ended_to: info.ack_floor.stream_sequence,
        })
    }

    pub(super) fn state(
        &self,
        event: &Stored,
        record: Option<&Record>,
        progress: &Progress,
    ) -> State {
        let is_out = self.hand().out(event.sequence).is_some();
        match record.filter(|record| record.is_begun()) {
            Some(record) if record.state() == State::Done => State::Done,
            _ if is_out => State::Claimed,
            Some(record) => record.state(),
            None => self.unrecorded(event, progress),
        }
    }

    pub(super) fn summary(
        &self,
        event: &Stored,
        record: Option<&Record>,
        progress: &Progress,
    ) -> Summary {
        let label = event.to_delivery().label().clone();
        let out = self.hand().out(event.sequence).map(|out| out.attempt);
        let begun = record.filter(|record| record.is_begun());
        let state = self.state(event, record, progress);
        let handed_out = begun.map_or(0, |record| record.handed_out);
        let attempts = match (state, out) {
            (_, Some(attempt)) => attempt.max(handed_out),
            (State::Claimed | State::Interrupted, None) => handed_out.max(1),
            (State::Pending | State::Done | State::Dead, None) => handed_out,
        };
        Summary {
            id: self.link.id(event.sequence),
            received_at: event.received_at,
            event_type: label.event_type,
            subject_id: label.subject_id,
            callback_id: label.callback_id,
            outcome: label.outcome,
            state,
            attempts,
            source: event.source,
            dead_at: begun.and_then(|record| dead_at(state, &record.attempts())),
        }
    }

    /// The state of an event of which no record tells: never given out, or with the first that got it.
    fn unrecorded(&self, event: &Stored, progress: &Progress) -> State {
        match event.past {
            Some(State::Done) => State::Done,
            Some(State::Dead) => State::Dead,
            _ if event.sequence <= progress.ended_to => State::Done,
            _ if event.sequence > progress.given_out_to || self.hand().is_held(event.sequence) => {
                State::Pending
            }
            Some(State::Pending | State::Claimed | State::Interrupted) | None => State::Claimed,
        }
    }

    pub(super) async fn consumer_info(
        &self,
        consumer: &PullConsumer,
    ) -> Result<async_nats::jetstream::consumer::Info, InboxError> {
        self.link.check_connected()?;
        let info = consumer.get_info().await;
        info.map_err(|error| self.link.cannot("read from", error))
    }

    /// When the oldest of what waits came in: the next event to be given out, or what the oldest reference leads to.
    async fn oldest_pending(
        &self,
        next: u64,
        is_waiting: bool,
    ) -> Result<Option<SystemTime>, InboxError> {
        let mut oldest: Option<SystemTime> = self.hand().oldest_held();
        if is_waiting {
            let all = self.link.names.all_of("events");
            let first = self
                .link
                .events
                .direct_get_next_for_subject(all, Some(next));
            if let Ok(message) = first.await {
                let at = message::received_at(&message.headers);
                let at = at.unwrap_or_else(|| message.time.into());
                oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
            }
        }
        let all = self.link.names.all_of("again");
        if let Ok(reference) = self
            .link
            .again
            .direct_get_next_for_subject(all, Some(1))
            .await
            && let Some(sequence) = number_of(&reference.subject)
            && self.hand().out(sequence).is_none()
            && let Some(event) = self.link.event(sequence).await?
        {
            let at = event.received_at;
            oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
        }
        Ok(oldest)
    }
}

impl super::hand::Hand {
    fn oldest_held(&self) -> Option<SystemTime> {
        self.held()
            .filter(|held| held.ticket.way == Way::Event)
            .map(|held| held.event.received_at)
            .min()
    }
}

/// What of a query can be told without the body and the record.
fn in_range(query: &Query, event: &Stored) -> bool {
    query.since.is_none_or(|since| since <= event.received_at)
        && query.until.is_none_or(|until| event.received_at < until)
        && query.source.is_none_or(|source| source == event.source)
}

/// Further than the clocks of two machines are apart that are of any use.
const CLOCKS_APART: Duration = Duration::from_secs(3600);
