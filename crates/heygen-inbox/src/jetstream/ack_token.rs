//! [`AckToken`]: under what the servers delivered something, and the [`Step`] that follows from its
//! record.

use async_nats::Subject;

use super::record::{Record, RecordState};
use crate::record::State;

/// Under what the servers delivered it.
#[derive(Clone, Debug)]
pub(super) struct AckToken {
    /// The subject that acknowledgements go to.
    pub(super) reply: Subject,
    pub(super) origin: Origin,
    /// How often the servers delivered it.
    pub(super) delivered: u32,
}

/// As what it was delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// As the event itself.
    Event,
    /// As a reference to it, of this generation.
    Reference(u32),
}

/// What to do with something the servers delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Acknowledge it: it is finished, or is dispatched from elsewhere.
    Drop,
    /// Acknowledge it, once there is the reference that its record asks for.
    Refer,
    /// Dispatch it.
    Dispatch(NextAttempt),
}

/// The next attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NextAttempt {
    pub(super) attempt: u32,
    pub(super) first_attempt: u32,
    pub(super) due_at: i64,
}

impl AckToken {
    /// Decides by the record. An event is dispatched from one source at a time: from itself until
    /// its first reference is made, then from its newest reference.
    pub(super) fn step(&self, imported: Option<State>, record: &Record, now: i64) -> Step {
        let known = match record.is_begun() {
            true => Some(record.state()),
            // In the inbox it is imported from; its record follows.
            false => imported,
        };
        if matches!(known, Some(State::Acknowledged | State::DeadLettered)) {
            return Step::Drop;
        }
        let (state, generation) = (record.state, record.generation);
        let received_at = record.received_at;
        let first_attempt = record.first_attempt.max(1);
        match self.origin {
            Origin::Event if generation > 0 && state == RecordState::Pending => Step::Refer,
            Origin::Event if generation > 0 => Step::Drop,
            Origin::Event => Step::Dispatch(NextAttempt {
                // Only its first dispatch has no record. Other deliveries of it were given back, or
                // expired before they were dispatched, and are no attempts.
                attempt: (record.dispatched + 1).max(self.delivered.min(2)),
                first_attempt,
                due_at: not_of_a_wrong_clock(received_at, received_at, now),
            }),
            // The process that recorded the newer one may have died before it made the reference.
            Origin::Reference(of) if of < generation && state == RecordState::Pending => {
                Step::Refer
            }
            Origin::Reference(of) if of != generation => Step::Drop,
            Origin::Reference(_) => Step::Dispatch(NextAttempt {
                attempt: record.dispatched + 1,
                first_attempt,
                due_at: match state {
                    RecordState::Pending => {
                        let asked_at = record.last_started_at().unwrap_or(now);
                        not_of_a_wrong_clock(record.due_at, asked_at, now)
                    }
                    // The worker that had it is gone.
                    RecordState::Claimed
                    | RecordState::Acknowledged
                    | RecordState::DeadLettered => now,
                },
            }),
        }
    }
}

/// When something is due, unless the clock that set the time was far ahead: then at once.
fn not_of_a_wrong_clock(due_at: i64, asked_at: i64, now: i64) -> i64 {
    let is_ahead = asked_at > now.saturating_add(AHEAD_MICROS);
    if is_ahead { due_at.min(now) } else { due_at }
}

/// By how much the clock of another machine may be ahead of ours.
const AHEAD_MICROS: i64 = 60_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::completion::Completion;
    use crate::id::DeliveryId;
    use crate::record::AttemptOutcome;
    use crate::time::from_micros;

    const NOW: i64 = 1_790_000_000_000_000;

    fn token(origin: Origin, delivered: u32) -> AckToken {
        AckToken {
            reply: Subject::from("reply"),
            origin,
            delivered,
        }
    }

    fn record(change: impl FnOnce(&mut Record)) -> Record {
        let mut record = Record::new();
        record.received_at = NOW;
        change(&mut record);
        record
    }

    #[track_caller]
    fn check(
        token: &AckToken,
        past: Option<State>,
        record: impl Into<Option<Record>>,
        expected: Step,
    ) {
        let record = record.into().unwrap_or_else(|| self::record(|_| ()));
        assert_eq!(token.step(past, &record, NOW), expected);
    }

    fn next(attempt: u32, first_attempt: u32) -> Step {
        Step::Dispatch(NextAttempt {
            attempt,
            first_attempt,
            due_at: NOW,
        })
    }

    #[test]
    fn an_event_leads_to_itself_until_there_is_a_reference() {
        let first = token(Origin::Event, 1);
        let again = token(Origin::Event, 3);
        check(&first, None, None, next(1, 1));
        check(&again, None, None, next(2, 1));
        check(
            &again,
            None,
            Some(record(|record| record.begin(2, NOW))),
            next(3, 1),
        );
        let repeated = record(|record| record.count_redelivery(std::time::UNIX_EPOCH, &[]));
        check(&again, None, Some(repeated), next(2, 1));
        for (state, step) in [
            (RecordState::Acknowledged, Step::Drop),
            (RecordState::DeadLettered, Step::Drop),
            (RecordState::Pending, Step::Refer),
            (RecordState::Claimed, Step::Drop),
        ] {
            let record = record(|record| {
                record.dispatched = 1;
                record.generation = 1;
                record.state = state;
            });
            check(&again, None, Some(record), step);
        }
    }

    #[test]
    fn what_was_finished_elsewhere_is_not_dispatched() {
        let first = token(Origin::Event, 1);
        check(&first, Some(State::Acknowledged), None, Step::Drop);
        check(&first, Some(State::DeadLettered), None, Step::Drop);
        check(&first, Some(State::Pending), None, next(1, 1));
        let tried = record(|record| record.dispatched = 3);
        check(&first, Some(State::Pending), Some(tried), next(4, 1));
        let replayed = record(|record| {
            record.dispatched = 3;
            record.replay(NOW);
        });
        check(
            &first,
            Some(State::Acknowledged),
            Some(replayed),
            Step::Refer,
        );
    }

    #[test]
    fn the_newest_reference_counts() {
        let retried = record(|record| {
            record.begin(1, NOW);
            let at = from_micros(NOW);
            let completion = Completion {
                id: DeliveryId::new(1, 0),
                attempt: 1,
                started_at: at,
                duration: Duration::ZERO,
                result: AttemptOutcome::Retry,
                detail: None,
                due_at: at,
                elapsed: Duration::ZERO,
                is_counted: true,
                is_released: false,
            };
            record.end(&completion);
        });
        assert_eq!(retried.generation, 1);
        let check = |of, delivered, record, expected| {
            check(
                &token(Origin::Reference(of), delivered),
                None,
                record,
                expected,
            );
        };
        check(1, 1, Some(retried.clone()), next(2, 1));
        check(1, 1, None, Step::Drop);
        let mut replayed = retried;
        replayed.replay(NOW);
        // That newer one may not have been made.
        check(1, 1, Some(replayed.clone()), Step::Refer);
        check(2, 9, Some(replayed.clone()), next(2, 2));
        // Its worker is gone.
        replayed.begin(2, NOW);
        check(1, 2, Some(replayed.clone()), Step::Drop);
        check(2, 2, Some(replayed.clone()), next(3, 2));
        replayed.state = RecordState::Acknowledged;
        check(2, 2, Some(replayed), Step::Drop);
    }

    #[test]
    fn a_clock_far_ahead_delays_nothing() {
        let year = 365 * 24 * 3600 * 1_000_000_i64;
        let due = |received_at| {
            let record = record(|record| record.received_at = received_at);
            match token(Origin::Event, 1).step(None, &record, NOW) {
                Step::Dispatch(next) => next.due_at,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(due(NOW + 30_000_000), NOW + 30_000_000);
        assert_eq!(due(NOW + year), NOW);
        let mut record = record(|record| record.begin(1, NOW + year));
        record.state = RecordState::Pending;
        record.generation = 1;
        record.due_at = NOW + year + 5;
        let step = |record: &Record| token(Origin::Reference(1), 1).step(None, record, NOW);
        assert!(matches!(step(&record), Step::Dispatch(next) if next.due_at == NOW + year + 5));
        record.set_attempts(&[crate::Attempt::new(
            1,
            from_micros(NOW + year),
            Duration::ZERO,
            AttemptOutcome::Retry,
        )]);
        assert!(matches!(step(&record), Step::Dispatch(next) if next.due_at == NOW));
    }
}
