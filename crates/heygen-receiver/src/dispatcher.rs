//! [`Dispatcher`]: takes what is due out of the inbox, hands it to the handler, records how that went.

use std::fmt;
use std::future::{Future, pending, ready};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use heygen_inbox::{
    AttemptOutcome, Claim, ClaimRequest, ClaimedDelivery, Completion, DispatchOrder, Inbox,
    InboxError, InboxErrorKind, Room,
};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::caught::{self, caught};
use crate::delivery::Delivery;
use crate::destination::{Destinations, Slot};
use crate::handler::{Disposition, Handler};
use crate::observer::{ObservedAttempt, Observers};
use crate::schedule::RetrySchedule;

/// Takes what is due out of the inbox, hands it to the handler, and records how that went.
pub struct Dispatcher<I, H> {
    inbox: I,
    handler: Arc<H>,
    options: DispatchOptions,
}

/// How deliveries are handed out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DispatchOptions {
    /// How many deliveries each of the handler's [destinations](crate::Handler::destinations) has at a time. Default: 16.
    pub concurrency: usize,
    /// How long a handler may take before the attempt counts as failed. Default: 60 s.
    pub handler_timeout: Duration,
    /// Which delivery comes before which. Default: the longest due first, whatever it is about.
    pub order: DispatchOrder,
    /// When a delivery that was not handled is handed out again.
    pub schedule: RetrySchedule,
    /// How long handlers may take to end once the dispatcher is to stop; what they then have not ended is handed out again
    /// after the next start. Default: 10 s.
    pub shutdown_timeout: Duration,
    /// Who is told how attempts end. Default: nobody.
    pub observers: Observers,
}

impl<I: Inbox, H: Handler> Dispatcher<I, H> {
    /// Hands out with the default [`DispatchOptions`].
    #[must_use]
    pub fn new(inbox: I, handler: H) -> Self {
        Self::with(inbox, handler, DispatchOptions::default())
    }

    /// Hands out as `options` say.
    #[must_use]
    pub fn with(inbox: I, handler: H, options: DispatchOptions) -> Self {
        Self {
            inbox,
            handler: Arc::new(handler),
            options,
        }
    }
}

impl<I: Inbox + Clone, H: Handler> Dispatcher<I, H> {
    /// Works until `shutdown` resolves, then lets what is under way end.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        if self.options.order == DispatchOrder::PerSubject && !self.inbox.orders_by_subject() {
            tracing::error!(
                "this inbox cannot order deliveries by subject: nothing is dispatched; dispatch without an order"
            );
            return shutdown.await;
        }
        let mut running = JoinSet::new();
        let mut trouble = Trouble::default();
        let count = self.handler.destinations();
        let destinations = Arc::new(Destinations::new(count, self.options.concurrency));
        let begun_at = Instant::now();
        loop {
            while let Some(ended) = running.try_join_next() {
                report(ended);
            }
            let room = destinations.room();
            let has_room = room.iter().any(|room| room.free > 0);
            let mut is_last = false;
            let mut claim = {
                let mut claiming = pin!(self.claim(room, &mut trouble));
                tokio::select! {
                    biased;
                    claim = &mut claiming => claim,
                    () = &mut shutdown => {
                        is_last = true;
                        // What is claimed now would otherwise wait for the next start.
                        let claimed = tokio::time::timeout(self.options.shutdown_timeout, claiming);
                        claimed.await.unwrap_or_default()
                    }
                }
            };
            let more_may_be_due = !claim.deliveries.is_empty();
            for claimed in claim.deliveries.drain(..) {
                let destination = self.handler.destination(claimed.event_type.as_deref());
                let slot = destinations.enter(destination, claimed.is_live);
                running.spawn(self.attempt(claimed, slot, begun_at));
            }
            if is_last {
                break;
            }
            let wait = until(claim.next_due).min(destinations.resumes_in().unwrap_or(LOOK_AGAIN));
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = ready(()), if more_may_be_due => {}
                Some(ended) = running.join_next() => report(ended),
                () = appended(&self.inbox), if has_room => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        wind_up(running, self.options.shutdown_timeout).await;
    }

    async fn claim(&self, room: Vec<Room>, trouble: &mut Trouble) -> Claim {
        let handler = Arc::clone(&self.handler);
        let route = move |event_type: Option<&str>| handler.destination(event_type);
        let request = ClaimRequest::new(SystemTime::now(), self.options.order, room, route);
        if request.limit() == 0 {
            return Claim::default();
        }
        match caught(async { self.inbox.claim(request).await }).await {
            Ok(claim) => {
                trouble.is_over();
                claim
            }
            Err(error) => {
                trouble.tell(&error);
                Claim::default()
            }
        }
    }

    /// One handing-out, from the handler's call to the record of its end.
    fn attempt(
        &self,
        claimed: ClaimedDelivery,
        slot: Slot,
        begun_at: Instant,
    ) -> impl Future<Output = ()> + Send + use<I, H> {
        let inbox = self.inbox.clone();
        let handler = Arc::clone(&self.handler);
        let options = self.options.clone();
        async move {
            let started_at = SystemTime::now();
            let elapsed = elapsed_before(&claimed, started_at, begun_at.elapsed());
            if let Some(pause) = slot.pause_left() {
                // Another delivery was told so after this one had been claimed.
                let finish = Completion::released(&claimed, started_at + pause);
                record(&inbox, finish.elapsed(elapsed)).await;
                return;
            }
            let clock = Instant::now();
            let most_interrupted = options.schedule.max_attempts.clamp(1, MAX_INTERRUPTED);
            let handled = match claimed.interrupted >= most_interrupted {
                // Only a process that ended in the middle, again and again, gets this far.
                true => Disposition::dead_letter("the attempts ran out while it was being handled"),
                false => call(handler, claimed.clone(), options.handler_timeout).await,
            };
            let duration = clock.elapsed();
            let handled = bounded(handled);
            match &handled {
                Disposition::Pause { after, .. } => {
                    if slot.pause(*after) {
                        tracing::warn!(
                            seconds = after.as_secs_f64(),
                            "a destination asked for a pause; nothing is sent to it meanwhile"
                        );
                    }
                }
                _ => slot.answered(),
            }
            let attempt = Ended {
                claimed: &claimed,
                started_at,
                duration,
                elapsed: elapsed + duration,
            };
            let finish = attempt.finish(handled, &options.schedule);
            tell(&options, &attempt, &finish);
            record(&inbox, finish).await;
        }
    }
}

/// What the log says of an inbox that cannot be asked, which is tried every second.
#[derive(Debug, Default)]
struct Trouble {
    told: Option<(String, Instant)>,
}

impl Trouble {
    /// The same again is told once a minute.
    fn tell(&mut self, error: &InboxError) {
        let text = error.to_string();
        let is_known = self
            .told
            .as_ref()
            .is_some_and(|(told, at)| *told == text && at.elapsed() < TELL_AGAIN);
        if !is_known {
            tracing::error!(%error, "nothing can be handed out; trying again");
            self.told = Some((text, Instant::now()));
        }
    }

    fn is_over(&mut self) {
        if self.told.take().is_some() {
            tracing::info!("deliveries are handed out again");
        }
    }
}

impl<I, H> fmt::Debug for Dispatcher<I, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Default for DispatchOptions {
    fn default() -> Self {
        Self {
            concurrency: 16,
            handler_timeout: Duration::from_secs(60),
            order: DispatchOrder::Unordered,
            schedule: RetrySchedule::default(),
            shutdown_timeout: Duration::from_secs(10),
            observers: Observers::default(),
        }
    }
}

/// In a task of its own, so that a panic ends the attempt and nothing else.
async fn call<H: Handler>(
    handler: Arc<H>,
    claimed: ClaimedDelivery,
    handler_timeout: Duration,
) -> Disposition {
    let mut task = AbortOnDrop(tokio::spawn(async move {
        handler.handle(Delivery::from(claimed)).await
    }));
    match tokio::time::timeout(handler_timeout, &mut task.0).await {
        Ok(Ok(handled)) => handled,
        Ok(Err(failed)) => Disposition::retry(describe(failed)),
        Err(_) => Disposition::retry(format!("no answer within {handler_timeout:?}")),
    }
}

struct AbortOnDrop(JoinHandle<Disposition>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn describe(failed: JoinError) -> String {
    let Ok(panic) = failed.try_into_panic() else {
        return "the handler was stopped".to_owned();
    };
    match caught::message(&*panic) {
        Some(message) => format!("the handler panicked: {message}"),
        None => "the handler panicked".to_owned(),
    }
}

/// No destination is left alone for longer than that.
fn bounded(handled: Disposition) -> Disposition {
    match handled {
        Disposition::Pause { after, reason } => {
            Disposition::pause(after.min(LONGEST_PAUSE), reason)
        }
        other => other,
    }
}

/// How much of the time for retries was used before this attempt. That it was due and not dispatched, because the destination was
/// paused or full, counts; that the process did not run does not.
fn elapsed_before(claimed: &ClaimedDelivery, now: SystemTime, running_for: Duration) -> Duration {
    if claimed.elapsed.is_zero() {
        return Duration::ZERO;
    }
    let overdue = now.duration_since(claimed.due_at).unwrap_or_default();
    // No longer than a destination may pause: beyond that the machine slept, or its clock jumped.
    let overdue = overdue.min(running_for).min(LONGEST_PAUSE);
    claimed.elapsed.saturating_add(overdue)
}

/// An attempt that has ended.
struct Ended<'a> {
    claimed: &'a ClaimedDelivery,
    started_at: SystemTime,
    duration: Duration,
    /// Since the first attempt of the round began.
    elapsed: Duration,
}

impl Ended<'_> {
    fn finish(&self, handled: Disposition, schedule: &RetrySchedule) -> Completion {
        match handled {
            Disposition::Ack => self.end(AttemptOutcome::Acknowledged, None),
            Disposition::AckWithNote { note } => self.end(AttemptOutcome::Acknowledged, Some(note)),
            Disposition::DeadLetter { reason } => {
                self.end(AttemptOutcome::DeadLettered, Some(reason))
            }
            Disposition::Retry { after, reason } => {
                let (attempt, id) = (self.attempt_of_round(), self.claimed.id);
                match schedule.next_wait(attempt, self.elapsed, after, id) {
                    Some(wait) => self
                        .end(AttemptOutcome::Retry, Some(reason))
                        .due_at(self.after(wait))
                        .elapsed(self.elapsed.saturating_add(wait)),
                    None => self.given_up(&reason, attempt),
                }
            }
            Disposition::Pause { after, reason } => {
                if self.elapsed >= schedule.max_elapsed {
                    return self.given_up(&reason, self.attempt_of_round());
                }
                self.end(AttemptOutcome::Retry, Some(reason))
                    .due_at(self.after(after))
                    .elapsed(self.elapsed + after)
                    .uncounted()
            }
        }
    }

    fn end(&self, result: AttemptOutcome, detail: Option<String>) -> Completion {
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
        self.end(AttemptOutcome::DeadLettered, Some(detail))
    }

    /// By the clock that said when it began, so that a clock that was set in the middle does not lengthen the wait.
    fn after(&self, wait: Duration) -> SystemTime {
        let ended_at = self.started_at + self.duration;
        ended_at.checked_add(wait).unwrap_or(ended_at + NEVER)
    }

    /// The schedule begins anew with a replay; the numbers of the attempts go on. What ended with the process, or with a wish for a
    /// pause, does not count.
    fn attempt_of_round(&self) -> u32 {
        let before = self
            .claimed
            .attempt
            .saturating_sub(self.claimed.first_attempt);
        before.saturating_sub(self.claimed.uncounted) + 1
    }
}

/// `40 s`, `12 min`, `24 h`: as exact as one needs it.
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

fn tell(options: &DispatchOptions, attempt: &Ended<'_>, finish: &Completion) {
    if options.observers.is_empty() {
        return;
    }
    let ended_at = finish.started_at + finish.duration;
    let retry_in = (finish.result == AttemptOutcome::Retry)
        .then(|| finish.due_at.duration_since(ended_at).unwrap_or_default());
    let max_attempts = options.schedule.max_attempts;
    options.observers.attempted(&ObservedAttempt {
        id: finish.id,
        number: finish.attempt,
        event_type: attempt.claimed.event_type.as_deref(),
        result: finish.result,
        detail: finish.detail.as_deref(),
        duration: finish.duration,
        retry_in,
        counted: finish.is_counted.then(|| attempt.attempt_of_round()),
        max_attempts: (max_attempts < u32::MAX).then_some(max_attempts),
    });
}

/// Tries until it is written: a result that is lost means that your code is called again for what it has done.
async fn record<I: Inbox>(inbox: &I, finish: Completion) {
    while let Err(error) = caught(async { inbox.complete(finish.clone()).await }).await {
        if error.kind() == InboxErrorKind::Closed {
            tracing::warn!(delivery = %finish.id, "the inbox closed before a result was recorded; it is handed out again");
            return;
        }
        tracing::error!(%error, delivery = %finish.id, "a result could not be recorded; trying again");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Returns when something may have been appended. An inbox that cannot say so is asked again all
/// the same.
async fn appended<I: Inbox>(inbox: &I) {
    let appended = async {
        inbox.wait_for_append().await;
        Ok(())
    };
    if caught(appended).await.is_err() {
        pending::<()>().await;
    }
}

async fn wind_up(mut running: JoinSet<()>, shutdown_timeout: Duration) {
    let all = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(shutdown_timeout, all).await.is_err() {
        tracing::warn!(
            deliveries = running.len(),
            "handlers did not end in time; what they had is handed out again after the next start"
        );
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a handing-out ended without a record; it is handed out again after the next start");
    }
}

/// Also when nothing is said to be due: another process may have changed what is in the inbox.
fn until(next_due: Option<SystemTime>) -> Duration {
    let wait = next_due.map_or(LOOK_AGAIN, |due| {
        due.duration_since(SystemTime::now()).unwrap_or_default()
    });
    wait.min(LOOK_AGAIN)
}

const LOOK_AGAIN: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// A delivery that takes every process down is not dispatched for ever: this often, or as often as there may be attempts.
const MAX_INTERRUPTED: u32 = 100;

const TELL_AGAIN: Duration = Duration::from_secs(60);

/// A hundred years, for a handler that wants to wait longer than clocks go.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
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

    /// A clock that is set while a handler is at work moves nothing: what counts is when it was called, and how long it took.
    #[test]
    fn next_attempt_is_due_by_the_clock_of_the_last() {
        let claimed = claimed();
        let attempt = Ended {
            claimed: &claimed,
            started_at: at(1000),
            duration: Duration::from_secs(20),
            elapsed: Duration::from_secs(20),
        };
        for handled in [
            Disposition::Retry {
                after: Some(Duration::from_secs(30)),
                reason: String::new(),
            },
            Disposition::pause(Duration::from_secs(30), ""),
        ] {
            let finish = attempt.finish(handled, &RetrySchedule::default());
            assert_eq!(finish.due_at, at(1050));
            assert_eq!(finish.elapsed, Duration::from_secs(50));
        }
    }

    /// The inbox has held it since the delivery came in; the body is not parsed for it.
    #[test]
    fn observers_are_given_the_stored_name() {
        struct Names(std::sync::Mutex<Vec<Option<String>>>);

        impl crate::Observer for Arc<Names> {
            fn attempted(&self, attempt: &ObservedAttempt<'_>) {
                let name = attempt.event_type.map(ToOwned::to_owned);
                self.0.lock().expect("no panic").push(name);
            }
        }

        let names = Arc::new(Names(std::sync::Mutex::default()));
        let mut options = DispatchOptions::default();
        options.observers.add(Arc::clone(&names));
        let mut claimed = claimed();
        for stored in [Some("as.stored".to_owned()), None] {
            claimed.event_type = stored;
            let attempt = Ended {
                claimed: &claimed,
                started_at: at(1000),
                duration: Duration::ZERO,
                elapsed: Duration::ZERO,
            };
            let finish = attempt.finish(Disposition::Ack, &RetrySchedule::default());
            tell(&options, &attempt, &finish);
        }
        let expected = [Some("as.stored".to_owned()), None];
        assert_eq!(*names.0.lock().expect("no panic"), expected);
    }

    #[test]
    fn time_that_the_process_did_not_run_is_not_counted() {
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
