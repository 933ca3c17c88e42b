//! Appending to an inbox file, with so many appends under way at a time.
//!
//! What the receiver computes before it appends is done before the clock starts, so that the figures are the store's alone.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{Inbox as _, NewDelivery};
use tokio::task::JoinSet;
use xtask_harness::process::memory;

use crate::backlog::append_one;
use crate::event;

/// What is measured, in the order in which it is printed; on the disk are the file and its write-ahead log before anything is appended.
pub(crate) const FIGURES: [&str; 5] = [
    "appends/s",
    "open s",
    "resident MiB after opening",
    "resident MiB",
    "GB on disk",
];

/// Appends for about so many seconds, from event `first` on.
#[tokio::main]
pub(super) async fn run(
    file: &Path,
    at_a_time: usize,
    seconds: f64,
    first: u64,
) -> Result<[f64; 5]> {
    let log = format!("{}-wal", file.display());
    let len = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bytes = len(file) + len(log.as_ref());
    let clock = Instant::now();
    let inbox = SqliteInbox::open(file).context("open the inbox")?;
    let opened_in = clock.elapsed();
    let resident = || {
        let memory = memory(std::process::id()).context("the system tells no memory")?;
        Ok::<_, anyhow::Error>(memory.now as f64 / 1024.0)
    };
    let resident_after_open = resident()?;
    let (mut appended, mut took) = (0, Duration::ZERO);
    let len = MOST_CHUNK.min(at_a_time as u64 * CHUNK_EACH);
    while took.as_secs_f64() < seconds {
        let from = first + appended;
        let chunk: Vec<NewDelivery> = (from..from + len).map(event::delivery).collect();
        took += append_chunk(&inbox, chunk, at_a_time).await?;
        appended += len;
    }
    let resident = resident()?;
    inbox.close().await.context("close the inbox")?;
    Ok([
        appended as f64 / took.as_secs_f64(),
        opened_in.as_secs_f64(),
        resident_after_open,
        resident,
        bytes as f64 / 1e9,
    ])
}

async fn append_chunk(
    inbox: &SqliteInbox,
    chunk: Vec<NewDelivery>,
    at_a_time: usize,
) -> Result<Duration> {
    let chunk = Arc::new(Mutex::new(chunk.into_iter()));
    let clock = Instant::now();
    let mut appending = JoinSet::new();
    for _ in 0..at_a_time {
        let (inbox, chunk) = (inbox.clone(), Arc::clone(&chunk));
        let next = move || chunk.lock().unwrap_or_else(PoisonError::into_inner).next();
        appending.spawn(async move {
            while let Some(delivery) = next() {
                append_one(&inbox, delivery).await?;
            }
            Ok(())
        });
    }
    appending
        .join_all()
        .await
        .into_iter()
        .collect::<Result<()>>()?;
    Ok(clock.elapsed())
}

/// How many are made at once for each that may be under way, before the clock starts.
const CHUNK_EACH: u64 = 200;

/// About 30 MiB of memory.
const MOST_CHUNK: u64 = 20_000;

#[cfg(test)]
mod tests {
    use heygen_inbox::InboxAdmin as _;

    use super::*;
    use crate::backlog::fill;

    #[test]
    fn what_is_filled_and_appended_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("inbox.db");
        fill(&file, 0..300).unwrap();
        let measured = run(&file, 8, 0.0001, 300).unwrap();
        assert!(measured.iter().all(|figure| *figure > 0.0), "{measured:?}");
        let inbox = SqliteInbox::open(&file).unwrap();
        let counts = tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(inbox.counts())
            .unwrap();
        assert_eq!(counts.pending, 300 + 8 * CHUNK_EACH);
        assert!(fill(&file, 299..301).is_err());
    }
}
