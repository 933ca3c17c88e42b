//! The dispatcher by itself: a backlog handed to a handler that does nothing, each handing-out recorded.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{Counts, Inbox as _, InboxAdmin as _};
use heygen_receiver::{Delivery, DispatchOptions, Dispatcher};
use serde_json::{Value, json};

/// Hands out for so many seconds, `concurrency` at a time.
///
/// What is counted is what the file says was done, not how often the handler was called.
pub(crate) fn run(file: &Path, concurrency: usize, seconds: f64) -> Result<Value> {
    super::runtime()?.block_on(async {
        let inbox = SqliteInbox::open(file).context("open the inbox")?;
        let before = inbox.counts().await.context("count")?;
        let mut options = DispatchOptions::default();
        options.concurrency = concurrency;
        let handed = Arc::new(AtomicU64::new(0));
        let counting = Arc::clone(&handed);
        let handler = move |_: Delivery| {
            counting.fetch_add(1, Ordering::Relaxed);
            std::future::ready(())
        };
        let clock = Instant::now();
        let over = tokio::time::sleep(Duration::from_secs_f64(seconds));
        // On a task, as in `serve`.
        tokio::spawn(Dispatcher::with(inbox.clone(), handler, options).run(over))
            .await
            .context("hand out")?;
        let took = clock.elapsed();
        let after = inbox.counts().await.context("count")?;
        inbox.close().await.context("close the inbox")?;
        if after.pending == 0 {
            bail!("the backlog was too small: it came to its end while it was measured");
        }
        let left = |counts: Counts| counts.pending + counts.claimed;
        let done = left(before).saturating_sub(left(after));
        Ok(json!({
            "done": done,
            "handed_out": handed.load(Ordering::Relaxed),
            "done_per_second": done as f64 / took.as_secs_f64(),
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::store;

    #[test]
    fn what_was_handed_out_is_recorded_done() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("inbox.db");
        store::fill(&file, 0..50).unwrap();
        // No time at all: what the first claim took is handed out, and the rest stays.
        let measured = run(&file, 4, 0.0).unwrap();
        assert_eq!(measured["done"], measured["handed_out"]);
        assert!(measured["done"].as_u64() < Some(50), "{measured}");
    }
}
