//! [`Editor`]: the inbox file of a process that edits it, whether or not another process serves it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::dedup_index::RELOAD_AFTER;
use super::file_id::FileChange;
use super::handle::Handle;
use super::lock::is_served;
use super::store::Store;
use crate::{InboxError, InboxErrorKind};

/// Takes turns with the owner by SQLite's lock, and reads what the owner has added before it adds
/// anything.
pub(super) struct Editor {
    path: PathBuf,
    /// `None` after a failure: what is cached of the file may be wrong, so it is opened again.
    store: Option<Store>,
}

impl Editor {
    pub(super) fn open(path: &Path) -> Result<Self, InboxError> {
        let mut store = Store::open_beside(path, LOCK_TIMEOUT)?;
        if !is_served(path) {
            store.leave_gap_in_ids(SystemTime::now())?;
        }
        Ok(Self {
            path: path.to_owned(),
            store: Some(store),
        })
    }

    /// Closes the files without touching those that replaced them.
    fn close_files(&mut self) -> Option<FileChange> {
        let store = self.store.take()?;
        let change = store.files.change();
        if change.is_some() {
            drop(store.into_parts());
        }
        change
    }

    /// Closes files that were removed or replaced. An owner that has them open copies what they
    /// hold.
    fn check_in_place(&mut self, consequence: &str) -> Result<(), InboxError> {
        let is_in_place = |store: &Store| store.files.change().is_none();
        if self.store.as_ref().is_none_or(is_in_place) {
            return Ok(());
        }
        let Some(change) = self.close_files() else {
            return Ok(());
        };
        let message = format!(
            "inbox {} {change} while it was open: {consequence}",
            self.path.display()
        );
        Err(InboxError::new(InboxErrorKind::Storage, message))
    }
}

impl Handle for Editor {
    /// One, because the owner waits for each transaction.
    const MAX_WORKS: usize = 1;

    fn path(&self) -> &Path {
        &self.path
    }

    fn batch_len(&self) -> usize {
        BATCH
    }

    fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    fn open_store(&mut self) -> Result<&mut Store, InboxError> {
        self.check_in_place("nothing was written")?;
        let store = match self.store.take() {
            Some(store) if store.dedup_index.buffered() <= RELOAD_AFTER => store,
            other => {
                drop(other);
                Store::open_beside(&self.path, LOCK_TIMEOUT)?
            }
        };
        Ok(self.store.insert(store))
    }

    fn check_committed(&mut self) -> Result<(), InboxError> {
        self.check_in_place("the last write is not in it")
    }

    fn discard(&mut self) {
        if let Some(store) = &mut self.store {
            store.roll_back();
        }
        self.close_files();
    }

    fn close(&mut self) -> Result<(), InboxError> {
        self.close_files();
        Ok(())
    }
}

/// How many appends share a transaction.
const BATCH: usize = 1024;

/// How long to wait for a turn: a server under full load commits without a pause.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
