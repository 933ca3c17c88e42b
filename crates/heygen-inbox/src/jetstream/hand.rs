//! [`Hand`]: what this process got from the servers and has not ended yet.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::Duration;

use async_nats::Subject;
use tokio::time::Instant;

use super::message::Stored;
use super::record::{Found, Record, Word};
use crate::claim::{RoomLeft, Turn};
use crate::time::from_micros;
use crate::{ClaimRequest, Claimed, DeliveryId, State};

/// What this process got from the servers and has not ended yet. Until it has, the servers are told that it is being worked on.
#[derive(Debug, Default)]
pub(super) struct Hand {
    /// Waits here for its time, by that time and its place in the stream.
    held: BTreeMap<(i64, u64), Held>,
    /// With a handler.
    out: HashMap<u64, Out>,
}

/// A delivery that waits for its time.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) event: Stored,
    pub(super) event_type: Option<String>,
    pub(super) ticket: Ticket,
    pub(super) next: Next,
    /// What stood about it when it was taken, to be written anew when it is handed out.
    pub(super) found: Option<Found>,
    /// When the servers last heard that somebody has it.
    pub(super) heard_at: Instant,
}

/// A delivery that is with a handler.
#[derive(Clone, Debug)]
pub(super) struct Out {
    pub(super) event: Stored,
    pub(super) ticket: Ticket,
    pub(super) attempt: u32,
    /// Whether a record says that it was handed out. The first time, none does: that would double the writing.
    pub(super) is_recorded: bool,
}

/// For how many more than what is due here there is room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing {
    /// How many of what is due here there is room for.
    pub(super) due: usize,
    pub(super) live: usize,
    pub(super) backlog: usize,
}

/// What the servers gave it out under.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    /// Where to say how it ended.
    pub(super) reply: Subject,
    pub(super) way: Way,
    /// How often the servers gave it out.
    pub(super) delivered: u32,
}

/// Which way it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// As the event itself.
    Event,
    /// As a reference to it, of this generation.
    Reference(u32),
}

/// What is to be done with something the servers gave out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Nothing more: it is finished, or another way leads to it.
    Drop,
    /// Nothing more on this way; that there is a reference of this generation is to be made certain.
    Refer(u32),
    /// It is to be handed out.
    HandOut(Next),
}

/// The next handing-out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Next {
    pub(super) attempt: u32,
    pub(super) first_attempt: u32,
    pub(super) due_at: i64,
}

impl Ticket {
    /// Decides by what is recorded. Each event is led to one way at a time: by itself, until the first reference is made, and from
    /// then on by the newest reference.
    pub(super) fn step(
        &self,
        received_at: i64,
        past: Option<State>,
        record: Option<&Record>,
        now: i64,
    ) -> Step {
        let generation = record.map_or(0, |record| record.generation);
        let state = match record {
            Some(record) if record.is_begun() => record.state,
            // It was finished where it was carried from, and its record is on its way.
            _ => match past {
                Some(State::Done) => Word::Done,
                Some(State::Dead) => Word::Dead,
                Some(State::Pending | State::Claimed | State::Interrupted) | None => Word::Pending,
            },
        };
        if matches!(state, Word::Done | Word::Dead) {
            return Step::Drop;
        }
        let handed_out = record.map_or(0, |record| record.handed_out);
        let first_attempt = record.map_or(1, |record| record.first_attempt.max(1));
        match self.way {
            Way::Event if generation > 0 && state == Word::Pending => Step::Refer(generation),
            Way::Event if generation > 0 => Step::Drop,
            Way::Event => Step::HandOut(Next {
                attempt: (handed_out + 1).max(self.delivered),
                first_attempt,
                due_at: not_of_a_wrong_clock(received_at, received_at, now),
            }),
            // Whoever recorded what is newer may have ended before it made the reference.
            Way::Reference(of) if of < generation && state == Word::Pending => {
                Step::Refer(generation)
            }
            Way::Reference(of) if of != generation => Step::Drop,
            Way::Reference(_) => Step::HandOut(Next {
                attempt: handed_out + 1,
                first_attempt,
                due_at: match record {
                    Some(record) if state == Word::Pending => {
                        let asked_at = record.last_started_at().unwrap_or(now);
                        not_of_a_wrong_clock(record.due_at, asked_at, now)
                    }
                    // Whoever had it is gone.
                    _ => now,
                },
            }),
        }
    }
}

/// When something is due, unless the clock that said so was far ahead: then at once.
fn not_of_a_wrong_clock(due_at: i64, asked_at: i64, now: i64) -> i64 {
    let is_ahead = asked_at > now.saturating_add(AHEAD_MICROS);
    if is_ahead { due_at.min(now) } else { due_at }
}

impl Hand {
    pub(super) fn hold(&mut self, held: Held) {
        let key = (held.next.due_at, held.event.sequence);
        // Given out anew, so that what was given out before is void.
        self.held.retain(|(_, sequence), _| *sequence != key.1);
        self.held.insert(key, held);
    }

    pub(super) fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    pub(super) fn held_len(&self) -> usize {
        self.held.len()
    }

    /// How many of those that wait came as the event itself.
    pub(super) fn held_events_len(&self) -> u64 {
        let held = self.held.values();
        held.filter(|held| held.ticket.way == Way::Event).count() as u64
    }

    /// How many of those with a handler came by a reference.
    pub(super) fn out_references_len(&self) -> u64 {
        let out = self.out.values();
        out.filter(|out| out.ticket.way != Way::Event).count() as u64
    }

    /// For how many more than what is due here there is room.
    pub(super) fn missing(&self, request: &ClaimRequest, now: i64) -> Missing {
        let (mut live, mut backlog) = (RoomLeft::of(request), RoomLeft::of(request));
        let mut due = 0;
        for held in self.held.range(..=(now, u64::MAX)).map(|(_, held)| held) {
            let destination = request.destination(held.event_type.as_deref());
            let (left, turn) = match held.is_live() {
                true => (&mut live, Turn::Live),
                false => (&mut backlog, Turn::Backlog),
            };
            if left.in_turn(destination, turn) > 0 {
                left.take(destination, held.is_live());
                due += 1;
            }
        }
        Missing {
            due,
            live: live.total(Turn::Live),
            backlog: backlog.total(Turn::Backlog),
        }
    }

    pub(super) fn next_due(&self, now: i64) -> Option<i64> {
        let mut later = self
            .held
            .range((Bound::Excluded((now, u64::MAX)), Bound::Unbounded));
        later.next().map(|((due_at, _), _)| *due_at)
    }

    /// The longest due of those whose turn it is and for which there is room.
    pub(super) fn take_due(
        &mut self,
        request: &ClaimRequest,
        turn: Turn,
        left: &mut RoomLeft,
        now: i64,
    ) -> Option<Held> {
        let mut due = self.held.range(..=(now, u64::MAX));
        let (key, destination) = due.find_map(|(key, held)| {
            let is_of_turn = match turn {
                Turn::Due => true,
                Turn::Live => held.is_live(),
                Turn::BacklogFirst | Turn::Backlog => !held.is_live(),
            };
            let destination = request.destination(held.event_type.as_deref());
            (is_of_turn && left.in_turn(destination, turn) > 0).then_some((*key, destination))
        })?;
        let held = self.held.remove(&key)?;
        left.take(destination, held.is_live() && turn != Turn::Due);
        Some(held)
    }

    /// Nothing waits here for longer than that: what would was put here by a clock that has been set back, and is due now.
    pub(super) fn correct_times(&mut self, now: i64, longest: Duration) {
        let longest = i64::try_from(longest.as_micros()).unwrap_or(i64::MAX);
        let first = (now.saturating_add(longest), u64::MAX);
        for ((_, sequence), mut held) in self.held.split_off(&first) {
            held.next.due_at = now;
            self.held.insert((now, sequence), held);
        }
    }

    /// What nobody may have any more, since the servers have not heard from us for so long: they give it to others.
    pub(super) fn drop_unheard(&mut self, ack_wait: Duration) {
        self.held
            .retain(|_, held| held.heard_at.elapsed() < ack_wait);
    }

    pub(super) fn is_held(&self, sequence: u64) -> bool {
        self.held.keys().any(|(_, held)| *held == sequence)
    }

    pub(super) fn out(&self, sequence: u64) -> Option<&Out> {
        self.out.get(&sequence)
    }

    pub(super) fn hand_out(&mut self, sequence: u64, out: Out) {
        self.out.insert(sequence, out);
    }

    /// The servers gave out anew what a handler of ours still has: from now on that counts. What comes another way is something
    /// else: the handing-out after this one.
    pub(super) fn renew(&mut self, sequence: u64, ticket: &Ticket) -> bool {
        match self.out.get_mut(&sequence) {
            Some(out) if out.ticket.way == ticket.way => {
                out.ticket = ticket.clone();
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn ended(&mut self, sequence: u64, attempt: u32) {
        if self
            .out
            .get(&sequence)
            .is_some_and(|out| out.attempt == attempt)
        {
            self.out.remove(&sequence);
        }
    }

    /// Where to say that all of it is being worked on.
    pub(super) fn replies(&self) -> Vec<Subject> {
        let held = self.held.values().map(|held| &held.ticket.reply);
        let out = self.out.values().map(|out| &out.ticket.reply);
        held.chain(out).cloned().collect()
    }

    pub(super) fn heard(&mut self, at: Instant) {
        for held in self.held.values_mut() {
            held.heard_at = at;
        }
    }

    /// Everything that waits, which then waits no more.
    pub(super) fn let_go(&mut self) -> Vec<Subject> {
        let held = std::mem::take(&mut self.held);
        held.into_values().map(|held| held.ticket.reply).collect()
    }
}

impl Held {
    /// Whether it waits for its first attempt.
    pub(super) fn is_live(&self) -> bool {
        self.ticket.way == Way::Event
    }

    pub(super) fn claimed(&self, id: DeliveryId) -> Claimed {
        let Next {
            attempt,
            first_attempt,
            due_at,
        } = self.next;
        let record = self.found.as_ref().map(|found| &found.record);
        let (interrupted, unknown) = match record {
            Some(record) => record.interrupted(first_attempt, attempt),
            None => Record::new().interrupted(first_attempt, attempt),
        };
        let uncounted = record.map_or(0, |record| record.uncounted) + unknown;
        Claimed {
            id,
            received_at: self.event.received_at,
            source: self.event.source,
            attempt,
            first_attempt,
            uncounted,
            interrupted,
            elapsed: Duration::from_micros(record.map_or(0, |record| record.elapsed)),
            due_at: from_micros(due_at),
            is_live: self.is_live(),
            event_type: self.event_type.clone(),
            headers: self.event.headers.clone(),
            body: self.event.body.clone(),
        }
    }

    pub(super) fn out(self, is_recorded: bool) -> Out {
        Out {
            event: self.event,
            ticket: self.ticket,
            attempt: self.next.attempt,
            is_recorded,
        }
    }
}

/// By how much the clock of another machine may be ahead of ours.
const AHEAD_MICROS: i64 = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttemptResult, Completion};

    const NOW: i64 = 1_790_000_000_000_000;

    fn ticket(way: Way, delivered: u32) -> Ticket {
        Ticket {
            reply: Subject::from("reply"),
            way,
            delivered,
        }
    }

    fn record(change: impl FnOnce(&mut Record)) -> Record {
        let mut record = Record::new();
        change(&mut record);
        record
    }

    #[track_caller]
    fn check(
        ticket: &Ticket,
        past: Option<State>,
        record: impl Into<Option<Record>>,
        expected: Step,
    ) {
        let record = record.into();
        assert_eq!(ticket.step(NOW, past, record.as_ref(), NOW), expected);
    }

    fn next(attempt: u32, first_attempt: u32) -> Step {
        Step::HandOut(Next {
            attempt,
            first_attempt,
            due_at: NOW,
        })
    }

    #[test]
    fn an_event_leads_to_itself_until_there_is_a_reference() {
        let first = ticket(Way::Event, 1);
        let again = ticket(Way::Event, 3);
        check(&first, None, None, next(1, 1));
        check(&again, None, None, next(3, 1));
        check(
            &again,
            None,
            Some(record(|record| record.begin(2, NOW))),
            next(3, 1),
        );
        let repeated = record(|record| record.repeat(std::time::UNIX_EPOCH, &[]));
        check(&again, None, Some(repeated), next(3, 1));
        for (state, step) in [
            (Word::Done, Step::Drop),
            (Word::Dead, Step::Drop),
            (Word::Pending, Step::Refer(1)),
            (Word::Claimed, Step::Drop),
        ] {
            let record = record(|record| {
                record.handed_out = 1;
                record.generation = 1;
                record.state = state;
            });
            check(&again, None, Some(record), step);
        }
    }

    #[test]
    fn what_was_finished_elsewhere_is_not_handed_out() {
        let first = ticket(Way::Event, 1);
        check(&first, Some(State::Done), None, Step::Drop);
        check(&first, Some(State::Dead), None, Step::Drop);
        check(&first, Some(State::Pending), None, next(1, 1));
        let tried = record(|record| record.handed_out = 3);
        check(&first, Some(State::Pending), Some(tried), next(4, 1));
        let replayed = record(|record| {
            record.handed_out = 3;
            record.replay(NOW);
        });
        check(&first, Some(State::Done), Some(replayed), Step::Refer(1));
    }

    #[test]
    fn the_newest_reference_counts() {
        let retried = record(|record| {
            record.begin(1, NOW);
            let claimed = Claimed {
                id: DeliveryId::new(1, 0),
                received_at: from_micros(NOW),
                source: crate::Source::Webhook,
                attempt: 1,
                first_attempt: 1,
                uncounted: 0,
                interrupted: 0,
                elapsed: Duration::ZERO,
                due_at: from_micros(NOW),
                is_live: true,
                event_type: None,
                headers: Vec::new(),
                body: bytes::Bytes::new(),
            };
            let finish = Completion::new(
                &claimed,
                from_micros(NOW),
                Duration::ZERO,
                AttemptResult::Retry,
            );
            record.end(&finish);
        });
        assert_eq!(retried.generation, 1);
        check(
            &ticket(Way::Reference(1), 1),
            None,
            Some(retried.clone()),
            next(2, 1),
        );
        check(&ticket(Way::Reference(1), 1), None, None, Step::Drop);
        let mut replayed = retried;
        replayed.replay(NOW);
        // That newer one may not have been made.
        check(
            &ticket(Way::Reference(1), 1),
            None,
            Some(replayed.clone()),
            Step::Refer(2),
        );
        check(
            &ticket(Way::Reference(2), 9),
            None,
            Some(replayed.clone()),
            next(2, 2),
        );
        // Its worker is gone.
        replayed.begin(2, NOW);
        check(
            &ticket(Way::Reference(1), 2),
            None,
            Some(replayed.clone()),
            Step::Drop,
        );
        check(
            &ticket(Way::Reference(2), 2),
            None,
            Some(replayed.clone()),
            next(3, 2),
        );
        replayed.state = Word::Done;
        check(
            &ticket(Way::Reference(2), 2),
            None,
            Some(replayed),
            Step::Drop,
        );
    }

    #[test]
    fn a_clock_far_ahead_delays_nothing() {
        let year = 365 * 24 * 3600 * 1_000_000_i64;
        let due = |received_at| match ticket(Way::Event, 1).step(received_at, None, None, NOW) {
            Step::HandOut(next) => next.due_at,
            other => panic!("{other:?}"),
        };
        assert_eq!(due(NOW + 30_000_000), NOW + 30_000_000);
        assert_eq!(due(NOW + year), NOW);
        let mut record = record(|record| record.begin(1, NOW + year));
        record.state = Word::Pending;
        record.generation = 1;
        record.due_at = NOW + year + 5;
        let step = |record: &Record| ticket(Way::Reference(1), 1).step(0, None, Some(record), NOW);
        assert!(matches!(step(&record), Step::HandOut(next) if next.due_at == NOW + year + 5));
        record.set_attempts(&[crate::Attempt::new(
            1,
            from_micros(NOW + year),
            Duration::ZERO,
            AttemptResult::Retry,
        )]);
        assert!(matches!(step(&record), Step::HandOut(next) if next.due_at == NOW));
    }
}
