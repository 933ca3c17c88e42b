//! [`Wal`]: the length of the write-ahead log (WAL), and checkpoints.
//!
//! SQLite's automatic checkpoint runs inside the commit that finds the log long enough, and reports
//! no failure: a failed fsync of the database file would go unnoticed. Here a checkpoint runs after
//! the requests of a commit were answered, and its failure is handled.
//!
//! A program that reads the inbox pins the log: pages that its snapshot needs are not checkpointed,
//! so the log is not reused and grows until that read ends. Past a limit that is a warning.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::throttle::Throttle;

/// The WAL as the writer's connection sees it.
#[derive(Debug)]
pub(super) struct Wal {
    /// Its length in pages after the last commit; 0 after an attempt to checkpoint.
    pages: Arc<AtomicI32>,
    /// From how many pages on a checkpoint is due.
    due_pages: i32,
    /// While another program pins pages.
    pinned: Option<PinnedWal>,
    /// A warning is due when the pinned log is longer.
    warn_bytes: u64,
    warn_throttle: Throttle,
    truncate_throttle: Throttle,
}

#[derive(Clone, Copy, Debug)]
struct PinnedWal {
    since: Instant,
    bytes: u64,
    /// How many checkpoints in a row left pages in the log, and how many of them more than the
    /// limit.
    tries: u32,
    tries_above: u32,
}

/// A pinned log that has outgrown the limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct WalWarning {
    pub(super) bytes: u64,
    pub(super) seconds: u64,
}

/// SQLite's result of a checkpoint.
struct Checkpoint {
    is_busy: bool,
    log_pages: i64,
    copied_pages: i64,
}

impl Wal {
    /// Tracks the length of the log, and turns automatic checkpoints of this connection off.
    pub(super) fn watch(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let pages = Arc::clone(&self.pages);
        connection.wal_hook(Some(move |_: &mut _, now| {
            pages.store(now, Ordering::Relaxed);
            Ok(())
        }))
    }

    pub(super) fn is_due(&self) -> bool {
        self.pages.load(Ordering::Relaxed) >= self.due_pages
    }

    /// How many bytes another program pins; 0 after only one checkpoint that found any, because
    /// that may have been a short read.
    pub(super) fn pinned_bytes(&self) -> u64 {
        self.pinned
            .filter(|pinned| pinned.tries > 1)
            .map_or(0, |pinned| pinned.bytes)
    }

    /// Copies the pages that no reader pins into the database file, durably. Must not be called
    /// within a transaction. Returns a warning, at most once a minute, while the log stays long.
    pub(super) fn checkpoint(
        &mut self,
        connection: &Connection,
    ) -> rusqlite::Result<Option<WalWarning>> {
        self.run(connection, "PRAGMA wal_checkpoint(PASSIVE)")
    }

    /// Checkpoints and truncates the log unless another program reads; for an idle writer. `bytes`
    /// is the length of the log's file.
    pub(super) fn truncate(
        &mut self,
        connection: &Connection,
        bytes: u64,
        now: Instant,
    ) -> rusqlite::Result<Option<WalWarning>> {
        if bytes <= MIN_TRUNCATE_BYTES || !self.truncate_throttle.passes(now) {
            return Ok(None);
        }
        // It must not wait for readers.
        let time: i64 = connection.pragma_query_value(None, "busy_timeout", |row| row.get(0))?;
        connection.busy_timeout(Duration::ZERO)?;
        let warning = self.run(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
        connection.busy_timeout(Duration::from_millis(time.unsigned_abs()))?;
        warning
    }

    fn run(
        &mut self,
        connection: &Connection,
        pragma: &str,
    ) -> rusqlite::Result<Option<WalWarning>> {
        let pages = self.pages.swap(0, Ordering::Relaxed);
        let answer = connection.query_row(pragma, (), |row| {
            Ok(Checkpoint {
                is_busy: row.get(0)?,
                log_pages: row.get(1)?,
                copied_pages: row.get(2)?,
            })
        });
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                // On a full disk every commit would fail to checkpoint again.
                self.due_pages = pages.saturating_add(CHECKPOINT_PAGES);
                return Err(error);
            }
        };
        let page_bytes: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        Ok(self.observe(&answer, page_bytes + FRAME_HEADER, Instant::now()))
    }

    /// Pages stay in the log because a reader pins them, or because another program was just
    /// writing.
    fn observe(
        &mut self,
        answer: &Checkpoint,
        page_bytes: i64,
        now: Instant,
    ) -> Option<WalWarning> {
        let is_pinned = answer.log_pages > 0
            && (answer.copied_pages < answer.log_pages
                || (answer.is_busy && answer.log_pages > i64::from(CHECKPOINT_PAGES)));
        if !is_pinned {
            self.due_pages = CHECKPOINT_PAGES;
            self.pinned = None;
            return None;
        }
        // Trying again after each commit would achieve as little.
        self.due_pages = i32::try_from(answer.log_pages)
            .unwrap_or(i32::MAX)
            .saturating_add(CHECKPOINT_PAGES);
        let bytes = u64::try_from(answer.log_pages * page_bytes).unwrap_or(0);
        let pinned = self.pinned.get_or_insert(PinnedWal {
            since: now,
            bytes,
            tries: 0,
            tries_above: 0,
        });
        pinned.bytes = bytes;
        pinned.tries = pinned.tries.saturating_add(1);
        pinned.tries_above = match bytes > self.warn_bytes {
            true => pinned.tries_above.saturating_add(1),
            false => 0,
        };
        let warning = WalWarning {
            bytes,
            seconds: now.duration_since(pinned.since).as_secs(),
        };
        let is_due = pinned.tries_above >= 2 && self.warn_throttle.passes(now);
        is_due.then_some(warning)
    }
}

impl Default for Wal {
    fn default() -> Self {
        Self {
            pages: Arc::default(),
            due_pages: CHECKPOINT_PAGES,
            pinned: None,
            warn_bytes: WARN_BYTES,
            warn_throttle: Throttle::new(WARN_INTERVAL),
            truncate_throttle: Throttle::new(TRUNCATE_INTERVAL),
        }
    }
}

/// About 16 MiB.
const CHECKPOINT_PAGES: i32 = 4000;

/// A shorter file is not truncated: it will be needed again.
const MIN_TRUNCATE_BYTES: u64 = 4000 * 4096;

/// Bytes of the header of each page in the log.
const FRAME_HEADER: i64 = 24;

const WARN_BYTES: u64 = 256 * 1024 * 1024;
const WARN_INTERVAL: Duration = Duration::from_secs(60);
const TRUNCATE_INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn database(path: &Path) -> (Connection, Wal) {
        let mut connection = Connection::open(path).expect("a new database");
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE a (b)")
            .expect("a table");
        let log = Wal::default();
        log.watch(&mut connection).expect("a hook");
        (connection, log)
    }

    #[test]
    fn log_grows_until_it_is_checkpointed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (connection, mut log) = database(&folder.path().join("a.db"));
        let add = "INSERT INTO a SELECT randomblob(4000000)";
        for _ in 0..3 {
            connection.execute(add, ()).expect("a row");
            assert!(!log.is_due());
        }
        for _ in 0..2 {
            connection.execute(add, ()).expect("a row");
        }
        assert!(log.is_due());
        let warning = log.checkpoint(&connection).expect("a checkpoint");
        assert_eq!(warning, None, "no one reads");
        assert!(!log.is_due());
        connection.execute(add, ()).expect("a row");
        assert!(!log.is_due(), "it begins again");
    }

    #[test]
    fn pinned_log_is_warned_of_and_shrinks_afterwards() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.db");
        let (connection, mut log) = database(&path);
        let reader = Connection::open(&path).expect("the same");
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM a")
            .expect("a reader");
        let add = "INSERT INTO a SELECT randomblob(20000000)";
        connection.execute(add, ()).expect("a row");
        log.warn_bytes = 10_000_000;
        assert_eq!(log.checkpoint(&connection).expect("tried"), None);
        assert_eq!(log.pinned_bytes(), 0, "it may have been a short read");
        connection.execute(add, ()).expect("a row");
        let warning = log.checkpoint(&connection).expect("tried");
        assert!(
            warning.is_some_and(|warning| warning.bytes > 40_000_000),
            "{warning:?}"
        );
        assert!(log.pinned_bytes() > 40_000_000, "{log:?}");
        connection.execute(add, ()).expect("a row");
        let warning = log.checkpoint(&connection).expect("tried");
        assert_eq!(warning, None, "not again within a minute");

        let length = || {
            let log = std::fs::metadata(folder.path().join("a.db-wal"));
            log.expect("the log").len()
        };
        let start = Instant::now();
        log.truncate(&connection, length(), start).expect("tried");
        assert!(length() > 60_000_000);
        reader.execute_batch("ROLLBACK").expect("its end");
        log.truncate(&connection, length(), start)
            .expect("too early");
        assert!(length() > 60_000_000);
        let later = start + TRUNCATE_INTERVAL;
        log.truncate(&connection, length(), later).expect("tried");
        assert_eq!((length(), log.pinned_bytes()), (0, 0));
        let time: i64 = connection
            .pragma_query_value(None, "busy_timeout", |row| row.get(0))
            .expect("a time");
        assert_eq!(time, 5000, "as it was");
    }
}
