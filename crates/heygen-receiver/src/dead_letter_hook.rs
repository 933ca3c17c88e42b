//! [`DeadLetterHook`]: calls code of yours when a delivery is dead-lettered.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use heygen_events::text::truncated;
use heygen_inbox::{AttemptOutcome, DeliveryId, InboxAdmin};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::delivery::Delivery;
use crate::dispatcher::call;
use crate::handler::{Disposition, Handler};
use crate::line_throttle::LineThrottle;
use crate::observer::{ObservedAttempt, Observer};
use crate::panics::{catch_panic, locked};
use crate::setters::setters;

/// Calls a handler for each delivery that a dispatcher dead-letters, once and beside the dispatcher,
/// which never waits for it. Clones share the queue and the counters.
///
/// Add it to [`DispatchOptions::observers`](crate::DispatchOptions::observers), and let
/// [`run`](Self::run) make the calls. The handler gets the delivery with its
/// [reason](Delivery::dead_letter_reason); any disposition but an acknowledgement is a failure. A call
/// that fails or takes too long is logged and counted, and not repeated; so is one that the queue
/// has no room for. The delivery itself stays in the inbox, so nothing but the notice is lost.
///
/// A delivery is announced when its last attempt has ended, a moment before the inbox says that it
/// is dead-lettered. One that an operator gives up is not announced.
///
/// # Examples
///
/// ```
/// use heygen_inbox::MemoryInbox;
/// use heygen_receiver::{DeadLetterHook, Delivery, DispatchOptions, Dispatcher, Disposition};
///
/// # async fn example() {
/// let inbox = MemoryInbox::new();
/// let hook = DeadLetterHook::new(async |delivery: Delivery| {
///     eprintln!("{} was given up: {:?}", delivery.id(), delivery.dead_letter_reason());
/// });
/// let options = DispatchOptions::default().with_observer(hook.clone());
/// let dispatcher = Dispatcher::with(inbox.clone(), async |_: Delivery| Disposition::Ack, options);
/// tokio::spawn(hook.run(inbox, std::future::pending()));
/// # let _ = dispatcher;
/// # }
/// ```
pub struct DeadLetterHook<H> {
    shared: Arc<Shared<H>>,
}

/// How the calls of a [`DeadLetterHook`] are made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetterHookOptions {
    /// How long a call may take. Default: 30 s.
    pub timeout: Duration,
    /// How many calls are made at a time. Default: 4.
    pub concurrency: usize,
    /// How many deliveries wait for their call; beyond, calls are dropped. Default: 1,000.
    pub queue_length: usize,
    /// How long the calls that wait or run may take after shutdown began. Default: 5 s.
    pub shutdown_timeout: Duration,
}

struct Shared<H> {
    handler: Arc<H>,
    options: DeadLetterHookOptions,
    queue: Mutex<VecDeque<DeadLetter>>,
    added: Notify,
    called: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    drop_log: Mutex<LineThrottle>,
}

/// A delivery that was given up; the rest of it is in the inbox.
#[derive(Debug)]
struct DeadLetter {
    id: DeliveryId,
    attempt: u32,
    reason: String,
}

impl<H: Handler> DeadLetterHook<H> {
    /// A hook with the default [`DeadLetterHookOptions`].
    #[must_use]
    pub fn new(handler: H) -> Self {
        Self::with(handler, DeadLetterHookOptions::default())
    }

    /// A hook with these options.
    #[must_use]
    pub fn with(handler: H, options: DeadLetterHookOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                handler: Arc::new(handler),
                options,
                queue: Mutex::default(),
                added: Notify::new(),
                called: AtomicU64::new(0),
                failed: AtomicU64::new(0),
                dropped: AtomicU64::new(0),
                drop_log: Mutex::default(),
            }),
        }
    }

    /// Makes the calls until `shutdown` resolves, and then those that wait, up to
    /// [`shutdown_timeout`](DeadLetterHookOptions::shutdown_timeout). Stop it after the dispatcher.
    pub async fn run<I: InboxAdmin + Clone>(self, inbox: I, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut running = JoinSet::new();
        loop {
            self.fill(&mut running, &inbox);
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = running.join_next() => {}
                () = self.shared.added.notified() => {}
            }
        }
        let rest = async {
            loop {
                self.fill(&mut running, &inbox);
                if running.join_next().await.is_none() {
                    return;
                }
            }
        };
        let shutdown_timeout = self.shared.options.shutdown_timeout;
        if tokio::time::timeout(shutdown_timeout, rest).await.is_err() {
            let left = locked(&self.shared.queue).len() + running.len();
            self.shared
                .dropped
                .fetch_add(left as u64, Ordering::Relaxed);
            tracing::warn!(
                deliveries = left,
                "calls of the dead-letter hook are dropped, because the process ends"
            );
        }
    }

    fn fill<I: InboxAdmin + Clone>(&self, running: &mut JoinSet<()>, inbox: &I) {
        while running.len() < self.shared.options.concurrency.max(1) {
            let Some(letter) = locked(&self.shared.queue).pop_front() else {
                return;
            };
            running.spawn(self.clone().call(inbox.clone(), letter));
        }
    }

    async fn call<I: InboxAdmin>(self, inbox: I, letter: DeadLetter) {
        let shared = &*self.shared;
        let timeout = shared.options.timeout;
        let reading = tokio::time::timeout(timeout, catch_panic(inbox.get(letter.id)));
        let disposition = match reading.await {
            Ok(Ok(Some(stored))) => {
                let delivery = Delivery::dead_lettered(&stored, letter.attempt, letter.reason);
                call(Arc::clone(&shared.handler), delivery, timeout).await
            }
            Ok(Ok(None)) => Disposition::retry("the delivery was deleted"),
            Ok(Err(error)) => Disposition::retry(error.to_string()),
            Err(_) => Disposition::retry("the inbox does not answer"),
        };
        let reason = match disposition {
            Disposition::Ack | Disposition::AckWithNote { .. } => {
                shared.called.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Disposition::Retry { reason, .. }
            | Disposition::Pause { reason, .. }
            | Disposition::DeadLetter { reason } => reason,
        };
        shared.failed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(delivery = %letter.id, reason, "the dead-letter hook failed");
    }
}

impl<H> DeadLetterHook<H> {
    /// How many calls were acknowledged.
    #[must_use]
    pub fn called(&self) -> u64 {
        self.shared.called.load(Ordering::Relaxed)
    }

    /// How many calls failed or took too long.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// How many calls were not made: the queue was full, or the process ended.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    fn drop_call(&self, id: DeliveryId) {
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        let Some(suppressed) = locked(&self.shared.drop_log).pass(Instant::now()) else {
            return;
        };
        tracing::warn!(
            delivery = %id,
            suppressed,
            "too many calls of the dead-letter hook wait; one is dropped"
        );
    }
}

impl<H: Handler> Observer for DeadLetterHook<H> {
    fn attempted(&self, attempt: &ObservedAttempt<'_>) {
        if attempt.result != AttemptOutcome::DeadLettered {
            return;
        }
        let mut queue = locked(&self.shared.queue);
        if queue.len() >= self.shared.options.queue_length {
            drop(queue);
            return self.drop_call(attempt.id);
        }
        let reason = attempt.detail.unwrap_or_default();
        queue.push_back(DeadLetter {
            id: attempt.id,
            attempt: attempt.number,
            reason: truncated(reason, MAX_REASON_BYTES).to_owned(),
        });
        drop(queue);
        self.shared.added.notify_one();
    }
}

setters! {
    DeadLetterHookOptions {
        with_timeout sets timeout: Duration;
        with_concurrency sets concurrency: usize;
        with_queue_length sets queue_length: usize;
        with_shutdown_timeout sets shutdown_timeout: Duration;
    }
}

impl Default for DeadLetterHookOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            concurrency: 4,
            queue_length: 1000,
            shutdown_timeout: Duration::from_secs(5),
        }
    }
}

impl<H> Clone for DeadLetterHook<H> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<H> fmt::Debug for DeadLetterHook<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetterHook")
            .field("options", &self.shared.options)
            .field("called", &self.called())
            .field("failed", &self.failed())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

/// What waits takes a bounded amount of memory.
const MAX_REASON_BYTES: usize = 1024;
