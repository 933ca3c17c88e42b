//! [`Log`]: how long the write-ahead log has become, and bringing it into the file.
//!
//! SQLite would do that by itself, inside the commit that finds the log long enough, and would tell nobody when it fails: a
//! failed fsync of the file would go unnoticed. Here it is done after the answers, and a failure is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rusqlite::Connection;

/// The log as the writer's connection sees it.
#[derive(Debug)]
pub(super) struct Log {
    /// After the last commit, in pages; 0 once it has been tried to bring it in.
    pages: Arc<AtomicI32>,
    /// From how many pages on that is tried.
    long: i32,
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

    /// Brings into the file what no reader needs in the log, and has both reach the disk. Not to be called within a
    /// transaction.
    pub(super) fn bring_in(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let pages = self.pages.swap(0, Ordering::Relaxed);
        let brought = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()));
        // On a full disk it would fail again with every commit.
        self.long = match brought {
            Ok(()) => LONG,
            Err(_) => pages.saturating_add(LONG),
        };
        brought
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            pages: Arc::default(),
            long: LONG,
        }
    }
}

/// About 16 MiB.
const LONG: i32 = 4000;

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
        log.bring_in(&connection).expect("a checkpoint");
        assert!(!log.is_long());
        connection.execute(add, ()).expect("a row");
        assert!(!log.is_long(), "it begins anew");
    }
}
