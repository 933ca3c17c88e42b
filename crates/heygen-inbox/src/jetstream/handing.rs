//! Handing out: fetched from the servers, held until it is due, and acknowledged when its end is recorded.
//!
//! The first handing-out of an event costs one write, when it ends. Everything beyond that goes by references: small messages of a
//! stream of their own that lead to an event, with the record beside the event saying when and how often.

use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_nats::jetstream::AckKind;
use async_nats::jetstream::consumer::PullConsumer;
use futures_util::StreamExt as _;
use heygen_events::Envelope;
use tokio::time::Instant;

use super::ending::Reference;
use super::hand::{Held, Missing, Out, Step, Ticket, Way};
use super::message::Stored;
use super::record::{Found, Record};
use super::subject::number_of;
use super::{JetStreamInbox, Shared, keep_running};
use crate::claim::{RoomLeft, Turn};
use crate::time::to_micros;
use crate::{Claim, ClaimRequest, Claimed, InboxError, InboxErrorKind, Order};

/// Something that the servers gave out.
struct Given {
    message: async_nats::Message,
    ticket: Ticket,
    /// Its place in its stream.
    sequence: u64,
    stored_at: SystemTime,
}

impl Given {
    fn read(message: async_nats::jetstream::Message) -> Option<Self> {
        let info = message.info().ok()?;
        let ticket = Ticket {
            reply: message.reply.clone()?,
            way: Way::Event,
            delivered: u32::try_from(info.delivered).unwrap_or(u32::MAX),
        };
        let (sequence, stored_at) = (info.stream_sequence, info.published.into());
        Some(Self {
            message: message.message,
            ticket,
            sequence,
            stored_at,
        })
    }
}

impl JetStreamInbox {
    pub(super) async fn hand_out(
        &self,
        request: &ClaimRequest,
        turns: &[Turn],
    ) -> Result<Claim, InboxError> {
        if request.order == Order::Subject {
            return Err(InboxError::new(
                InboxErrorKind::Unsupported,
                "a stream hands out to many workers at once and keeps no order among what is about the same: hand out without an \
                 order, or keep the inbox in a SQLite file",
            ));
        }
        let limit = request.limit();
        if limit == 0 {
            return Ok(Claim::default());
        }
        let shared = &self.shared;
        let _turn = shared.claiming.lock().await;
        shared.link.check_connected()?;
        self.keep_extending();
        let now = to_micros(request.now);
        {
            let mut hand = shared.hand();
            hand.drop_unheard(shared.link.ack_wait);
            hand.correct_times(now, LONGEST_HELD + CLOCKS_DIFFER);
        }
        let begun_at = Instant::now();
        // What waits for a full destination may be much: the more of it was met, the more is asked for at a time.
        let mut at_least = 1;
        loop {
            let due = shared.hand().missing(request, now).due;
            // What is due does not wait until all that is not was looked at.
            let is_enough = due > 0 && begun_at.elapsed() > LOOKING_TIME;
            if due >= limit && !turns.contains(&Turn::Live) || is_enough {
                break;
            }
            if !shared.fetch(request, turns, now, at_least).await? {
                break;
            }
            at_least = match shared.hand().missing(request, now).due > due {
                true => 1,
                false => (2 * at_least).min(MOST_AT_LEAST),
            };
        }
        shared.take_due(request, turns, now).await
    }

    /// While a handler is at work, or a delivery waits here for its time, no other worker gets it.
    fn keep_extending(&self) {
        if !self.shared.is_extending.swap(true, Ordering::Relaxed) {
            let every = self.shared.link.ack_wait / 3;
            let every = every.max(Duration::from_millis(10));
            let shared = std::sync::Arc::downgrade(&self.shared);
            keep_running("extend the ack wait", move || {
                extend(Weak::clone(&shared), every)
            });
        }
    }

    /// What waits here for its time goes to others.
    pub(super) async fn let_go(&self) -> Result<(), InboxError> {
        let held = self.shared.hand().let_go();
        for reply in held {
            self.shared.say(&reply, AckKind::Nak(None)).await?;
        }
        Ok(())
    }
}

impl Shared {
    /// Gets what is missing from the servers, and says whether they may have more: some of it may have come to nothing.
    /// New events do not wait for references to what is not due yet, however many there are.
    async fn fetch(
        &self,
        request: &ClaimRequest,
        turns: &[Turn],
        now: i64,
        at_least: usize,
    ) -> Result<bool, InboxError> {
        let is_in_turns = turns.contains(&Turn::Live);
        let limit = request.limit();
        let missing = |of: fn(Missing) -> usize| {
            let hand = self.hand();
            let missing = hand.missing(request, now);
            match is_in_turns {
                // What there is no room for waits here, as far as there is room for that.
                true if of(missing) == 0 => 0,
                true if request.room.len() == 1 => of(missing),
                true => {
                    let most = MAX_HELD.saturating_sub(hand.held_len());
                    of(missing).max(at_least).min(most)
                }
                false => limit.saturating_sub(missing.due),
            }
        };
        let mut may_be_more = false;
        let asked = missing(|missing| missing.backlog);
        if asked > 0 && self.is_to_look_for_references() {
            let references = self
                .fetch_written(&self.link.again_workers, asked, &self.referred_to)
                .await?;
            may_be_more = references.len() >= asked;
            self.looked_for_references(references.len());
            self.take_all(references, now, Way::Reference(0)).await?;
        }
        let asked = missing(|missing| missing.live);
        if asked > 0 {
            let events = self
                .fetch_written(&self.link.workers, asked, &self.appended_to)
                .await?;
            may_be_more |= events.len() >= asked;
            self.take_all(events, now, Way::Event).await?;
        }
        Ok(may_be_more)
    }

    /// All at once, since some have to be looked up. One that cannot be now keeps nobody else; the servers give it out again after the
    /// ack wait.
    async fn take_all(&self, given: Vec<Given>, now: i64, way: Way) -> Result<(), InboxError> {
        let taking = given.into_iter().map(|given| async move {
            let reply = given.ticket.reply.clone();
            let taken = match way {
                Way::Event => self.take_event(given, now).await,
                Way::Reference(_) => self.take_reference(given, now).await,
            };
            match taken {
                // Whoever wrote its record may know what is to be done; nothing is lost until then.
                Err(error) if error.kind() == InboxErrorKind::Version => {
                    tracing::error!(%error, "a delivery is put off");
                    self.say(&reply, AckKind::Nak(Some(PUT_OFF))).await
                }
                taken => taken,
            }
        });
        let taken = futures_util::future::join_all(taking).await;
        taken.into_iter().collect()
    }

    /// Gets what there is, at least what this process has written: a consumer hears of that a little later than the writer.
    async fn fetch_written(
        &self,
        consumer: &PullConsumer,
        limit: usize,
        written_to: &AtomicU64,
    ) -> Result<Vec<Given>, InboxError> {
        let deadline = Instant::now() + CATCH_UP_TIME;
        loop {
            let given = self.fetch_from(consumer, limit).await?;
            let last = written_to.load(Ordering::Relaxed);
            let is_reached = given.iter().any(|given| given.sequence >= last);
            if last == 0 || !given.is_empty() {
                if is_reached {
                    let _ =
                        written_to.compare_exchange(last, 0, Ordering::Relaxed, Ordering::Relaxed);
                }
                return Ok(given);
            }
            // Others may have got it.
            let given_out_to = self
                .consumer_info(consumer)
                .await?
                .delivered
                .stream_sequence;
            if given_out_to >= last || Instant::now() >= deadline {
                let _ = written_to.compare_exchange(last, 0, Ordering::Relaxed, Ordering::Relaxed);
                return Ok(given);
            }
            tokio::time::sleep(CATCH_UP_PAUSE).await;
        }
    }

    async fn fetch_from(
        &self,
        consumer: &PullConsumer,
        limit: usize,
    ) -> Result<Vec<Given>, InboxError> {
        let fetching = async {
            let fetch = consumer.fetch().max_messages(limit).messages().await;
            let mut fetched = fetch.map_err(|error| self.link.cannot("fetch from", error))?;
            let mut messages = Vec::new();
            while let Some(message) = fetched.next().await {
                let message = message.map_err(|error| self.link.cannot("fetch from", error))?;
                messages.push(message);
            }
            Ok(messages)
        };
        let fetched = tokio::time::timeout(FETCH_TIME, fetching).await;
        if !matches!(fetched, Ok(Ok(_))) {
            self.link.pulse.unanswered(&self.link.client);
        }
        let messages = fetched.map_err(|_| {
            InboxError::new(
                InboxErrorKind::Storage,
                format!(
                    "the consumer `{}` does not answer",
                    consumer.cached_info().name
                ),
            )
        })??;
        // Nothing else comes from a consumer.
        Ok(messages.into_iter().filter_map(Given::read).collect())
    }

    async fn take_event(&self, given: Given, now: i64) -> Result<(), InboxError> {
        let Given {
            message,
            ticket,
            sequence,
            stored_at,
        } = given;
        if self.hand().renew(sequence, &ticket) {
            return Ok(());
        }
        let headers = message.headers.unwrap_or_default();
        let event = Stored::read(sequence, stored_at, &headers, message.payload);
        let is_first =
            ticket.delivered == 1 && event.past.is_none() && !self.link.may_be_forgotten(stored_at);
        let found = match is_first {
            true => None,
            false => self.link.record(sequence).await?,
        };
        self.take(event, ticket, found, now).await
    }

    async fn take_reference(&self, given: Given, now: i64) -> Result<(), InboxError> {
        let Given {
            message,
            mut ticket,
            ..
        } = given;
        let generation = Reference::read(&message.payload);
        let Some((sequence, generation)) = number_of(&message.subject).zip(generation) else {
            return self.say(&ticket.reply, AckKind::Term).await;
        };
        ticket.way = Way::Reference(generation);
        if self.hand().renew(sequence, &ticket) {
            return Ok(());
        }
        let found = self.link.record(sequence).await?;
        let Some(event) = self.link.event(sequence).await? else {
            // It was deleted meanwhile.
            return self.say(&ticket.reply, AckKind::Ack).await;
        };
        self.take(event, ticket, found, now).await
    }

    /// Holds what is to be handed out, and ends the rest.
    async fn take(
        &self,
        event: Stored,
        ticket: Ticket,
        found: Option<Found>,
        now: i64,
    ) -> Result<(), InboxError> {
        let received_at = to_micros(event.received_at);
        let record = found.as_ref().map(|found| &found.record);
        match ticket.step(received_at, event.past, record, now) {
            Step::Drop => self.say(&ticket.reply, AckKind::Ack).await,
            Step::Refer(generation) => {
                self.refer_if_missing(event.sequence, generation).await?;
                self.say(&ticket.reply, AckKind::Ack).await
            }
            Step::HandOut(next) => {
                let wait = Duration::from_micros(u64::try_from(next.due_at - now).unwrap_or(0));
                let is_full = self.hand().held_len() >= MAX_HELD;
                if wait > LONGEST_HELD || (is_full && !wait.is_zero()) {
                    return self.say(&ticket.reply, AckKind::Nak(Some(wait))).await;
                }
                let envelope = Envelope::from_slice(&event.body).ok();
                let event_type = envelope.map(|envelope| envelope.event_name().to_owned());
                self.hand().hold(Held {
                    event,
                    event_type,
                    ticket,
                    next,
                    found,
                    heard_at: Instant::now(),
                });
                Ok(())
            }
        }
    }

    /// Hands out what is due of what is held.
    async fn take_due(
        &self,
        request: &ClaimRequest,
        turns: &[Turn],
        now: i64,
    ) -> Result<Claim, InboxError> {
        let mut claim = Claim::default();
        let mut outs: Vec<(u64, Out)> = Vec::new();
        let mut left = RoomLeft::of(request);
        'turns: for turn in turns {
            loop {
                let taken = self.hand().take_due(request, *turn, &mut left, now);
                let Some(held) = taken else {
                    break;
                };
                let (sequence, kept) = (held.event.sequence, held.clone());
                match self.begin(held, now).await {
                    Ok(Some((claimed, out))) => {
                        claim.deliveries.push(claimed);
                        outs.push((sequence, out));
                    }
                    Ok(None) => {}
                    Err(error) => {
                        self.hand().hold(kept);
                        if claim.deliveries.is_empty() {
                            return Err(error);
                        }
                        break 'turns;
                    }
                }
            }
        }
        // Nothing is awaited from here on: what is out is told to the caller.
        let mut hand = self.hand();
        for (sequence, out) in outs {
            hand.hand_out(sequence, out);
        }
        if claim.len() < request.limit() {
            claim.next_due = hand.next_due(now).map(crate::time::from_micros);
        }
        drop(hand);
        Ok(claim)
    }

    /// Writes down that it is handed out, except for the first time; `None` when it is not to be, by what was written meanwhile.
    async fn begin(&self, held: Held, now: i64) -> Result<Option<(Claimed, Out)>, InboxError> {
        let id = self.link.id(held.event.sequence);
        if held.ticket.way == Way::Event && held.next.attempt == 1 && held.found.is_none() {
            return Ok(Some((held.claimed(id), held.out(false))));
        }
        let mut held = held;
        loop {
            let (mut record, revision) = match &held.found {
                Some(found) => (found.record.clone(), found.revision),
                None => (Record::new(), 0),
            };
            record.begin(held.next.attempt, now);
            let written = self
                .link
                .write_record(held.event.sequence, &record, revision)
                .await?;
            if written.is_some() {
                return Ok(Some((held.claimed(id), held.out(true))));
            }
            let found = self.link.record(held.event.sequence).await?;
            let record = found.as_ref().map(|found| &found.record);
            let received_at = to_micros(held.event.received_at);
            match held.ticket.step(received_at, held.event.past, record, now) {
                Step::HandOut(next) if next.due_at <= now => {
                    held.next = next;
                    held.found = found;
                }
                Step::HandOut(_) | Step::Drop | Step::Refer(_) => {
                    self.take(held.event, held.ticket, found, now).await?;
                    return Ok(None);
                }
            }
        }
    }

    fn is_to_look_for_references(&self) -> bool {
        self.may_be_references.load(Ordering::Relaxed)
            || self.looked_at().elapsed() > LOOK_FOR_REFERENCES
    }

    fn looked_for_references(&self, found: usize) {
        self.may_be_references.store(found > 0, Ordering::Relaxed);
        self.set_looked_at(Instant::now());
    }
}

async fn extend(shared: Weak<Shared>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        if !shared.link.is_connected() {
            continue;
        }
        let (at, replies) = (Instant::now(), shared.hand().replies());
        let mut is_heard = true;
        for reply in replies {
            is_heard &= shared.say(&reply, AckKind::Progress).await.is_ok();
        }
        if is_heard {
            shared.hand().heard(at);
        }
    }
}

/// How many may wait here for their time; beyond, the servers are asked to give them out later.
const MAX_HELD: usize = 1000;

/// For how long to look for more than what is found to be due.
const LOOKING_TIME: Duration = Duration::from_millis(100);

/// What is due later than that is given back until then.
const LONGEST_HELD: Duration = Duration::from_secs(60);

/// How many are asked for at a time past what waits for a full destination.
const MOST_AT_LEAST: usize = 64;

/// Two looks at a clock may differ by that much without anything being wrong.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

/// When to try again what another version has to handle.
const PUT_OFF: Duration = Duration::from_secs(60);

/// How often to look for references when nothing tells that there are some.
const LOOK_FOR_REFERENCES: Duration = Duration::from_millis(250);

/// How long a consumer may need to hear of what was written, and how often it is asked.
const CATCH_UP_TIME: Duration = Duration::from_secs(1);
const CATCH_UP_PAUSE: Duration = Duration::from_millis(1);

/// The servers answer at once that there is nothing; a cluster may just have no leader.
const FETCH_TIME: Duration = Duration::from_secs(3);
