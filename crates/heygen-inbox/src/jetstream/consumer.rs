//! [`Consumer`]: fetches deliveries from the servers, holds them until they are due, and records and
//! acknowledges their completions.
//!
//! The first attempt of an event costs one write, when it is completed. Later attempts come from
//! references: small messages in a stream of their own that lead to an event, whose record has the
//! due time and the attempts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use async_nats::Subject;
use async_nats::jetstream::AckKind;
use heygen_events::Document;
use tokio::time::Instant;

use super::ack_token::{AckToken, Origin, Step};
use super::control::Control;
use super::in_flight::{Demand, Held, InFlight};
use super::message::Stored;
use super::queue::Fetched;
use super::record::Record;
use super::records::RecordEntry;
use super::references::References;
use super::stream::Written;
use super::streams::Streams;
use super::subject::number_of;
use super::task::keep_running;
use crate::claim::{Claim, ClaimRequest, DispatchOrder};
use crate::claim::{RoomLeft, Turn};
use crate::completion::Completion;
use crate::error::{InboxError, InboxErrorKind};
use crate::id::DeliveryId;
use crate::record::State;
use crate::time::{from_micros, to_micros};

/// Claims and completes deliveries in this process.
#[derive(Debug)]
pub(super) struct Consumer {
    streams: Arc<Streams>,
    in_flight: Mutex<InFlight>,
    /// One claim at a time.
    claiming: tokio::sync::Mutex<Claiming>,
    is_extending: AtomicBool,
    pub(super) control: Control,
}

/// What claims know of those before them.
#[derive(Debug)]
struct Claiming {
    references_fetched_at: Instant,
    /// Of the stream that the deliveries in flight are of.
    tag: u32,
    /// Since when the consumer of events existed that this was looked at with.
    consumer_since: SystemTime,
}

impl Consumer {
    pub(super) fn new(streams: Arc<Streams>) -> Self {
        let claiming = Claiming {
            references_fetched_at: Instant::now(),
            tag: streams.events.tag(),
            consumer_since: streams.queue.created_at(),
        };
        Self {
            streams,
            in_flight: Mutex::default(),
            claiming: tokio::sync::Mutex::new(claiming),
            is_extending: AtomicBool::new(false),
            control: Control::default(),
        }
    }

    pub(super) fn in_flight(&self) -> MutexGuard<'_, InFlight> {
        // A panic while the lock was held cannot leave a delivery half moved.
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn claim(
        self: &Arc<Self>,
        request: &ClaimRequest,
    ) -> Result<Claim, InboxError> {
        if request.order == DispatchOrder::PerSubject {
            return Err(InboxError::new(
                InboxErrorKind::Unsupported,
                "a stream dispatches to many workers at once and keeps no order by subject: dispatch without an \
                 order, or keep the inbox in a SQLite file",
            ));
        }
        let limit = request.limit();
        if limit == 0 {
            return Ok(Claim::default());
        }
        let mut claiming = self.claiming.lock().await;
        self.streams.connection.check_connected()?;
        if self.control.is_paused(&self.streams.records).await? {
            return Ok(Claim::paused());
        }
        self.look_again(&mut claiming).await;
        self.keep_extending();
        let now = to_micros(request.now);
        {
            let mut in_flight = self.in_flight();
            in_flight.drop_expired(self.streams.ack_wait());
            in_flight.correct_times(now, LONGEST_HELD + CLOCKS_DIFFER);
        }
        let begun_at = Instant::now();
        // Many may wait for a full destination: the more of them are met, the more are fetched at a
        // time.
        let mut lookahead = 1;
        loop {
            let due = self.in_flight().demand(request, now).due;
            // Deliveries that are due do not wait until all others are fetched. Where none is, as
            // while very many events are skipped that were finished before the consumer was
            // created again, the caller still has to learn that the servers answer.
            let longest = match due > 0 {
                true => LOOK_TIMEOUT,
                false => FRUITLESS_TIMEOUT,
            };
            let is_enough = begun_at.elapsed() > longest;
            if due >= limit && !request.turns().contains(&Turn::Live) || is_enough {
                break;
            }
            let fetched = self.fetch(request, now, lookahead, &mut claiming);
            if !fetched.await? {
                break;
            }
            lookahead = match self.in_flight().demand(request, now).due > due {
                true => 1,
                false => (2 * lookahead).min(MAX_LOOKAHEAD),
            };
        }
        self.take_due(request, now, claiming.tag).await
    }

    /// Records the result of an attempt, makes the reference to the next one, and acknowledges.
    pub(super) async fn complete(&self, completion: &Completion) -> Result<(), InboxError> {
        let Some(sequence) = self.streams.events.sequence(completion.id) else {
            return Ok(());
        };
        let out = self.in_flight().out(sequence).cloned();
        let out = out.filter(|out| out.next.attempt == completion.attempt);
        let event = match &out {
            Some(out) => out.event.clone(),
            // It is late, or of an unknown delivery.
            None => match self.streams.events.get(sequence).await? {
                Some(event) => event,
                None => return Ok(()),
            },
        };
        let record = self.record_end(&event, completion, out.as_ref()).await?;
        if let Some(out) = out {
            self.settle(&record, &out, completion, sequence).await?;
            self.in_flight().ended(sequence, completion.attempt);
        }
        Ok(())
    }

    /// Gives held deliveries back to the servers.
    pub(super) async fn release_held(&self) -> Result<(), InboxError> {
        let held = self.in_flight().release_held();
        for reply in held {
            self.send_ack(&reply, AckKind::Nak(None)).await?;
        }
        Ok(())
    }

    /// Acknowledges what is not to be dispatched any more, if it was held.
    pub(super) async fn acknowledge(&self, held: Option<Subject>) -> Result<(), InboxError> {
        match held {
            Some(reply) => self.send_ack(&reply, AckKind::Ack).await,
            None => Ok(()),
        }
    }

    async fn send_ack(&self, reply: &Subject, kind: AckKind) -> Result<(), InboxError> {
        self.streams.connection.send_ack(reply, kind).await
    }

    /// While a handler is at work, or a delivery waits here for its time, no other worker gets it.
    fn keep_extending(self: &Arc<Self>) {
        if !self.is_extending.swap(true, Ordering::Relaxed) {
            let consumer = Arc::downgrade(self);
            keep_running("extend the ack wait", move || {
                extend(Weak::clone(&consumer))
            });
        }
    }

    /// Fetches as much as there is room for, and gives whether the servers may have more: some
    /// may not be dispatched. New events do not wait for references that are not due yet, however
    /// many there are.
    async fn fetch(
        &self,
        request: &ClaimRequest,
        now: i64,
        lookahead: usize,
        claiming: &mut Claiming,
    ) -> Result<bool, InboxError> {
        let is_in_turns = request.turns().contains(&Turn::Live);
        let limit = request.limit();
        let missing = |of: fn(Demand) -> usize| {
            let in_flight = self.in_flight();
            let missing = in_flight.demand(request, now);
            match is_in_turns {
                // Deliveries to full destinations are held here, up to a limit.
                true if of(missing) == 0 => 0,
                true if request.room.len() == 1 => of(missing),
                true => {
                    let most = MAX_HELD.saturating_sub(in_flight.held_len());
                    of(missing).max(lookahead).min(most)
                }
                false => limit.saturating_sub(missing.due),
            }
        };
        let mut may_be_more = false;
        let Streams {
            queue, references, ..
        } = &*self.streams;
        let asked = missing(|missing| missing.backlog);
        let fetched_at = claiming.references_fetched_at;
        let is_time = references.is_expected() || fetched_at.elapsed() > REFERENCES_INTERVAL;
        if asked > 0 && is_time {
            let given = references.queue.fetch(asked).await?;
            may_be_more = given.len() >= asked;
            references.expect(!given.is_empty());
            claiming.references_fetched_at = Instant::now();
            self.take_all(given, now, Origin::Reference(0)).await?;
        }
        let asked = missing(|missing| missing.live);
        if asked > 0 {
            let events = queue.fetch(asked).await?;
            may_be_more |= events.len() >= asked;
            self.look_again(claiming).await;
            self.take_all(events, now, Origin::Event).await?;
        }
        Ok(may_be_more)
    }

    /// Where the stream was deleted and created again, what is in flight is gone, and other events have
    /// its sequences: an acknowledgement would be theirs.
    async fn look_again(&self, claiming: &mut Claiming) {
        let Streams { events, queue, .. } = &*self.streams;
        let consumer_since = queue.created_at();
        if consumer_since != claiming.consumer_since {
            match events.look_again().await {
                Ok(_) => claiming.consumer_since = consumer_since,
                // What was fetched is ours, and would count as attempts.
                Err(error) => tracing::debug!(%error, "the stream of events cannot be looked at"),
            }
        }
        let tag = events.tag();
        if std::mem::replace(&mut claiming.tag, tag) != tag {
            tracing::warn!(
                stream = self.streams.names.events(),
                "the stream of events was deleted and created again"
            );
            *self.in_flight() = InFlight::default();
        }
    }

    /// All at once, since some records have to be read. One that cannot be read now delays no other;
    /// the servers deliver it again after the ack wait.
    async fn take_all(
        &self,
        given: Vec<Fetched>,
        now: i64,
        origin: Origin,
    ) -> Result<(), InboxError> {
        let taking = given.into_iter().map(|given| async move {
            let reply = given.token.reply.clone();
            let taken = match origin {
                Origin::Event => self.take_event(given, now).await,
                Origin::Reference(_) => self.take_reference(given, now).await,
            };
            match taken {
                // The version that wrote its record can dispatch it; nothing is lost until then.
                Err(error) if error.kind() == InboxErrorKind::Version => {
                    tracing::error!(%error, "a delivery is postponed");
                    self.send_ack(&reply, AckKind::Nak(Some(UNREADABLE_PAUSE)))
                        .await
                }
                taken => taken,
            }
        });
        let taken = futures_util::future::join_all(taking).await;
        taken.into_iter().collect()
    }

    async fn take_event(&self, given: Fetched, now: i64) -> Result<(), InboxError> {
        let Fetched { message, token, .. } = given;
        let sequence = message.sequence;
        if self.in_flight().renew(sequence, &token) {
            return Ok(());
        }
        let event = Stored::read(&message);
        let is_first = token.delivered == 1
            && event.imported_state.is_none()
            && !self.control.may_be_recorded(sequence)
            && !self.streams.may_be_forgotten(event.stored_at);
        let entry = match is_first {
            true => RecordEntry::new(&event),
            false => self.streams.records.of(&event).await?,
        };
        self.take(event, token, entry, now).await
    }

    async fn take_reference(&self, given: Fetched, now: i64) -> Result<(), InboxError> {
        let Fetched {
            message, mut token, ..
        } = given;
        let generation = References::generation(&message.payload);
        let Some((sequence, generation)) = number_of(&message.subject).zip(generation) else {
            return self.send_ack(&token.reply, AckKind::Term).await;
        };
        token.origin = Origin::Reference(generation);
        if self.in_flight().renew(sequence, &token) {
            return Ok(());
        }
        let Some(event) = self.streams.events.get(sequence).await? else {
            // It was deleted.
            return self.send_ack(&token.reply, AckKind::Ack).await;
        };
        let entry = self.record_of(&event, token.origin).await?;
        self.take(event, token, entry, now).await
    }

    /// Where the records were lost, the reference that leads to an event is all that is known.
    /// Where the event was deleted with its record, there is nothing to dispatch.
    async fn record_of(&self, event: &Stored, origin: Origin) -> Result<RecordEntry, InboxError> {
        let mut entry = self.streams.records.of(event).await?;
        if let Origin::Reference(generation) = origin
            && entry.revision == 0
            && self.streams.events.get(event.sequence).await?.is_some()
        {
            entry.record.generation = generation;
        }
        Ok(entry)
    }

    /// Holds it if it is to be dispatched, and acknowledges it otherwise.
    async fn take(
        &self,
        event: Stored,
        token: AckToken,
        entry: RecordEntry,
        now: i64,
    ) -> Result<(), InboxError> {
        match token.step(event.imported_state, &entry.record, now) {
            Step::Drop => self.send_ack(&token.reply, AckKind::Ack).await,
            Step::Refer => {
                let references = &self.streams.references;
                references
                    .add_if_missing(event.sequence, &entry.record)
                    .await?;
                self.send_ack(&token.reply, AckKind::Ack).await
            }
            Step::Dispatch(next) => {
                let wait = Duration::from_micros(u64::try_from(next.due_at - now).unwrap_or(0));
                let is_full = self.in_flight().held_len() >= MAX_HELD;
                if wait > LONGEST_HELD || (is_full && !wait.is_zero()) {
                    return self.send_ack(&token.reply, AckKind::Nak(Some(wait))).await;
                }
                let event_type = Document::from_slice(&event.body)
                    .and_then(|document| Ok(document.event_name()?.to_owned()))
                    .ok();
                self.in_flight().hold(Held {
                    event,
                    event_type,
                    token,
                    next,
                    entry,
                    is_recorded: false,
                    may_be_recorded: false,
                    extended_at: Instant::now(),
                });
                Ok(())
            }
        }
    }

    /// Dispatches those held deliveries that are due. Where their records are written slowly, what is
    /// begun does not wait for the others: nothing extends its ack wait before it is with a handler.
    /// `tag` is that of the stream they are of, which may just have been created again.
    async fn take_due(
        &self,
        request: &ClaimRequest,
        now: i64,
        tag: u32,
    ) -> Result<Claim, InboxError> {
        let begun_at = Instant::now();
        let mut claim = Claim::default();
        let mut outs: Vec<Held> = Vec::new();
        let mut left = RoomLeft::of(request);
        'turns: for turn in request.turns() {
            loop {
                let taken = self.in_flight().take_due(request, *turn, &mut left, now);
                let Some(mut held) = taken else {
                    break;
                };
                match self.begin(&mut held, now).await {
                    Ok(true) => {
                        let id = DeliveryId::new(held.event.sequence, tag);
                        claim.deliveries.push(held.claimed(id));
                        outs.push(held);
                        if begun_at.elapsed() > LOOK_TIMEOUT {
                            break 'turns;
                        }
                    }
                    Ok(false) => {}
                    Err(error) => {
                        self.in_flight().hold(held);
                        if claim.deliveries.is_empty() {
                            return Err(error);
                        }
                        break 'turns;
                    }
                }
            }
        }
        // Nothing is awaited from here on, so that the caller gets what is marked as dispatched.
        let mut in_flight = self.in_flight();
        for held in outs {
            in_flight.dispatched(held);
        }
        if claim.len() < request.limit() {
            claim.next_due = in_flight.next_due(now).map(from_micros);
        }
        drop(in_flight);
        Ok(claim)
    }

    /// Records that it is dispatched, except for the first attempt; `false` when it was written
    /// meanwhile that it is not to be.
    async fn begin(&self, held: &mut Held, now: i64) -> Result<bool, InboxError> {
        let is_first = held.is_live() && held.next.attempt == 1 && held.entry.revision == 0;
        if is_first && !self.control.may_be_recorded(held.event.sequence) {
            return Ok(true);
        }
        let (records, sequence) = (&self.streams.records, held.event.sequence);
        loop {
            let RecordEntry {
                mut record,
                revision,
            } = held.entry.clone();
            record.begin(held.next.attempt, now);
            let written = records.try_put(sequence, &record, revision).await;
            held.may_be_recorded |= matches!(written, Ok(Written::Unknown) | Err(_));
            held.is_recorded = written? == Written::Yes;
            if held.is_recorded {
                return Ok(true);
            }
            held.entry = self.record_of(&held.event, held.token.origin).await?;
            let (imported, record) = (held.event.imported_state, &held.entry.record);
            // Another attempt would count this one as interrupted.
            let is_begun =
                record.state() == State::Claimed && record.dispatched == held.next.attempt;
            if held.may_be_recorded && is_begun {
                held.is_recorded = true;
                return Ok(true);
            }
            match held.token.step(imported, record, now) {
                Step::Dispatch(next) if next.due_at <= now => held.next = next,
                Step::Dispatch(_) | Step::Drop | Step::Refer => {
                    let Held {
                        event,
                        token,
                        entry,
                        ..
                    } = held.clone();
                    self.take(event, token, entry, now).await?;
                    return Ok(false);
                }
            }
        }
    }

    async fn record_end(
        &self,
        event: &Stored,
        completion: &Completion,
        out: Option<&Held>,
    ) -> Result<Record, InboxError> {
        let Streams { records, dead, .. } = &*self.streams;
        let sequence = event.sequence;
        let started_at = to_micros(completion.started_at);
        let origin = out.map_or(Origin::Event, |out| out.token.origin);
        // There is no record before the first attempt: that is tried without reading.
        let mut entry = match out {
            Some(out) if !out.is_recorded => RecordEntry::new(event),
            Some(_) | None => self.record_of(event, origin).await?,
        };
        loop {
            let RecordEntry {
                mut record,
                revision,
            } = entry;
            if record.dispatched < completion.attempt {
                record.begin(completion.attempt, started_at);
            }
            record.end(completion);
            let obsolete = record.take_obsolete_letter();
            if record.state() == State::DeadLettered && record.dead_sequence == 0 {
                let reason = completion.detail.as_deref();
                let added = dead.add(event, completion.id, completion.attempt, reason);
                record.dead_sequence = added.await?;
            }
            if records.put(sequence, &record, revision).await? {
                dead.remove(obsolete).await;
                return Ok(record);
            }
            entry = self.record_of(event, origin).await?;
        }
    }

    /// Does what follows from a recorded completion. Idempotent.
    async fn settle(
        &self,
        record: &Record,
        out: &Held,
        completion: &Completion,
        sequence: u64,
    ) -> Result<(), InboxError> {
        let is_ours = record.dispatched == out.next.attempt - u32::from(completion.is_released);
        match record.state() {
            State::Acknowledged | State::DeadLettered => {}
            State::Pending if is_ours => {
                let references = &self.streams.references;
                references.add(sequence, record).await?;
                references.expect(true);
            }
            // Another worker has it under the same acknowledgement, or had it and may have died
            // before it made a reference.
            State::Pending | State::Claimed | State::Interrupted => return Ok(()),
        }
        self.send_ack(&out.token.reply, AckKind::Ack).await
    }
}

async fn extend(consumer: Weak<Consumer>) {
    while let Some(consumer) = consumer.upgrade() {
        // It can be changed while this runs.
        let every = (consumer.streams.ack_wait() / 3).max(MIN_EXTEND_INTERVAL);
        let (at, replies) = (Instant::now(), consumer.in_flight().replies());
        let mut is_extended = consumer.streams.connection.is_connected();
        for reply in replies {
            // Each of many would wait for a server that reads nothing.
            is_extended = is_extended && consumer.send_ack(&reply, AckKind::Progress).await.is_ok();
        }
        if is_extended {
            consumer.in_flight().extended(at);
        }
        drop(consumer);
        tokio::time::sleep(every.min(MAX_EXTEND_INTERVAL)).await;
    }
}

/// How many may be held; beyond, the servers are asked to deliver them later.
const MAX_HELD: usize = 1000;

/// How long to fetch more once something is due, and to begin more once something is begun.
const LOOK_TIMEOUT: Duration = Duration::from_millis(100);

/// How long to fetch while nothing is due. Far below the 30 s after which a claim counts as hanging.
const FRUITLESS_TIMEOUT: Duration = Duration::from_secs(5);

/// A delivery that is due later is given back until then.
const LONGEST_HELD: Duration = Duration::from_secs(60);

/// How many are fetched at a time past those that wait for a full destination.
const MAX_LOOKAHEAD: usize = 64;

/// By how much two readings of a clock may differ without anything being wrong.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

const MIN_EXTEND_INTERVAL: Duration = Duration::from_millis(10);

/// A shortened ack wait is noticed by then.
const MAX_EXTEND_INTERVAL: Duration = Duration::from_secs(10);

/// After how long to try again a delivery whose record another version wrote.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(60);

/// How often to fetch references when none are expected.
const REFERENCES_INTERVAL: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;
    use xtask_nats::{Program, Server};

    use super::*;

    /// As after the consumer was created again: they take longer than one claim may.
    #[tokio::test]
    async fn claim_ends_in_time_while_finished_events_are_skipped() {
        // It acknowledges before it writes, which is faster.
        let fast = xtask_nats::Options::new().sync_interval("2m");
        let server = Server::start(Program::Current, &fast).expect("a server");
        let streams = Arc::new(Streams::at(&server).await);
        let context = &streams.connection.context;
        for _ in 0..BATCHES {
            let mut acknowledgements = Vec::new();
            for number in 0..500 {
                let mut headers = HeaderMap::new();
                headers.insert("Heygen-Inbox-Past", "acknowledged");
                let (subject, body) = ("heygen.events.a.b", number.to_string().into());
                let published = context.publish_with_headers(subject, headers, body);
                acknowledgements.push(published.await.expect("published"));
            }
            for acknowledgement in acknowledgements {
                acknowledgement.await.expect("stored");
            }
        }
        let consumer = Arc::new(Consumer::new(Arc::clone(&streams)));
        let begun_at = Instant::now();
        let request = ClaimRequest::due(1, SystemTime::now());
        let claim = consumer.claim(&request).await.expect("a claim");
        assert_eq!(claim.len(), 0);
        let elapsed = begun_at.elapsed();
        assert!(elapsed < 2 * FRUITLESS_TIMEOUT, "{elapsed:?}");
    }

    /// The receiver of the same process may look at the stream again during a claim.
    #[tokio::test]
    async fn what_was_fetched_keeps_the_id_of_its_stream() {
        let server = Server::start(Program::Current, &xtask_nats::Options::new());
        let server = server.expect("a server");
        let streams = Arc::new(Streams::at(&server).await);
        let context = &streams.connection.context;
        let published = context.publish("heygen.events.a.b", "{}".into()).await;
        let sequence = published
            .expect("published")
            .await
            .expect("stored")
            .sequence;
        let id = streams.events.id(sequence);
        let consumer = Consumer::new(Arc::clone(&streams));
        let mut claiming = consumer.claiming.lock().await;
        let now = SystemTime::now();
        let request = ClaimRequest::due(1, now);
        let fetched = consumer.fetch(&request, to_micros(now), 1, &mut claiming);
        fetched.await.expect("fetched");

        let config = streams.events.stream.info().config.clone();
        let deleted = context.delete_stream(&config.name).await;
        deleted.expect("deleted");
        context.create_stream(config).await.expect("created");
        streams.events.look_again().await.expect("looked");
        let claim = consumer
            .take_due(&request, to_micros(now), claiming.tag)
            .await;
        let claim = claim.expect("a claim");
        assert_eq!(claim.deliveries[0].id, id);
        assert_ne!(streams.events.id(sequence), id);
    }

    /// Of 500: one after another they take 20 s.
    const BATCHES: usize = 60;
}
