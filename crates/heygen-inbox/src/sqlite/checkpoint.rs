//! [`Log`]: how long the write-ahead log has become, and bringing it into the file.
//!
//! SQLite would do that by itself, inside the commit that finds the log long enough, and would report to no one when it fails: a
//! failed fsync of the file would go unnoticed. Here it is done after the answers, and a failure is one.
//!
//! A program that reads the inbox keeps the log from being brought in beyond what that program
//! sees, and so from being used again, for as long as one question of it takes. The log grows
//! meanwhile; past a size that is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// The log as the writer's connection sees it.
#[derive(Debug)]
pub(super) struct Log {
    /// After the last commit, in pages; 0 once it has been tried to bring it in.
    pages: Arc<AtomicI32>,
    /// From how many pages on that is tried.
    long: i32,
    /// Since when a program that reads holds pages back, and how many bytes of them there were
    /// last.
    held: Option<Held>,
    warned_at: Option<Instant>,
    /// When it was last tried without being necessary.
    tried_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    since: Instant,
    bytes: u64,
    /// How often in a row it was tried in vain, and found more than there should be.
    tries: u32,
    tries_above: u32,
}

/// A log that a program holds, to be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stuck {
    pub(super) bytes: u64,
    pub(super) seconds: u64,
}

/// What SQLite answers to a checkpoint.
struct Checkpoint {
    is_busy: bool,
    log_pages: i64,
    brought_pages: i64,
}

impl Log {
    /// From now on this connection brings the log in when it is told to, and not before.
    pub(super) fn watch(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let pages = Arc::clone(&self.pages);
        connection.wal_hook(Some(move |_: &mut _, now| {
            pages.store(now, Ordering::Relaxed);
            Ok(())
        }))
    }

    pub(super) fn is_long(&self) -> bool {
        self.pages.load(Ordering::Relaxed) >= self.long
    }

    /// What a program that reads goes on holding in the log, in bytes. One that was only just
    /// reading holds nothing.
    pub(super) fn held_bytes(&self) -> u64 {
        self.held
            .filter(|held| held.tries > 1)
            .map_or(0, |held| held.bytes)
    }

    /// Brings into the file what no reader needs in the log, and has both reach the disk. Not to be
    /// called within a transaction. Gives what is to be told, at most once a minute: the log stays
    /// above `warn_bytes`.
    pub(super) fn bring_in(
        &mut self,
        connection: &Connection,
        warn_bytes: u64,
    ) -> rusqlite::Result<Option<Stuck>> {
        self.run(connection, "PRAGMA wal_checkpoint(PASSIVE)", warn_bytes)
    }

    /// The same, and gives the room of the log back where no one reads; for a moment in which
    /// nothing is to be written. `bytes` is how long the file of the log is.
    pub(super) fn shrink(
        &mut self,
        connection: &Connection,
        bytes: u64,
        warn_bytes: u64,
        now: Instant,
    ) -> rusqlite::Result<Option<Stuck>> {
        let is_early = self
            .tried_at
            .is_some_and(|at| now.duration_since(at) < BETWEEN_TRIES);
        if bytes <= SHORT_BYTES || is_early {
            return Ok(None);
        }
        self.tried_at = Some(now);
        // Whoever reads is not waited for.
        let time: i64 = connection.pragma_query_value(None, "busy_timeout", |row| row.get(0))?;
        connection.busy_timeout(Duration::ZERO)?;
        let told = self.run(connection, "PRAGMA wal_checkpoint(TRUNCATE)", warn_bytes);
        connection.busy_timeout(Duration::from_millis(time.unsigned_abs()))?;
        told
    }

    fn run(
        &mut self,
        connection: &Connection,
        pragma: &str,
        warn_bytes: u64,
    ) -> rusqlite::Result<Option<Stuck>> {
        let pages = self.pages.swap(0, Ordering::Relaxed);
        let answer = connection.query_row(pragma, (), |row| {
            Ok(Checkpoint {
                is_busy: row.get(0)?,
                log_pages: row.get(1)?,
                brought_pages: row.get(2)?,
            })
        });
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                // On a full disk it would fail again with every commit.
                self.long = pages.saturating_add(LONG);
                return Err(error);
            }
        };
        let page_bytes: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        Ok(self.take_note(
            &answer,
            page_bytes + FRAME_HEADER,
            warn_bytes,
            Instant::now(),
        ))
    }

    /// What stays in the log stays for a reader, or because another program was just writing.
    fn take_note(
        &mut self,
        answer: &Checkpoint,
        page_bytes: i64,
        warn_bytes: u64,
        now: Instant,
    ) -> Option<Stuck> {
        let is_held = answer.log_pages > 0
            && (answer.brought_pages < answer.log_pages
                || (answer.is_busy && answer.log_pages > i64::from(LONG)));
        if !is_held {
            self.long = LONG;
            self.held = None;
            return None;
        }
        // Not with every commit, since it would come to as little.
        self.long = i32::try_from(answer.log_pages)
            .unwrap_or(i32::MAX)
            .saturating_add(LONG);
        let bytes = u64::try_from(answer.log_pages * page_bytes).unwrap_or(0);
        let held = self.held.get_or_insert(Held {
            since: now,
            bytes,
            tries: 0,
            tries_above: 0,
        });
        held.bytes = bytes;
        held.tries = held.tries.saturating_add(1);
        held.tries_above = match bytes > warn_bytes {
            true => held.tries_above.saturating_add(1),
            false => 0,
        };
        let was_told = self
            .warned_at
            .is_some_and(|at| now.duration_since(at) < BETWEEN_WARNINGS);
        if held.tries_above < 2 || was_told {
            return None;
        }
        self.warned_at = Some(now);
        Some(Stuck {
            bytes,
            seconds: now.duration_since(held.since).as_secs(),
        })
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            pages: Arc::default(),
            long: LONG,
            held: None,
            warned_at: None,
            tried_at: None,
        }
    }
}

/// About 16 MiB.
const LONG: i32 = 4000;

/// A file of this length is left as it is: it will be needed again.
const SHORT_BYTES: u64 = 4000 * 4096;

/// Of every page in the log.
const FRAME_HEADER: i64 = 24;

const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);
const BETWEEN_TRIES: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_grows_until_it_is_brought_in() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut connection = Connection::open(folder.path().join("a.db")).expect("a new database");
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE a (b)")
            .expect("a table");
        let mut log = Log::default();
        log.watch(&mut connection).expect("a hook");
        let add = "INSERT INTO a SELECT randomblob(4000000)";
        for _ in 0..3 {
            connection.execute(add, ()).expect("a row");
            assert!(!log.is_long());
        }
        for _ in 0..2 {
            connection.execute(add, ()).expect("a row");
        }
        assert!(log.is_long());
        let told = log.bring_in(&connection, 0).expect("a checkpoint");
        assert_eq!(told, None, "no one reads");
        assert!(!log.is_long());
        connection.execute(add, ()).expect("a row");
        assert!(!log.is_long(), "it begins again");
    }

    #[test]
    fn a_log_that_a_program_holds_is_told_and_shrinks_afterwards() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.db");
        let mut connection = Connection::open(&path).expect("a new database");
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE a (b)")
            .expect("a table");
        let mut log = Log::default();
        log.watch(&mut connection).expect("a hook");
        let reader = Connection::open(&path).expect("the same");
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM a")
            .expect("a reader");
        let add = "INSERT INTO a SELECT randomblob(20000000)";
        connection.execute(add, ()).expect("a row");
        let limit = 10_000_000;
        assert_eq!(log.bring_in(&connection, limit).expect("tried"), None);
        assert_eq!(log.held_bytes(), 0, "it may have been a short look");
        connection.execute(add, ()).expect("a row");
        let told = log.bring_in(&connection, limit).expect("tried");
        assert!(
            told.is_some_and(|stuck| stuck.bytes > 40_000_000),
            "{told:?}"
        );
        assert!(log.held_bytes() > 40_000_000, "{log:?}");
        connection.execute(add, ()).expect("a row");
        let told = log.bring_in(&connection, limit).expect("tried");
        assert_eq!(told, None, "not again within a minute");

        let length = || {
            let log = std::fs::metadata(folder.path().join("a.db-wal"));
            log.expect("the log").len()
        };
        let start = Instant::now();
        log.shrink(&connection, length(), limit, start)
            .expect("tried");
        assert!(length() > 60_000_000);
        reader.execute_batch("ROLLBACK").expect("its end");
        log.shrink(&connection, length(), limit, start)
            .expect("too early");
        assert!(length() > 60_000_000);
        let later = start + BETWEEN_TRIES;
        log.shrink(&connection, length(), limit, later)
            .expect("tried");
        assert_eq!((length(), log.held_bytes()), (0, 0));
        let time: i64 = connection
            .pragma_query_value(None, "busy_timeout", |row| row.get(0))
            .expect("a time");
        assert_eq!(time, 5000, "as it was");
    }
}
