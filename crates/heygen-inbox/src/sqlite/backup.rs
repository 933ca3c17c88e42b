//! A consistent copy of an inbox while a server appends to it, by SQLite's online backup.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ffi};

use super::check::file_flaw;
use super::kind::distrust;

/// Copies everything that is committed now to a file that need not exist. Gives the first thing that is
/// wrong with the copy, which should be nothing.
///
/// All steps read in one transaction: without it, the copying would begin again with every commit of another process.
pub(super) fn copy(
    from: &Connection,
    to: &Path,
    mut progress: impl FnMut(u64, u64),
) -> rusqlite::Result<Option<String>> {
    let snapshot = from.unchecked_transaction()?;
    // A transaction begins to read with its first question.
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
    let mut copy = Connection::open(to)?;
    distrust(&copy)?;
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
            // Nobody else knows the copy, and the source is being read already.
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
    // One file that needs none beside it; whoever serves it sets what it needs.
    copy.query_row("PRAGMA journal_mode = DELETE", (), |_| Ok(()))?;
    let flaw = file_flaw(&copy)?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(flaw)
}

/// 4 MiB at a time, at SQLite's usual page size.
const PAGES: i32 = 1024;
