//! The store by itself: filling a file, and appending to it with so many appends under way at a time.
//!
//! What the receiver computes before it appends is done before the clock starts, so that the figures are the store's alone.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::event;
use anyhow::{Context, Result, anyhow, bail};
use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{Appended, Inbox as _, NewDelivery};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Appends the events of these numbers: the file is then as the store itself leaves it, everything pending.
pub(crate) fn fill(file: &Path, numbers: Range<u64>) -> Result<()> {
    super::runtime()?.block_on(async {
        let inbox = SqliteInbox::open(file).context("open the inbox")?;
        let numbers = Arc::new(Mutex::new(numbers));
        let mut appending = JoinSet::new();
        for _ in 0..FILLERS {
            let (inbox, numbers) = (inbox.clone(), Arc::clone(&numbers));
            appending.spawn(async move {
                while let Some(number) = next(&numbers) {
                    append_one(&inbox, event::delivery(number)).await?;
                }
                Ok(())
            });
        }
        all(appending).await?;
        inbox.close().await.context("close the inbox")
    })
}

/// Appends for about so many seconds, `concurrency` at a time, from event `first` on.
pub(crate) fn append(file: &Path, concurrency: usize, seconds: f64, first: u64) -> Result<Value> {
    let runtime = super::runtime()?;
    let bytes_before = bytes(file);
    let clock = Instant::now();
    // Within the runtime: an inbox may be opened anywhere, and a server does it there.
    let inbox = SqliteInbox::open(file).context("open the inbox")?;
    let opened_in = clock.elapsed();
    let resident_after_open = resident_kib();
    let mut appended = 0_u64;
    let mut took = Duration::ZERO;
    let len = MOST_CHUNK.min(concurrency as u64 * CHUNK_EACH);
    while took.as_secs_f64() < seconds {
        let from = first + appended;
        let chunk: Vec<NewDelivery> = (from..from + len).map(event::delivery).collect();
        took += runtime.block_on(append_all(&inbox, chunk, concurrency))?;
        appended += len;
    }
    let resident = resident_kib();
    runtime.block_on(inbox.close()).context("close the inbox")?;
    // The last connection takes the write-ahead log with it.
    drop(inbox);
    Ok(json!({
        "appended": appended,
        "appends_per_second": appended as f64 / took.as_secs_f64(),
        "open_seconds": opened_in.as_secs_f64(),
        "resident_after_open_kib": resident_after_open,
        "resident_kib": resident,
        "bytes_before": bytes_before,
        "bytes_after": bytes(file),
    }))
}

async fn append_all(
    inbox: &SqliteInbox,
    chunk: Vec<NewDelivery>,
    concurrency: usize,
) -> Result<Duration> {
    let chunk = Arc::new(Mutex::new(chunk.into_iter()));
    let clock = Instant::now();
    let mut appending = JoinSet::new();
    for _ in 0..concurrency {
        let (inbox, chunk) = (inbox.clone(), Arc::clone(&chunk));
        appending.spawn(async move {
            while let Some(delivery) = next(&chunk) {
                append_one(&inbox, delivery).await?;
            }
            Ok(())
        });
    }
    all(appending).await?;
    Ok(clock.elapsed())
}

/// A duplicate would be answered without being kept, so it must not come up.
async fn append_one(inbox: &SqliteInbox, delivery: NewDelivery) -> Result<()> {
    match inbox.append(delivery).await.context("append")? {
        Appended::New(_) => Ok(()),
        Appended::Duplicate(_) => bail!("an event was in the file before"),
        _ => bail!("an append was answered in a way that this program does not know"),
    }
}

async fn all(mut tasks: JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|_| anyhow!("a task panicked"))??;
    }
    Ok(())
}

fn next<T>(from: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    from.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// What the file and its write-ahead log take on the disk.
fn bytes(file: &Path) -> u64 {
    let log = format!("{}-wal", file.display());
    let len = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    len(file) + len(log.as_ref())
}

/// Of this process; 0 where the system does not tell.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kib.unwrap_or_default()
}

const FILLERS: usize = 1024;

/// How many are made at once for each that may be under way, before the clock starts.
const CHUNK_EACH: u64 = 200;

/// About 30 MiB of memory.
const MOST_CHUNK: u64 = 20_000;

#[cfg(test)]
mod tests {
    use heygen_inbox::InboxAdmin as _;

    use super::*;

    #[test]
    fn what_is_filled_and_appended_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("inbox.db");
        fill(&file, 0..300).unwrap();
        let measured = append(&file, 8, 0.0001, 300).unwrap();
        assert_eq!(measured["appended"], 8 * CHUNK_EACH);
        assert!(measured["bytes_after"].as_u64() > measured["bytes_before"].as_u64());
        let inbox = SqliteInbox::open(&file).unwrap();
        let counts = crate::measured::runtime()
            .unwrap()
            .block_on(inbox.counts())
            .unwrap();
        assert_eq!(counts.pending, 300 + 8 * CHUNK_EACH);
        assert!(fill(&file, 299..301).is_err());
    }
}
