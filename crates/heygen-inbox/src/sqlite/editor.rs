//! [`Beside`]: the file of one who edits it while another process serves it, or none does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::dedup_index::REOPEN_AFTER;
use super::file_id::Difference;
use super::handle::Handle;
use super::store::Store;
use crate::{InboxError, InboxErrorKind};

/// Takes turns with the owner by SQLite's own lock, and takes in what the other has added before it adds anything.
pub(super) struct Beside {
    path: PathBuf,
    /// `None` after a failure: what is remembered of the file may not be so, and it is opened again.
    store: Option<Store>,
}

impl Beside {
    pub(super) fn open(path: &Path) -> Result<Self, InboxError> {
        Ok(Self {
            path: path.to_owned(),
            store: Some(Store::open_beside(path, LOCK_TIMEOUT)?),
        })
    }

    /// Closes the files, and touches nothing that took their place.
    fn let_go(&mut self) -> Option<Difference> {
        let store = self.store.take()?;
        let difference = store.files().difference();
        if difference.is_some() {
            drop(store.into_orphan());
        }
        difference
    }

    /// Lets go of files that are no longer found under their names. An owner that has them open copies what they hold.
    fn check_in_place(&mut self, otherwise: &str) -> Result<(), InboxError> {
        let is_in_place = |store: &Store| store.files().difference().is_none();
        if self.store.as_ref().is_none_or(is_in_place) {
            return Ok(());
        }
        let Some(difference) = self.let_go() else {
            return Ok(());
        };
        let message = format!(
            "inbox {} {difference} while it was open: {otherwise}",
            self.path.display()
        );
        Err(InboxError::new(InboxErrorKind::Storage, message))
    }
}

impl Handle for Beside {
    /// The owner waits for each transaction.
    const WORKS: usize = 1;

    fn path(&self) -> &Path {
        &self.path
    }

    fn batch_len(&self) -> usize {
        BATCH
    }

    fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    fn find_store(&mut self) -> Result<&mut Store, InboxError> {
        self.check_in_place("nothing was written")?;
        let store = match self.store.take() {
            Some(store) if store.remembered() <= REOPEN_AFTER => store,
            other => {
                drop(other);
                Store::open_beside(&self.path, LOCK_TIMEOUT)?
            }
        };
        Ok(self.store.insert(store))
    }

    fn check_written(&mut self) -> Result<(), InboxError> {
        self.check_in_place("what was written last is not in it")
    }

    fn give_up(&mut self) {
        if let Some(store) = &mut self.store {
            store.roll_back();
        }
        self.let_go();
    }

    fn close(&mut self) -> Result<(), InboxError> {
        self.let_go();
        Ok(())
    }
}

/// How many appends share a transaction.
const BATCH: usize = 1024;

/// How long to wait for a turn. A server under full load takes one after the other.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
