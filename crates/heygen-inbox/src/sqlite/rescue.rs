//! Copies an inbox whose file is no longer found under its name, while a connection still has it
//! open.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::backup;
use super::file_id::{Difference, OpenFiles};
use super::path::{beside, folder_of};
use crate::private_file::{self, sync_folder};
use crate::{InboxError, InboxErrorKind};

/// A connection to files that are no longer found under their names.
#[derive(Debug)]
pub(super) struct Orphan {
    connection: Connection,
    files: OpenFiles,
}

impl Orphan {
    pub(super) fn new(connection: Connection, files: OpenFiles) -> Self {
        leave_files(&connection);
        Self { connection, files }
    }

    pub(super) fn files(&self) -> &OpenFiles {
        &self.files
    }

    /// Copies everything into a new file beside the inbox; gives where that is.
    pub(super) fn rescue(&self, difference: Difference) -> Result<PathBuf, InboxError> {
        let copy = self.copy()?;
        if difference == Difference::Log {
            self.bring_log_in();
        }
        Ok(copy)
    }

    /// Under another name until it is whole: a reader who finds the copy finds all of it.
    fn copy(&self) -> Result<PathBuf, InboxError> {
        let real = self.files.real();
        let half = beside(real, &format!(".rescued.{}.new", std::process::id()));
        // Of an earlier try.
        let _ = fs::remove_file(&half);
        let copied = self.copy_to(&half).and_then(|()| {
            let named = take_name(real, &half);
            named.map_err(|error| cannot_make(real).with_source(error))
        });
        if copied.is_err() {
            let _ = fs::remove_file(&half);
        }
        copied
    }

    fn copy_to(&self, half: &Path) -> Result<(), InboxError> {
        private_file::create(half).map_err(|error| cannot_make(half).with_source(error))?;
        let flaw = backup::copy(&self.connection, half, |_, _| {});
        match flaw.map_err(|error| cannot_make(half).with_source(error))? {
            None => Ok(()),
            Some(flaw) => Err(InboxError::new(
                InboxErrorKind::Storage,
                format!(
                    "the copy of inbox {} is damaged: {flaw}",
                    self.files.path().display()
                ),
            )),
        }
    }

    /// The inbox itself is still in its place: what only the log holds goes there.
    fn bring_log_in(&self) {
        // Whether it is there is looked up before the file is trusted again.
        let brought = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()));
        if let Err(error) = brought {
            tracing::error!(%error, "the log was not brought into the inbox");
        }
    }
}

/// Closing the connection must not touch what stands under its names now: it would delete the log
/// of another file.
pub(super) fn leave_files(connection: &Connection) {
    // It fails for a connection that is broken, and that does nothing at its end either.
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

/// Copies that an earlier process left beside the inbox.
pub(super) fn left_beside(inbox: &Path) -> Vec<PathBuf> {
    let real = inbox.canonicalize();
    let real = real.as_deref().unwrap_or(inbox);
    names(real).take_while(|path| path.exists()).collect()
}

/// Gives the copy the first of its names that is free, and has that reach the disk: nothing is ever
/// written over.
fn take_name(inbox: &Path, half: &Path) -> io::Result<PathBuf> {
    for path in names(inbox) {
        match private_file::create(&path) {
            // The name is ours now.
            Ok(_) => {
                if let Err(error) = fs::rename(half, &path) {
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
        1 => beside(inbox, ".rescued"),
        _ => beside(inbox, &format!(".rescued-{number}")),
    })
}
