//! [`Handle`]: the inbox file that a [`Writer`](super::writer::Writer) writes.

use std::path::Path;

use super::store::Store;
use crate::InboxError;

/// Implemented by [`Owner`](super::owner::Owner) and [`Editor`](super::editor::Editor).
pub(super) trait Handle {
    /// How many requests other than appends share a transaction at most.
    const MAX_WORKS: usize;

    fn path(&self) -> &Path;

    /// How many requests share a transaction at most.
    fn batch_len(&self) -> usize;

    fn store(&self) -> Option<&Store>;

    /// The store, opened again if it is closed. An error while the files at the path are not those
    /// of the inbox.
    fn open_store(&mut self) -> Result<&mut Store, InboxError>;

    /// Called after a commit: whether the file it went to is still at the path.
    fn check_committed(&mut self) -> Result<(), InboxError>;

    /// Rolls back and closes the store; it is opened again before the next batch.
    fn discard(&mut self);

    fn discard_unless_intact(&mut self, error: &rusqlite::Error) {
        if !leaves_file_intact(error) {
            self.discard();
        }
    }

    /// Called when the writer is idle.
    fn maintain(&mut self, _has_failed: bool) -> rusqlite::Result<()> {
        Ok(())
    }

    /// Checkpoints the write-ahead log. Called after the requests of a batch were answered.
    fn checkpoint(&mut self) -> rusqlite::Result<()> {
        Ok(())
    }

    /// The error for this number of requests, none of which was stored.
    fn commit_error(&mut self, error: InboxError, _requests: usize) -> InboxError {
        error
    }

    fn close(&mut self) -> Result<(), InboxError>;
}

/// A full disk, another writer, and an unreadable row leave the file unchanged. After any other
/// error, above all a failed fsync, nothing that this process has cached of the file is trusted
/// until it has been opened again.
fn leaves_file_intact(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        None | Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}
