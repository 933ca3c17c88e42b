//! [`EndedAttempt`]: what the inbox records of an attempt, and what observers see of it.

use std::time::{Duration, SystemTime};

use heygen_inbox::{AttemptOutcome, ClaimedDelivery, Completion};

use crate::handler::Disposition;
use crate::observer::{ObservedAttempt, Observers};
use crate::schedule::RetrySchedule;

/// An attempt that has ended.
pub(super) struct EndedAttempt<'a> {
    pub(super) claimed: &'a ClaimedDelivery,
    pub(super) started_at: SystemTime,
    pub(super) duration: Duration,
    /// Since the first attempt of the round began.
    pub(super) elapsed: Duration,
}

impl EndedAttempt<'_> {
    /// The record of the attempt: acknowledged, dead-lettered, or due again at a time.
    pub(super) fn completion(
        &self,
        disposition: Disposition,
        schedule: &RetrySchedule,
    ) -> Completion {
        match disposition {
            Disposition::Ack => self.record(AttemptOutcome::Acknowledged, None),
            Disposition::AckWithNote { note } => {
                self.record(AttemptOutcome::Acknowledged, Some(note))
            }
            Disposition::DeadLetter { reason } => {
                self.record(AttemptOutcome::DeadLettered, Some(reason))
            }
            Disposition::Retry { after, reason } => {
                let (attempt, id) = (self.attempt_of_round(), self.claimed.id);
                match schedule.next_wait(attempt, self.elapsed, after, id) {
                    Some(wait) => self
                        .record(AttemptOutcome::Retry, Some(reason))
                        .due_at(self.due_after(wait))
                        .elapsed(self.elapsed.saturating_add(wait)),
                    None => self.given_up(&reason, attempt),
                }
            }
            Disposition::Pause { after, reason } => {
                if self.elapsed >= schedule.max_elapsed {
                    return self.given_up(&reason, self.attempt_of_round());
                }
                self.record(AttemptOutcome::Retry, Some(reason))
                    .due_at(self.due_after(after))
                    .elapsed(self.elapsed + after)
                    .uncounted()
            }
        }
    }

    pub(super) fn notify(&self, observers: &Observers, completion: &Completion, max_attempts: u32) {
        if observers.is_empty() {
            return;
        }
        let ended_at = completion.started_at + completion.duration;
        let retry_in = (completion.result == AttemptOutcome::Retry).then(|| {
            let wait = completion.due_at.duration_since(ended_at);
            wait.unwrap_or_default()
        });
        observers.attempted(&ObservedAttempt {
            id: completion.id,
            number: completion.attempt,
            event_type: self.claimed.event_type.as_deref(),
            result: completion.result,
            detail: completion.detail.as_deref(),
            duration: completion.duration,
            retry_in,
            counted: completion.is_counted.then(|| self.attempt_of_round()),
            max_attempts: (max_attempts < u32::MAX).then_some(max_attempts),
        });
    }

    fn record(&self, result: AttemptOutcome, detail: Option<String>) -> Completion {
        Completion::new(self.claimed, self.started_at, self.duration, result)
            .detail(detail)
            .elapsed(self.elapsed)
    }

    fn given_up(&self, reason: &str, attempts: u32) -> Completion {
        let attempts = match attempts {
            1 => "1 attempt".to_owned(),
            attempts => format!("{attempts} attempts"),
        };
        let after = in_words(self.elapsed);
        let detail = format!("gave up after {after} and {attempts}; last: {reason}");
        self.record(AttemptOutcome::DeadLettered, Some(detail))
    }

    /// Measured from the recorded start, so that a clock that was set during the attempt does not
    /// lengthen the wait.
    fn due_after(&self, wait: Duration) -> SystemTime {
        let ended_at = self.started_at + self.duration;
        ended_at.checked_add(wait).unwrap_or(ended_at + NEVER)
    }

    /// A replay starts the schedule again, while attempt numbers go on. Attempts that ended with
    /// the process or with a pause do not count.
    fn attempt_of_round(&self) -> u32 {
        let before = self
            .claimed
            .attempt
            .saturating_sub(self.claimed.first_attempt);
        before.saturating_sub(self.claimed.uncounted) + 1
    }
}

/// How much of the time for retries was used before this attempt.
///
/// Time counts while the delivery was due but its destination was paused or full. Time does not
/// count while the process did not run.
pub(super) fn elapsed_before(
    claimed: &ClaimedDelivery,
    now: SystemTime,
    running_for: Duration,
) -> Duration {
    if claimed.elapsed.is_zero() {
        return Duration::ZERO;
    }
    let overdue = now.duration_since(claimed.due_at).unwrap_or_default();
    // At most the longest pause: beyond that the machine slept, or its clock jumped.
    let overdue = overdue.min(running_for).min(MAX_PAUSE);
    claimed.elapsed.saturating_add(overdue)
}

/// `40 s`, `12 min`, `24 h`: with one decimal at most.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (number, unit) = match seconds {
        ..120.0 => (seconds, "s"),
        ..7200.0 => (seconds / 60.0, "min"),
        _ => (seconds / 3600.0, "h"),
    };
    let number = (number * 10.0).round() / 10.0;
    format!("{number} {unit}")
}

/// The longest pause of a destination.
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(3600);

/// A hundred years, for a wait past the end of the clock.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use heygen_inbox::{ClaimRequest, Inbox as _};

    use super::*;

    #[test]
    fn times_in_words() {
        let check =
            |seconds, expected| assert_eq!(in_words(Duration::from_secs_f64(seconds)), expected);
        check(0.04, "0 s");
        check(1.26, "1.3 s");
        check(119.0, "119 s");
        check(300.0, "5 min");
        check(86_400.0, "24 h");
        check(9_000.0, "2.5 h");
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn claimed() -> ClaimedDelivery {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let claim = runtime.expect("a runtime").block_on(async {
            let inbox = heygen_inbox::MemoryInbox::new();
            let source = heygen_inbox::Source::Webhook;
            let body = r#"{"event_type":"a.b","event_data":{}}"#.into();
            let delivery = heygen_inbox::NewDelivery::new(at(0), source, Vec::new(), body);
            inbox.append(delivery).await.expect("room");
            inbox
                .claim(ClaimRequest::due(1, at(0)))
                .await
                .expect("a claim")
        });
        claim.deliveries.into_iter().next().expect("one is due")
    }

    /// A clock that is set while a handler runs changes nothing: the start and the duration count.
    #[test]
    fn clock_change_during_an_attempt_does_not_move_the_next() {
        let claimed = claimed();
        let attempt = EndedAttempt {
            claimed: &claimed,
            started_at: at(1000),
            duration: Duration::from_secs(20),
            elapsed: Duration::from_secs(20),
        };
        for disposition in [
            Disposition::Retry {
                after: Some(Duration::from_secs(30)),
                reason: String::new(),
            },
            Disposition::pause(Duration::from_secs(30), ""),
        ] {
            let completion = attempt.completion(disposition, &RetrySchedule::default());
            assert_eq!(completion.due_at, at(1050));
            assert_eq!(completion.elapsed, Duration::from_secs(50));
        }
    }

    /// The inbox stored the name with the delivery; the body is not parsed for it.
    #[test]
    fn observers_see_the_stored_name() {
        struct Names(std::sync::Mutex<Vec<Option<String>>>);

        impl crate::Observer for Arc<Names> {
            fn attempted(&self, attempt: &ObservedAttempt<'_>) {
                let name = attempt.event_type.map(ToOwned::to_owned);
                self.0.lock().expect("no panic").push(name);
            }
        }

        let names = Arc::new(Names(std::sync::Mutex::default()));
        let mut observers = Observers::default();
        observers.add(Arc::clone(&names));
        let mut claimed = claimed();
        for stored in [Some("as.stored".to_owned()), None] {
            claimed.event_type = stored;
            let attempt = EndedAttempt {
                claimed: &claimed,
                started_at: at(1000),
                duration: Duration::ZERO,
                elapsed: Duration::ZERO,
            };
            let completion = attempt.completion(Disposition::Ack, &RetrySchedule::default());
            attempt.notify(&observers, &completion, u32::MAX);
        }
        let expected = [Some("as.stored".to_owned()), None];
        assert_eq!(*names.0.lock().expect("no panic"), expected);
    }

    #[test]
    fn time_while_the_process_did_not_run_is_not_counted() {
        let seconds = Duration::from_secs;
        let mut claimed = claimed();
        claimed.due_at = at(1000);
        assert_eq!(elapsed_before(&claimed, at(5000), seconds(9)), seconds(0));
        claimed.elapsed = seconds(60);
        assert_eq!(elapsed_before(&claimed, at(5000), seconds(9)), seconds(69));
        assert_eq!(elapsed_before(&claimed, at(1002), seconds(9)), seconds(62));
        assert_eq!(elapsed_before(&claimed, at(0), seconds(9)), seconds(60));
    }
}
