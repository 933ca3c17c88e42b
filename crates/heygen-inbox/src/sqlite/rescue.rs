//! Copies an inbox whose file was removed or replaced, while a connection still has it open.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::backup;
use super::error::check_undamaged;
use super::file_id::{FileChange, OpenFiles};
use super::path::{folder_of, with_suffix};
use crate::private_file::{self, sync_folder};
use crate::{InboxError, InboxErrorKind};

/// A connection to files that are no longer at their paths.
#[derive(Debug)]
pub(super) struct Orphan {
    connection: Connection,
    files: OpenFiles,
}

impl Orphan {
    pub(super) fn new(connection: Connection, files: OpenFiles) -> Self {
        disable_checkpoint_on_close(&connection);
        Self { connection, files }
    }

    pub(super) fn files(&self) -> &OpenFiles {
        &self.files
    }

    /// Copies everything into a new file next to the inbox; returns its path.
    pub(super) fn rescue(&self, change: FileChange) -> Result<PathBuf, InboxError> {
        let copy = self.copy()?;
        if change == FileChange::Log {
            self.checkpoint();
        }
        Ok(copy)
    }

    /// Writes to a temporary name first, so that a copy at the final path is complete.
    fn copy(&self) -> Result<PathBuf, InboxError> {
        let real = self.files.real();
        let partial = with_suffix(real, &format!(".rescued.{}.new", std::process::id()));
        // Left by an earlier attempt.
        let _ = fs::remove_file(&partial);
        let copied = self.copy_to(&partial).and_then(|()| {
            let named = rename_to_free_name(real, &partial);
            named.map_err(|error| cannot_make(real).with_source(error))
        });
        if copied.is_err() {
            let _ = fs::remove_file(&partial);
        }
        copied
    }

    fn copy_to(&self, partial: &Path) -> Result<(), InboxError> {
        private_file::create(partial).map_err(|error| cannot_make(partial).with_source(error))?;
        let issue = backup::copy(&self.connection, partial, |_, _| {});
        let issue = issue.map_err(|error| cannot_make(partial).with_source(error))?;
        check_undamaged("the copy of inbox", self.files.path(), issue)
    }

    /// The database file is still in its place: copies what only the log holds into it.
    fn checkpoint(&self) {
        // Whether that worked is verified before the file is trusted again.
        let result = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()));
        if let Err(error) = result {
            tracing::error!(%error, "checkpoint failed; the rescued copy holds what is in the write-ahead log");
        }
    }
}

/// Closing the connection must not touch the files that are at its paths now: it would delete the
/// write-ahead log of another file.
pub(super) fn disable_checkpoint_on_close(connection: &Connection) {
    // It fails for a broken connection, which does not checkpoint when it is closed either.
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

/// Copies of an inbox whose file was removed or replaced while a process served it:
/// `<inbox>.rescued` and so on. Each is an inbox, with deliveries that the one at `inbox` may lack.
#[must_use]
pub fn rescued_copies(inbox: &Path) -> Vec<PathBuf> {
    let real = inbox.canonicalize();
    let real = real.as_deref().unwrap_or(inbox);
    // Not up to the first that is missing: it may have been imported and moved away.
    let beside = fs::read_dir(folder_of(real)).into_iter().flatten();
    let beside: HashSet<_> = beside.flatten().map(|entry| entry.file_name()).collect();
    let is_there = |path: &PathBuf| path.file_name().is_some_and(|name| beside.contains(name));
    names(real).filter(is_there).collect()
}

/// Renames the copy to the first free one of its names, durably; never overwrites a file.
fn rename_to_free_name(inbox: &Path, partial: &Path) -> io::Result<PathBuf> {
    for path in names(inbox) {
        match private_file::create(&path) {
            // The name is reserved.
            Ok(_) => {
                if let Err(error) = fs::rename(partial, &path) {
                    let _ = fs::remove_file(&path);
                    return Err(error);
                }
                sync_folder(folder_of(&path))?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists))
}

fn cannot_make(path: &Path) -> InboxError {
    let message = format!("cannot make the copy {}", path.display());
    InboxError::new(InboxErrorKind::Storage, message)
}

fn names(inbox: &Path) -> impl Iterator<Item = PathBuf> {
    (1..10_000).map(|number| match number {
        1 => with_suffix(inbox, ".rescued"),
        _ => with_suffix(inbox, &format!(".rescued-{number}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_is_found_though_one_before_it_was_moved_away() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inbox = folder.path().join("inbox.db");
        let copies = [".rescued-2", ".rescued-4"].map(|suffix| with_suffix(&inbox, suffix));
        for path in [&inbox, &copies[0], &copies[1]] {
            fs::write(path, "").expect("a file");
        }
        let folder = folder.path().canonicalize().expect("its path");
        let names = copies.map(|copy| copy.file_name().map(|name| folder.join(name)));
        assert_eq!(rescued_copies(&inbox), names.map(Option::unwrap_or_default));
    }
}
