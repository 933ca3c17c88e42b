//! [`Bulk`]: one replay of many deliveries at a time, in the background, no faster than asked for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use heygen_inbox::{BoxInbox, DeliveryId, InboxAdmin as _, InboxError, Query};

pub(crate) mod page;

/// The replay that runs, or that ran last.
#[derive(Debug, Default)]
pub(crate) struct Bulk(Mutex<Option<Arc<Run>>>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Run {
    total: u64,
    replayed: AtomicU64,
    /// In a handler's hands, or pruned meanwhile.
    skipped: AtomicU64,
    begun_at: Instant,
    is_stopped: AtomicBool,
    ended: Mutex<Option<Result<(), String>>>,
}

impl Bulk {
    pub(crate) fn last(&self) -> Option<Arc<Run>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// `None` while another runs.
    pub(crate) fn begin(&self, total: u64) -> Option<Arc<Run>> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_some_and(|run| run.is_running()) {
            return None;
        }
        let run = Arc::new(Run {
            total,
            replayed: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            begun_at: Instant::now(),
            is_stopped: AtomicBool::new(false),
            ended: Mutex::new(None),
        });
        *last = Some(Arc::clone(&run));
        Some(run)
    }
}

impl Run {
    fn ended(&self) -> Option<Result<(), String>> {
        self.ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn is_running(&self) -> bool {
        self.ended().is_none()
    }

    fn done(&self) -> u64 {
        self.replayed.load(Ordering::Relaxed) + self.skipped.load(Ordering::Relaxed)
    }

    /// Goes through what matched when it began, the oldest first.
    async fn go(
        &self,
        inbox: &BoxInbox,
        query: Query,
        per_second: Option<u32>,
    ) -> Result<(), InboxError> {
        let mut after: Option<DeliveryId> = None;
        // A page at a time: what is replayed may no longer match, what was passed is not looked at again.
        loop {
            let mut query = query.clone().oldest_first().limit(CHUNK);
            if let Some(after) = after {
                query = query.after(after);
            }
            let page = inbox.list(query).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.id);
            let ids: Vec<DeliveryId> = page.iter().map(|summary| summary.id).collect();
            let step = per_second.map_or(CHUNK, |rate| (rate as usize / 4).clamp(1, CHUNK));
            for ids in ids.chunks(step) {
                if self.is_stopped.load(Ordering::Relaxed) {
                    return Ok(());
                }
                if let Some(rate) = per_second {
                    let due = Duration::from_secs_f64(self.done() as f64 / f64::from(rate.max(1)));
                    tokio::time::sleep(due.saturating_sub(self.begun_at.elapsed())).await;
                }
                let report = inbox.replay(ids.to_vec(), SystemTime::now()).await?;
                self.replayed
                    .fetch_add(report.pending as u64, Ordering::Relaxed);
                self.skipped
                    .fetch_add((report.claimed + report.missing) as u64, Ordering::Relaxed);
            }
        }
    }
}

const CHUNK: usize = 200;
