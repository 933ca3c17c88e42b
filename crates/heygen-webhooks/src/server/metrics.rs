//! The metrics of this program, beside those that the receiver and the dispatcher count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use heygen_connect::BackfillEvent;
use heygen_receiver::{Metrics, ServerTls};

use crate::api::web;
use crate::output::printer::Printer;

/// What every process has.
pub(crate) fn of_process(printer: &Printer) -> Metrics {
    let printer = printer.clone();
    Metrics::new(SystemTime::now())
        .build_info(env!("CARGO_PKG_VERSION"))
        .log_lines_dropped(move || printer.dropped())
}

pub(crate) fn with_certificate(metrics: Metrics, tls: ServerTls) -> Metrics {
    metrics.gauge(
        "tls_certificate_expiry_timestamp_seconds",
        "When the certificate expires, in seconds since 1970.",
        move || web::valid_until(&tls.certificate()).map(timestamp),
    )
}

/// Whether HeyGen sends here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registered(Arc<AtomicBool>);

impl Registered {
    pub(crate) fn set(&self, is_registered: bool) {
        self.0.store(is_registered, Ordering::Relaxed);
    }

    pub(crate) fn add_to(&self, metrics: Metrics) -> Metrics {
        let Self(registered) = self.clone();
        metrics.gauge(
            "registered",
            "Whether the endpoint is registered at HeyGen and not disabled there.",
            move || Some(f64::from(registered.load(Ordering::Relaxed))),
        )
    }
}

/// How often HeyGen's log of events was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct BackfillCounts(Arc<Passes>);

#[derive(Debug, Default)]
struct Passes {
    completed: AtomicU64,
    failed: AtomicU64,
    /// In seconds since 1970; 0 for never.
    completed_at: AtomicU64,
}

impl BackfillCounts {
    pub(crate) fn count(&self, event: &BackfillEvent<'_>) {
        let Self(passes) = self;
        match event {
            BackfillEvent::Passed(_) => {
                passes.completed.fetch_add(1, Ordering::Relaxed);
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let now = now.unwrap_or_default().as_secs();
                passes.completed_at.store(now, Ordering::Relaxed);
            }
            BackfillEvent::Failed { .. } => {
                passes.failed.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    pub(crate) fn add_to(&self, metrics: Metrics) -> Metrics {
        let [completed, failed, at] = [(); 3].map(|()| Arc::clone(&self.0));
        metrics
            .counter(
                "backfill_runs",
                "Passes over HeyGen's event log that were completed.",
                move || completed.completed.load(Ordering::Relaxed),
            )
            .counter(
                "backfill_failures",
                "Passes over HeyGen's event log that failed.",
                move || failed.failed.load(Ordering::Relaxed),
            )
            .gauge(
                "backfill_last_success_timestamp_seconds",
                "When HeyGen's event log was last read to its end, in seconds since 1970.",
                move || match at.completed_at.load(Ordering::Relaxed) {
                    0 => None,
                    seconds => Some(seconds as f64),
                },
            )
    }
}

fn timestamp(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
