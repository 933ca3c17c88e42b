//! A consistent copy of an inbox while a server appends to it, by SQLite's online backup.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ffi};

use super::check::file_issue;
use super::kind::harden;
use super::path::literal;

/// Copies everything that is committed now to a file that need not exist. Returns the first thing
/// that is wrong with the copy, if any.
///
/// All steps read in one transaction: without it, the backup would restart with every commit of
/// another process.
pub(super) fn copy(
    from: &Connection,
    to: &Path,
    mut progress: impl FnMut(u64, u64),
) -> rusqlite::Result<Option<String>> {
    let snapshot = from.unchecked_transaction()?;
    // The read transaction begins with its first query.
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
    let mut copy = Connection::open(literal(to))?;
    harden(&copy)?;
    // A copy that fails is thrown away, and its journal would stay behind when the process ends.
    copy.query_row("PRAGMA journal_mode = MEMORY", (), |_| Ok(()))?;
    let backup = Backup::new(from, &mut copy)?;
    loop {
        let step = backup.step(PAGES)?;
        let now = backup.progress();
        let as_count = |pages| u64::try_from(pages).unwrap_or(0);
        progress(
            as_count(now.pagecount - now.remaining),
            as_count(now.pagecount),
        );
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            // No other process knows the copy, and the read transaction of the source has begun.
            _ => {
                return Err(rusqlite::Error::SqliteFailure(
                    ffi::Error::new(ffi::SQLITE_BUSY),
                    None,
                ));
            }
        }
    }
    drop(backup);
    snapshot.finish()?;
    // One file without a write-ahead log; the process that serves it later enables that.
    copy.query_row("PRAGMA journal_mode = DELETE", (), |_| Ok(()))?;
    let issue = file_issue(&copy)?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(issue)
}

/// 4 MiB at a time, at SQLite's usual page size.
const PAGES: i32 = 1024;
