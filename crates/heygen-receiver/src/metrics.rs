//! [`Metrics`]: counts what happens, for Prometheus.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use heygen_events::{EventType, Outcome};
use heygen_inbox::{Appended, AttemptOutcome, InboxAdmin, Source};
use heygen_signature::VerifyErrorKind;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

mod drift;
pub(crate) mod exposition;
mod scraped;

use self::drift::DriftCounter;
use self::scraped::{External, Reading, Scraped};
use crate::dead_letter_hook::DeadLetterHook;
use crate::handler::Handler;
use crate::observer::{ObservedAttempt, ObservedDelivery, ObservedRejection, Observer};
use crate::panics::catch_panic;
use crate::rejection::Rejection;

/// Counts what a receiver and a dispatcher do, as their [`Observer`], and writes it for Prometheus.
/// Clones share the counters.
///
/// | metric, after `heygen_webhooks_` | labels | meaning |
/// |---|---|---|
/// | `deliveries_total` | `result` (accepted, duplicate), `source` | deliveries answered 200 |
/// | `events_total` | `event_type`, `outcome` (success, failure, other) | new deliveries, by event and how its job ended; names that this version does not know are `other` |
/// | `last_verified_delivery_timestamp_seconds` | | when a delivery with a valid signature was last stored or recognized as a duplicate; absent until then |
/// | `rejected_total` | `reason` | rejected requests |
/// | `attempts_total` | `result` (done, retry, dead) | attempts of handlers |
/// | `event_attempts_total` | `event_type`, `result` | attempts of handlers by event |
/// | `handler_seconds` | `result` | how long handlers took |
/// | `commit_seconds` | | how long the inbox took to store a delivery |
/// | `drift_total` | `kind`, `event_type`, `name` | names and fields this version does not know, and malformed data; beyond 200 names the rest is `other` |
/// | `pending`, `claimed`, `dead_lettered` | | deliveries in the inbox |
/// | `dispatch_paused` | | 1 while an operator paused dispatch, else 0 |
/// | `dispatch_stalled` | | 1 while claims, or the records of all results, have failed or hung for 30 s or longer, so that nothing is dispatched, else 0; absent without a dispatcher |
/// | `oldest_pending_age_seconds` | | age of the oldest pending delivery; 0 without one |
/// | `inbox_bytes`, `append_queue_length` | | storage in use, including a write-ahead log above 24 MiB; requests waiting to be stored |
/// | `inbox_log_bytes` | | size of the write-ahead log of a SQLite inbox, which grows while another program reads |
/// | `dead_letter_hook_calls_total`, `…_failures_total`, `…_dropped_total` | | calls of a [`DeadLetterHook`] that were acknowledged, failed, were not made |
/// | `rejected_ring_dropped_total` | | rejected requests that were not recorded |
///
/// And `process_start_time_seconds`, and what [`build_info`](Self::build_info),
/// [`counter`](Self::counter) and [`gauge`](Self::gauge) add. Labels hold words of this program and, for drift, names that
/// HeyGen sent; never an address, a token, a signature or an id. While the inbox does not answer,
/// the metrics read from it are absent.
///
/// # Examples
///
/// ```
/// use std::time::SystemTime;
/// use heygen_inbox::MemoryInbox;
/// use heygen_receiver::{Metrics, Receiver, ReceiverOptions, Secret};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let metrics = Metrics::new(SystemTime::now());
/// let inbox = MemoryInbox::new();
/// let options = ReceiverOptions::default().with_observer(metrics.clone());
/// let receiver = Receiver::with(Secret::new("whsec_test")?, inbox.clone(), options);
///
/// assert!(metrics.scrape(&inbox).await.contains("heygen_webhooks_pending 0\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    deliveries: Family<Labels<2>, Counter>,
    events: Family<Labels<2>, Counter>,
    /// In milliseconds since 1970; 0 for never.
    last_verified: Arc<AtomicU64>,
    rejected: Family<Labels<1>, Counter>,
    attempts: Family<Labels<1>, Counter>,
    event_attempts: Family<Labels<2>, Counter>,
    handler: Family<Labels<1>, Histogram, fn() -> Histogram>,
    commit: Histogram,
    drift: DriftCounter,
    scraped: Arc<Scraped>,
    /// When the inbox was last read. Locked during a read, so that concurrent scrapes share it.
    read_at: tokio::sync::Mutex<Option<Instant>>,
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

impl Metrics {
    /// All counters at 0, for a process that started at `started_at`.
    #[must_use]
    pub fn new(started_at: SystemTime) -> Self {
        let mut registry = Registry::default();
        let mut names = Named(&mut registry);
        let deliveries: Family<_, Counter> =
            names.add("deliveries", "Deliveries that were answered 200");
        let events = names.add("events", "New deliveries, by event and how its job ended");
        let rejected: Family<_, Counter> = names.add("rejected", "Requests that were rejected");
        let attempts: Family<_, Counter> = names.add("attempts", "Attempts of handlers");
        let event_attempts = names.add("event_attempts", "Attempts of handlers, by event");
        let handler = Family::new_with_constructor(handler_histogram as fn() -> Histogram);
        let handler = names.register("handler_seconds", "How long handlers took", handler);
        let commit = names.register(
            "commit_seconds",
            "How long the inbox took to store a delivery",
            Histogram::new(COMMIT_BUCKETS),
        );
        let drift = DriftCounter::new(names.add(
            "drift",
            "Names and fields that this version does not know, and malformed data",
        ));
        let scraped = Arc::new(Scraped::default());
        // Start at 0, so that an alert sees the first of each as an increase. An unauthorized
        // request has a reason of its own.
        let by_rejection = Rejection::ALL
            .iter()
            .filter(|it| **it != Rejection::Unauthorized);
        let by_rejection = by_rejection.map(|rejection| rejection.label());
        let by_signature = VerifyErrorKind::ALL.map(VerifyErrorKind::label);
        for label in by_rejection.chain(by_signature) {
            drop(rejected.get_or_create(&[("reason", label)]));
        }
        for result in AttemptOutcome::ALL {
            drop(attempts.get_or_create(&[("result", result.as_str())]));
        }
        for source in Source::ALL {
            for result in ["accepted", "duplicate"] {
                drop(deliveries.get_or_create(&[("result", result), ("source", source.as_str())]));
            }
        }
        let last_verified = Arc::new(AtomicU64::new(0));
        scraped.add(External {
            name: "last_verified_delivery_timestamp_seconds",
            help: "When a delivery with a valid signature last came in, in seconds since 1970.",
            label: None,
            read: Reading::Gauge(Box::new({
                let last_verified = Arc::clone(&last_verified);
                move || match last_verified.load(Ordering::Relaxed) {
                    0 => None,
                    millis => Some(Duration::from_millis(millis).as_secs_f64()),
                }
            })),
        });
        registry.register_collector(Box::new(Arc::clone(&scraped)));
        registry.register(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            ConstGauge::new(seconds_of(started_at)),
        );
        Self {
            shared: Arc::new(Shared {
                registry,
                deliveries,
                events,
                last_verified,
                rejected,
                attempts,
                event_attempts,
                handler,
                commit,
                drift,
                scraped,
                read_at: tokio::sync::Mutex::new(None),
            }),
        }
    }

    /// Adds the number of rejected requests that a ring dropped, read at every scrape.
    #[must_use]
    pub fn rejected_ring_dropped(self, dropped: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.counter(
            "rejected_ring_dropped",
            "Rejected requests that were not recorded.",
            dropped,
        )
    }

    /// Adds the number of lines of log or other output that could not be written, read at every
    /// scrape.
    #[must_use]
    pub fn log_lines_dropped(self, dropped: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.counter(
            "log_lines_dropped",
            "Lines of the log or other output that could not be written.",
            dropped,
        )
    }

    /// Adds the calls of this hook, read at every scrape.
    #[must_use]
    pub fn dead_letter_hook<H: Handler>(self, hook: &DeadLetterHook<H>) -> Self {
        let [called, failed, dropped] = [hook.clone(), hook.clone(), hook.clone()];
        self.counter(
            "dead_letter_hook_calls",
            "Calls of the dead-letter hook that were acknowledged.",
            move || called.called(),
        )
        .counter(
            "dead_letter_hook_failures",
            "Calls of the dead-letter hook that failed or took too long.",
            move || failed.failed(),
        )
        .counter(
            "dead_letter_hook_dropped",
            "Calls of the dead-letter hook that were not made.",
            move || dropped.dropped(),
        )
    }

    /// Adds `build_info{version="…"} 1`, by which a dashboard shows what runs where.
    #[must_use]
    pub fn build_info(self, version: impl Into<String>) -> Self {
        let label = Some(("version", version.into()));
        let read = Reading::Gauge(Box::new(|| Some(1.0)));
        self.with("build_info", "What is running.", label, read)
    }

    /// Adds a counter of yours, `heygen_webhooks_` and `name` and `_total`, read at every scrape. It
    /// must never go down. Every name may be added once.
    #[must_use]
    pub fn counter(
        self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.with(name, help, None, Reading::Counter(Box::new(read)))
    }

    /// Adds a gauge of yours, `heygen_webhooks_` and `name`, read at every scrape, and absent while
    /// it is `None`. Every name may be added once.
    #[must_use]
    pub fn gauge(
        self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) -> Self {
        self.with(name, help, None, Reading::Gauge(Box::new(read)))
    }

    fn with(
        self,
        name: &'static str,
        help: &'static str,
        label: Option<(&'static str, String)>,
        read: Reading,
    ) -> Self {
        self.shared.scraped.add(External {
            name,
            help,
            label,
            read,
        });
        self
    }

    /// The metrics as `OpenMetrics`, of the type [`CONTENT_TYPE`](Self::CONTENT_TYPE). Values from
    /// the inbox are at most 1 s old, and absent if it does not answer within 2 s.
    pub async fn scrape<I: InboxAdmin>(&self, inbox: &I) -> String {
        self.read_inbox(inbox).await;
        let mut text = String::new();
        match encode(&mut text, &self.shared.registry) {
            Ok(()) => text,
            // Writing to a `String` does not fail; half a scrape would be worse than none.
            Err(fmt::Error) => "# EOF\n".to_owned(),
        }
    }

    /// The metrics in Prometheus' own text format, of the type
    /// [`TEXT_CONTENT_TYPE`](Self::TEXT_CONTENT_TYPE).
    pub async fn scrape_text<I: InboxAdmin>(&self, inbox: &I) -> String {
        exposition::as_text(&self.scrape(inbox).await)
    }

    async fn read_inbox<I: InboxAdmin>(&self, inbox: &I) {
        let scraped = &self.shared.scraped;
        scraped.state().queue_len = Some(inbox.queue_len() as u64);
        let mut read_at = self.shared.read_at.lock().await;
        if read_at.is_some_and(|at| at.elapsed() < BETWEEN_READS) {
            return;
        }
        let read = catch_panic(async { Ok((inbox.counts().await?, inbox.paused().await?)) });
        let read = tokio::time::timeout(READ_TIMEOUT, read).await;
        let (counts, paused) = read.ok().and_then(Result::ok).unzip();
        let mut state = scraped.state();
        state.counts = counts;
        state.is_paused = paused.map(|since| since.is_some());
        drop(state);
        *read_at = Some(Instant::now());
    }

    /// The type of `OpenMetrics`, as Prometheus reads it.
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// The type of Prometheus' own text format.
    pub const TEXT_CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";
}

impl Observer for Metrics {
    fn stored(&self, stored: &ObservedDelivery<'_>) {
        let shared = &self.shared;
        let is_new = matches!(stored.appended, Appended::New(_));
        let result = if is_new { "accepted" } else { "duplicate" };
        let labels = [("result", result), ("source", stored.source.as_str())];
        shared.deliveries.get_or_create(&labels).inc();
        shared.commit.observe(stored.commit_time.as_secs_f64());
        if stored.source == Source::Webhook {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let millis = now.unwrap_or_default().as_millis();
            let millis = u64::try_from(millis).unwrap_or(u64::MAX);
            // Also when it is less than before: then the clock was wrong.
            shared.last_verified.store(millis, Ordering::Relaxed);
        }
        if is_new {
            let outcome = stored.outcome.unwrap_or(Outcome::Other).as_str();
            let event_type = bounded(stored.event_type);
            let labels = [("event_type", event_type), ("outcome", outcome)];
            shared.events.get_or_create(&labels).inc();
            shared.drift.count(stored.drift);
        }
    }

    fn rejected(&self, rejected: &ObservedRejection<'_>) {
        let labels = [("reason", rejected.reason)];
        self.shared.rejected.get_or_create(&labels).inc();
    }

    fn attempted(&self, attempt: &ObservedAttempt<'_>) {
        let labels = [("result", attempt.result.as_str())];
        self.shared.attempts.get_or_create(&labels).inc();
        let handler = self.shared.handler.get_or_create(&labels);
        handler.observe(attempt.duration.as_secs_f64());
        let event_type = bounded(attempt.event_type);
        let labels = [
            ("event_type", event_type),
            ("result", attempt.result.as_str()),
        ];
        self.shared.event_attempts.get_or_create(&labels).inc();
    }

    fn stalled(&self, is_stalled: bool) {
        self.shared.scraped.state().is_stalled = Some(is_stalled);
    }
}

/// Registers metrics under the names of this program.
struct Named<'r>(&'r mut Registry);

impl Named<'_> {
    fn add<M: Clone + Default + Metric>(&mut self, name: &str, help: &str) -> M {
        self.register(name, help, M::default())
    }

    fn register<M: Clone + Metric>(&mut self, name: &str, help: &str, metric: M) -> M {
        let name = format!("heygen_webhooks_{name}");
        self.0.register(name, help, metric.clone());
        metric
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Senders choose names, so only those that this version knows are labels.
fn bounded(event_type: Option<&str>) -> &'static str {
    let mut known = EventType::KNOWN.iter().map(EventType::as_str);
    known
        .find(|known| event_type == Some(known))
        .unwrap_or("other")
}

fn handler_histogram() -> Histogram {
    Histogram::new(HANDLER_BUCKETS)
}

fn seconds_of(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

const COMMIT_BUCKETS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 2.5, 8.0,
];
const HANDLER_BUCKETS: [f64; 11] = [
    0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0,
];
const BETWEEN_READS: Duration = Duration::from_secs(1);
const READ_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use heygen_inbox::DeliveryId;

    use super::*;

    #[test]
    fn time_of_a_clock_that_was_far_ahead_does_not_stay() {
        let metrics = Metrics::new(SystemTime::now());
        let last_verified = &metrics.shared.last_verified;
        last_verified.store(u64::MAX, Ordering::Relaxed);
        metrics.stored(&ObservedDelivery {
            appended: Appended::New(DeliveryId::new(1_790_000_000_000_000, 0)),
            source: Source::Webhook,
            event_type: None,
            outcome: None,
            commit_time: Duration::ZERO,
            drift: &[],
        });
        let seconds = Duration::from_millis(last_verified.load(Ordering::Relaxed)).as_secs_f64();
        assert!(seconds <= seconds_of(SystemTime::now()), "{seconds}");
    }
}
