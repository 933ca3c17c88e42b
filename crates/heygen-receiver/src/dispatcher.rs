//! [`Dispatcher`]: claims due deliveries, calls the handler and records the result.

use std::convert::Infallible;
use std::error::Error as _;
use std::fmt;
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use heygen_inbox::{
    Claim, ClaimRequest, ClaimedDelivery, Completion, DispatchOrder, Inbox, InboxError,
    InboxErrorKind, Room,
};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::delivery::Delivery;
use crate::destination::{Destinations, Slot};
use crate::handler::{Disposition, Handler};
use crate::line_throttle::LineThrottle;
use crate::observer::{Observer, Observers};
use crate::panics::{self, catch_panic};
use crate::running_time;
use crate::schedule::RetrySchedule;
use crate::setters::setters;

use self::attempt::{EndedAttempt, MAX_PAUSE, elapsed_before};

mod attempt;

/// Claims due deliveries from the inbox, calls the handler with each and records the result.
pub struct Dispatcher<I, H> {
    inbox: I,
    handler: Arc<H>,
    options: DispatchOptions,
}

/// How deliveries are dispatched.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use heygen_receiver::{DispatchOptions, RetrySchedule};
///
/// let options = DispatchOptions::default()
///     .with_concurrency(4)
///     .with_handler_timeout(Duration::from_secs(300))
///     .with_schedule(RetrySchedule::default().with_max_attempts(10));
/// assert_eq!(options.schedule.max_attempts, 10);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DispatchOptions {
    /// How many deliveries are dispatched at a time to each of the handler's
    /// [destinations](crate::Handler::destinations). Default: 16.
    pub concurrency: usize,
    /// How long a handler may take before the attempt counts as failed. Time in which the process was
    /// stopped does not count. Default: 60 s.
    pub handler_timeout: Duration,
    /// In which order deliveries are dispatched. Default: the longest due first, whatever its
    /// subject.
    pub order: DispatchOrder,
    /// When a delivery that was not acknowledged is dispatched again.
    pub schedule: RetrySchedule,
    /// How long running handlers may take to end after shutdown began. Their deliveries are
    /// dispatched again after the next start if they take longer. Default: 10 s.
    pub shutdown_timeout: Duration,
    /// Notified when an attempt ends. Default: none.
    pub observers: Observers,
}

impl<I: Inbox, H: Handler> Dispatcher<I, H> {
    /// A dispatcher with the default [`DispatchOptions`].
    #[must_use]
    pub fn new(inbox: I, handler: H) -> Self {
        Self::with(inbox, handler, DispatchOptions::default())
    }

    /// A dispatcher with these options.
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
    /// Dispatches until `shutdown` resolves, then waits for running handlers, up to
    /// [`shutdown_timeout`](DispatchOptions::shutdown_timeout).
    ///
    /// Dropped before, it does the same in the background: a delivery whose attempt just ended
    /// unrecorded would stay claimed until the inbox is opened again.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let mut dispatching = tokio::spawn(self.dispatch(async {
            let _ = stopped.await;
        }));
        let ended = tokio::select! {
            ended = &mut dispatching => ended,
            () = shutdown => {
                drop(stop);
                dispatching.await
            }
        };
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            resume_unwind(panic);
        }
    }

    async fn dispatch(self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        if self.options.order == DispatchOrder::PerSubject && !self.inbox.orders_by_subject() {
            tracing::error!("this inbox cannot order deliveries by subject; nothing is dispatched");
            return shutdown.await;
        }
        let mut running = JoinSet::new();
        let mut log = ClaimLog::default();
        let count = self.handler.destinations();
        let destinations = Arc::new(Destinations::new(count, self.options.concurrency));
        let mut begun_at = tokio::time::Instant::now();
        loop {
            while let Some(ended) = running.try_join_next() {
                report(ended);
            }
            let room = destinations.room();
            let has_room = room.iter().any(|room| room.free > 0);
            let mut is_last = false;
            let mut claim = {
                let mut claiming = pin!(self.claim(room, &mut log));
                tokio::select! {
                    biased;
                    claim = &mut claiming => claim,
                    () = &mut shutdown => {
                        is_last = true;
                        // Deliveries claimed now would otherwise wait for the next start.
                        let claimed = tokio::time::timeout(self.options.shutdown_timeout, claiming);
                        claimed.await.unwrap_or_default()
                    }
                    never = self.report_hanging_claim() => match never {},
                }
            };
            self.options.observers.polled();
            // All of them: the others go on, and handlers end within their time.
            let unrecorded = destinations.unrecorded();
            let is_full = !has_room && unrecorded > 0 && unrecorded == running.len();
            self.options.observers.stalled(log.is_stalled() || is_full);
            let more_may_be_due = !claim.deliveries.is_empty();
            let is_waiting = has_room && !claim.is_paused;
            if claim.is_paused {
                // As after a restart: a pause uses none of the time for retries.
                begun_at = tokio::time::Instant::now();
            }
            for claimed in claim.deliveries.drain(..) {
                let destination = destination(&*self.handler, claimed.event_type.as_deref());
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
                () = appended(&self.inbox), if is_waiting => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        finish_running(running, self.options.shutdown_timeout).await;
    }

    async fn claim(&self, room: Vec<Room>, log: &mut ClaimLog) -> Claim {
        let handler = Arc::clone(&self.handler);
        let route = move |event_type: Option<&str>| destination(&*handler, event_type);
        let request = ClaimRequest::new(SystemTime::now(), self.options.order, room, route);
        if request.limit() == 0 {
            // Nothing is tried, so nothing fails: all destinations are busy or paused.
            log.failing_since = None;
            return Claim::default();
        }
        let begun_at = tokio::time::Instant::now();
        match catch_panic(async { self.inbox.claim(request).await }).await {
            Ok(claim) => {
                log.claimed(claim.is_paused);
                claim
            }
            Err(error) => {
                log.failed(&error, begun_at);
                Claim::default()
            }
        }
    }

    /// A claim that does not return cannot fail: it is a stall too.
    async fn report_hanging_claim(&self) -> Infallible {
        let _ = running_time::timeout(STALLED_AFTER, pending::<()>()).await;
        self.options.observers.stalled(true);
        tracing::error!("the inbox does not answer a claim of deliveries; nothing is dispatched");
        pending().await
    }

    /// One attempt, from the call of the handler to the record of its result.
    fn attempt(
        &self,
        claimed: ClaimedDelivery,
        slot: Slot,
        begun_at: tokio::time::Instant,
    ) -> impl Future<Output = ()> + Send + use<I, H> {
        let inbox = self.inbox.clone();
        let handler = Arc::clone(&self.handler);
        let options = self.options.clone();
        async move {
            let started_at = SystemTime::now();
            let elapsed = elapsed_before(&claimed, started_at, begun_at.elapsed());
            if let Some(pause) = slot.pause_left() {
                // Another delivery met the pause after this one had been claimed.
                let completion = Completion::released(&claimed, started_at + pause);
                record(&inbox, completion.elapsed(elapsed), &slot).await;
                return;
            }
            let clock = Instant::now();
            let most_interrupted = options.schedule.max_attempts.clamp(1, MAX_INTERRUPTED);
            let disposition = match claimed.interrupted >= most_interrupted {
                // Only deliveries whose process ended during the attempt, again and again, get
                // here.
                true => {
                    Disposition::dead_letter("the attempts ran out while a handler was running")
                }
                false => {
                    let delivery = Delivery::from(claimed.clone());
                    call(handler, delivery, options.handler_timeout).await
                }
            };
            let duration = clock.elapsed();
            let disposition = bounded(disposition);
            match &disposition {
                Disposition::Pause { after, .. } => {
                    if slot.pause(claimed.id, *after) {
                        tracing::warn!(
                            seconds = after.as_secs_f64(),
                            "destination asked for a pause; nothing is dispatched to it meanwhile"
                        );
                    }
                }
                Disposition::Ack | Disposition::AckWithNote { .. } => {
                    slot.acknowledged(claimed.id);
                }
                _ => slot.answered(),
            }
            let attempt = EndedAttempt {
                claimed: &claimed,
                started_at,
                duration,
                elapsed: elapsed + duration,
            };
            let completion = attempt.completion(disposition, &options.schedule);
            let max_attempts = options.schedule.max_attempts;
            attempt.notify(&options.observers, &completion, max_attempts);
            record(&inbox, completion, &slot).await;
        }
    }
}

/// Logs claims that fail, which are tried every second, and when dispatch is paused.
#[derive(Debug, Default)]
struct ClaimLog {
    /// When the first claim began of those that failed since one succeeded.
    failing_since: Option<tokio::time::Instant>,
    logged: Option<(String, Instant)>,
    is_paused: bool,
}

impl ClaimLog {
    fn is_stalled(&self) -> bool {
        let failing_since = self.failing_since;
        failing_since.is_some_and(|since| since.elapsed() >= STALLED_AFTER)
    }

    /// Logs the same failure once a minute.
    fn failed(&mut self, error: &InboxError, begun_at: tokio::time::Instant) {
        // Not when it failed: it may have hung for long, and that was a stall already.
        self.failing_since.get_or_insert(begun_at);
        let text = error.to_string();
        let is_known = self
            .logged
            .as_ref()
            .is_some_and(|(logged, at)| *logged == text && at.elapsed() < BETWEEN_LINES);
        if !is_known {
            let cause = error.source().map(ToString::to_string);
            tracing::error!(%error, cause, "cannot claim deliveries from the inbox; retrying");
            self.logged = Some((text, Instant::now()));
        }
    }

    fn claimed(&mut self, is_paused: bool) {
        self.failing_since = None;
        let has_recovered = self.logged.take().is_some();
        let was_paused = std::mem::replace(&mut self.is_paused, is_paused);
        if is_paused && !was_paused {
            tracing::warn!("dispatch is paused; deliveries are stored and wait until it resumes");
        } else if !is_paused && (has_recovered || was_paused) {
            tracing::info!("deliveries are dispatched again");
        }
    }
}

setters! {
    DispatchOptions {
        with_concurrency sets concurrency: usize;
        with_handler_timeout sets handler_timeout: Duration;
        with_order sets order: DispatchOrder;
        with_schedule sets schedule: RetrySchedule;
        with_shutdown_timeout sets shutdown_timeout: Duration;
    }
}

impl DispatchOptions {
    /// Adds an observer.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer) -> Self {
        self.observers.add(observer);
        self
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

/// After a panic the first destination: an odd name must not stop the dispatch of all others.
fn destination<H: Handler>(handler: &H, event_type: Option<&str>) -> usize {
    let chosen = catch_unwind(AssertUnwindSafe(|| handler.destination(event_type)));
    chosen.unwrap_or_default()
}

/// Calls the handler in its own task, so that a panic ends only the attempt.
pub(crate) async fn call<H: Handler>(
    handler: Arc<H>,
    delivery: Delivery,
    handler_timeout: Duration,
) -> Disposition {
    let mut task = AbortOnDrop(tokio::spawn(async move { handler.handle(delivery).await }));
    match running_time::timeout(handler_timeout, &mut task.0).await {
        Ok(Ok(disposition)) => disposition,
        Ok(Err(failed)) => Disposition::retry(describe(failed)),
        Err(_) => Disposition::retry(format!("no answer within {handler_timeout:?}")),
    }
}

/// A task that ends with its owner.
pub(crate) struct AbortOnDrop<T>(pub(crate) JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn describe(failed: JoinError) -> String {
    let Ok(panic) = failed.try_into_panic() else {
        return "the handler was stopped".to_owned();
    };
    match panics::message(&*panic) {
        Some(message) => format!("the handler panicked: {message}"),
        None => "the handler panicked".to_owned(),
    }
}

/// Limits a pause to [`MAX_PAUSE`]. One of no length is a retry: it does not count, and would be
/// asked for again at once.
fn bounded(disposition: Disposition) -> Disposition {
    match disposition {
        Disposition::Pause { after, reason } if after.is_zero() => Disposition::retry(reason),
        Disposition::Pause { after, reason } => Disposition::pause(after.min(MAX_PAUSE), reason),
        other => other,
    }
}

/// Returns when the result is recorded. Until then its slot is not free: once all wait for long,
/// nothing is dispatched.
async fn record<I: Inbox>(inbox: &I, completion: Completion, slot: &Slot) {
    let delivery = completion.id;
    let mut recording = pin!(retry_record(inbox, completion));
    let recorded = running_time::timeout(STALLED_AFTER, &mut recording).await;
    if recorded.is_err() {
        let _unrecorded = slot.unrecorded();
        tracing::error!(%delivery, "the inbox has not recorded the result of an attempt yet");
        recording.await;
    }
}

/// Retries until the result is recorded: if it is lost, the handler is called again for work it has
/// done.
async fn retry_record<I: Inbox>(inbox: &I, completion: Completion) {
    // A full disk holds the log too.
    let mut throttle = LineThrottle::default();
    while let Err(error) = catch_panic(async { inbox.complete(completion.clone()).await }).await {
        if error.kind() == InboxErrorKind::Closed {
            tracing::warn!(delivery = %completion.id, "inbox closed before the result was recorded; the delivery will be redelivered");
            return;
        }
        if throttle.pass(Instant::now()).is_some() {
            let cause = error.source().map(ToString::to_string);
            tracing::error!(%error, cause, delivery = %completion.id, "cannot record the result of an attempt; retrying");
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Returns when something may have been appended; never if the inbox panics, since the dispatcher
/// looks again every second anyway.
async fn appended<I: Inbox>(inbox: &I) {
    let appended = async {
        inbox.wait_for_append().await;
        Ok(())
    };
    if catch_panic(appended).await.is_err() {
        pending::<()>().await;
    }
}

async fn finish_running(mut running: JoinSet<()>, shutdown_timeout: Duration) {
    let all = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(shutdown_timeout, all).await.is_err() {
        tracing::warn!(
            deliveries = running.len(),
            "handlers did not end in time; their deliveries will be redelivered after a restart"
        );
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "attempt ended without a recorded result; the delivery will be redelivered after a restart");
    }
}

/// How long to wait before the next claim. Bounded also when nothing is due, because another
/// process may have changed the inbox.
fn until(next_due: Option<SystemTime>) -> Duration {
    let wait = next_due.map_or(LOOK_AGAIN, |due| {
        due.duration_since(SystemTime::now()).unwrap_or_default()
    });
    wait.min(LOOK_AGAIN)
}

const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How many attempts may end with their process, so that a delivery that crashes every process is
/// not dispatched for ever. The maximum of attempts applies too.
const MAX_INTERRUPTED: u32 = 100;

const BETWEEN_LINES: Duration = Duration::from_secs(60);

/// For how long claims and records fail or hang until it is more than servers that elect a leader or restart.
const STALLED_AFTER: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use heygen_inbox::{
        AttemptOutcome, ClaimRequest, Completion, InboxAdmin as _, MemoryInbox, NewDelivery, Source,
    };

    use super::*;

    /// Of whatever length, it uses none of the time for retries.
    #[tokio::test(start_paused = true)]
    async fn pause_of_dispatch_costs_no_time_for_retries() {
        const MINUTE: Duration = Duration::from_secs(60);
        let inbox = MemoryInbox::new();
        let body = r#"{"event_type":"a.b","event_data":{}}"#.into();
        let begun_at = SystemTime::now() - 40 * MINUTE;
        let new = NewDelivery::new(begun_at, Source::Webhook, Vec::new(), body);
        let id = inbox.append(new).await.expect("room").id();
        // It used one minute of ten, and has been due for 39.
        let claim = inbox.claim(ClaimRequest::due(1, begun_at)).await;
        let claimed = claim.expect("open").deliveries.remove(0);
        let retry = Completion::new(&claimed, begun_at, MINUTE, AttemptOutcome::Retry);
        inbox.complete(retry.elapsed(MINUTE)).await.expect("open");
        inbox.pause(SystemTime::now()).await.expect("open");

        let handler = |_: Delivery| std::future::ready(Disposition::retry("not now"));
        let schedule = RetrySchedule::default().with_max_elapsed(10 * MINUTE);
        let options = DispatchOptions::default().with_schedule(schedule);
        let dispatcher = Dispatcher::with(inbox.clone(), handler, options);
        let dispatching = tokio::spawn(dispatcher.run(pending()));
        tokio::time::sleep(60 * MINUTE).await;
        inbox.resume().await.expect("open");
        tokio::time::sleep(MINUTE).await;
        let stored = inbox.get(id).await.expect("open").expect("it is there");
        assert_eq!(
            stored.attempts[1].result,
            AttemptOutcome::Retry,
            "{stored:?}"
        );
        dispatching.abort();
    }
}
