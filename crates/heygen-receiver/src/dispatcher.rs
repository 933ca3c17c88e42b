//! [`Dispatcher`]: takes what is due out of the inbox, hands it to the handler, records how that went.

use std::fmt;
use std::future::{Future, pending, ready};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use heygen_events::Envelope;
use heygen_inbox::{
    AttemptResult, Claim, Claimed, Finish, Inbox, InboxError, InboxErrorKind, Order,
};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::caught::{self, caught};
use crate::{Delivery, Handled, Handler, ObservedAttempt, Observers, RetrySchedule};

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
    /// How many deliveries are in the handler's hands at a time. Default: 16.
    pub concurrency: usize,
    /// How long a handler may take before the attempt counts as failed. Default: 60 s.
    pub handler_time: Duration,
    /// Which delivery comes before which. Default: the longest due first, whatever it is about.
    pub order: Order,
    /// When a delivery that was not handled is handed out again.
    pub schedule: RetrySchedule,
    /// How long handlers may take to end once the dispatcher is to stop; what they then have not ended is handed out again
    /// after the next start. Default: 10 s.
    pub shutdown_time: Duration,
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
        let mut running = JoinSet::new();
        let mut trouble = Trouble::default();
        loop {
            while let Some(ended) = running.try_join_next() {
                report(ended);
            }
            let free = self
                .options
                .concurrency
                .max(1)
                .saturating_sub(running.len());
            let mut is_last = false;
            let mut claim = {
                let mut claiming = pin!(self.claim(free, &mut trouble));
                tokio::select! {
                    biased;
                    claim = &mut claiming => claim,
                    () = &mut shutdown => {
                        is_last = true;
                        // What is claimed now would otherwise wait for the next start.
                        let claimed = tokio::time::timeout(self.options.shutdown_time, claiming);
                        claimed.await.unwrap_or_default()
                    }
                }
            };
            let more_may_be_due = !claim.deliveries.is_empty();
            for claimed in claim.deliveries.drain(..) {
                running.spawn(self.attempt(claimed));
            }
            if is_last {
                break;
            }
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = ready(()), if more_may_be_due => {}
                Some(ended) = running.join_next() => report(ended),
                () = appended(&self.inbox), if free > 0 => {}
                () = tokio::time::sleep(until(claim.next_due)), if free > 0 => {}
            }
        }
        wind_up(running, self.options.shutdown_time).await;
    }

    async fn claim(&self, free: usize, trouble: &mut Trouble) -> Claim {
        if free == 0 {
            return Claim::default();
        }
        let claiming = async {
            let now = SystemTime::now();
            self.inbox.claim(free, now, self.options.order).await
        };
        match caught(claiming).await {
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
    fn attempt(&self, claimed: Claimed) -> impl Future<Output = ()> + Send + use<I, H> {
        let inbox = self.inbox.clone();
        let handler = Arc::clone(&self.handler);
        let options = self.options.clone();
        async move {
            let started_at = SystemTime::now();
            let clock = Instant::now();
            let handled = match options.schedule.is_over(attempt_of_round(&claimed)) {
                // Only a process that ended in the middle, again and again, gets this far.
                true => Handled::dead("the attempts ran out while it was being handled"),
                false => call(handler, claimed.clone(), options.handler_time).await,
            };
            let duration = clock.elapsed();
            let finish = finish(&claimed, started_at, duration, handled, &options.schedule);
            tell(&options.observers, &claimed, &finish);
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
            handler_time: Duration::from_secs(60),
            order: Order::Due,
            schedule: RetrySchedule::default(),
            shutdown_time: Duration::from_secs(10),
            observers: Observers::default(),
        }
    }
}

/// In a task of its own, so that a panic ends the attempt and nothing else.
async fn call<H: Handler>(handler: Arc<H>, claimed: Claimed, handler_time: Duration) -> Handled {
    let mut task = AbortOnDrop(tokio::spawn(async move {
        handler.handle(Delivery::new(claimed)).await
    }));
    match tokio::time::timeout(handler_time, &mut task.0).await {
        Ok(Ok(handled)) => handled,
        Ok(Err(failed)) => Handled::retry(describe(failed)),
        Err(_) => Handled::retry(format!("no answer within {handler_time:?}")),
    }
}

struct AbortOnDrop(JoinHandle<Handled>);

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

fn finish(
    claimed: &Claimed,
    started_at: SystemTime,
    duration: Duration,
    handled: Handled,
    schedule: &RetrySchedule,
) -> Finish {
    let end = |result| Finish::new(claimed, started_at, duration, result);
    match handled {
        Handled::Done => end(AttemptResult::Done),
        Handled::DoneWithNote { note } => end(AttemptResult::Done).detail(Some(note)),
        Handled::Dead { reason } => end(AttemptResult::Dead).detail(Some(reason)),
        Handled::Retry { after, reason } => {
            match schedule.wait_after(attempt_of_round(claimed), claimed.id) {
                Some(wait) => {
                    let now = SystemTime::now();
                    let due_at = now.checked_add(after.unwrap_or(wait));
                    end(AttemptResult::Retry)
                        .due_at(due_at.unwrap_or(now + NEVER))
                        .detail(Some(reason))
                }
                None => end(AttemptResult::Dead).detail(Some(reason)),
            }
        }
    }
}

/// The schedule begins anew with a replay; the numbers of the attempts go on.
fn attempt_of_round(claimed: &Claimed) -> u32 {
    claimed.attempt.saturating_sub(claimed.first_attempt) + 1
}

fn tell(observers: &Observers, claimed: &Claimed, finish: &Finish) {
    if observers.is_empty() {
        return;
    }
    let envelope = Envelope::from_slice(&claimed.body).ok();
    let event_type = envelope.as_ref().map(Envelope::event_name);
    observers.attempted(&ObservedAttempt {
        id: finish.id,
        number: finish.attempt,
        event_type,
        result: finish.result,
        detail: finish.detail.as_deref(),
        duration: finish.duration,
    });
}

/// Tries until it is written: a result that is lost means that your code is called again for what it has done.
async fn record<I: Inbox>(inbox: &I, finish: Finish) {
    while let Err(error) = caught(async { inbox.finish(finish.clone()).await }).await {
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
        inbox.appended().await;
        Ok(())
    };
    if caught(appended).await.is_err() {
        pending::<()>().await;
    }
}

async fn wind_up(mut running: JoinSet<()>, shutdown_time: Duration) {
    let all = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(shutdown_time, all).await.is_err() {
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

const TELL_AGAIN: Duration = Duration::from_secs(60);

/// A hundred years, for a handler that wants to wait longer than clocks go.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
