//! [`Handle`]: the file in the hands of the [`Writer`](super::writer::Writer).

use std::path::Path;

use super::store::Store;
use crate::InboxError;

/// A process has the file as its [`Owner`](super::owner::Owner), or edits it [`Beside`](super::editor::Beside) one.
pub(super) trait Handle {
    /// How many works share a transaction at the most.
    const WORKS: usize;

    fn path(&self) -> &Path;

    /// How many requests share a transaction at the most.
    fn batch_len(&self) -> usize;

    fn store(&self) -> Option<&Store>;

    /// The store, opened again where it was given up. An error while the files are not those under their names.
    fn find_store(&mut self) -> Result<&mut Store, InboxError>;

    /// After a commit: whether it stands in a file that others find.
    fn check_written(&mut self) -> Result<(), InboxError>;

    /// What is half done is not in the file, which is opened again before the next batch.
    fn give_up(&mut self);

    fn give_up_unless_in_order(&mut self, error: &rusqlite::Error) {
        if !leaves_the_file_in_order(error) {
            self.give_up();
        }
    }

    /// Between batches, also when no one asks.
    fn look_after_files(&mut self, _has_failed: bool) -> rusqlite::Result<()> {
        Ok(())
    }

    /// After the answers, which need not wait for it.
    fn bring_log_in(&mut self) -> rusqlite::Result<()> {
        Ok(())
    }

    /// What so many requests get of which none is stored.
    fn refusal(&self, error: InboxError, _requests: usize) -> InboxError {
        error
    }

    fn close(&mut self) -> Result<(), InboxError>;
}

/// A full disk, another writer, and a row we cannot read leave the file as it was. After anything
/// else, a failed fsync above all, nothing this process remembers of the file is trusted until it
/// has been opened again.
fn leaves_the_file_in_order(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        None | Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}
