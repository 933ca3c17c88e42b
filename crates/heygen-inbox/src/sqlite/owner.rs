//! [`Owner`]: the inbox file of the process that serves it; opens it again after a failure, and
//! after its files were replaced.

use std::collections::HashSet;
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use super::checkpoint::WalWarning;
use super::file::{cannot, check_log};
use super::file_id::{FileChange, FileId};
use super::handle::Handle;
use super::lock::OwnerLock;
use super::options::SqliteOptions;
use super::reader_thread::ReadJob;
use super::recovery::Recovery;
use super::store::{ClosedState, Store};
use super::thread::closed;
use crate::throttle::Throttle;
use crate::{InboxError, InboxErrorKind};

pub(super) struct Owner {
    path: PathBuf,
    options: SqliteOptions,
    /// `None` after a failure that may have left the file in an unknown state: it is opened again
    /// before the next batch.
    store: Option<Store>,
    /// State that outlives the store while that is closed, and the id of its file.
    closed_state: ClosedState,
    database: FileId,
    /// Present while the files at the path are not those that were open.
    recovery: Option<Recovery>,
    /// Jobs of the reader thread, which has the files open too.
    reads: Sender<ReadJob>,
    hard_links_throttle: Throttle,
    reopen_throttle: Throttle,
    failure_throttle: Throttle,
    /// Since the last log line about them.
    failed_requests: usize,
    lock: OwnerLock,
}

impl Owner {
    pub(super) fn open(
        path: PathBuf,
        options: SqliteOptions,
        reads: Sender<ReadJob>,
    ) -> Result<Self, InboxError> {
        let lock = OwnerLock::acquire_with_retries(&path)?;
        let now = SystemTime::now();
        let opened = check_log(&path, false)
            .and_then(|()| Store::open(&path, &options, &HashSet::new(), now))
            .and_then(|mut store| store.leave_gap_in_ids(now).map(|()| store));
        let store = match opened {
            Ok(store) => store,
            Err(error) => {
                lock.remove_created();
                return Err(error);
            }
        };
        Ok(Self {
            path,
            options,
            database: store.files.database(),
            store: Some(store),
            closed_state: ClosedState::default(),
            recovery: None,
            reads,
            hard_links_throttle: Throttle::new(LOG_INTERVAL),
            reopen_throttle: Throttle::new(LOG_INTERVAL),
            failure_throttle: Throttle::new(LOG_INTERVAL),
            failed_requests: 0,
            lock,
        })
    }

    fn reopen(&mut self) -> Result<Store, InboxError> {
        if self.recovery.is_none() {
            // After a failure no file is open, and no new one must be created in its place.
            let change = match FileId::of(&self.path) {
                Some(found) if found == self.database => None,
                Some(_) => Some(FileChange::Replaced),
                None => Some(FileChange::Removed),
            };
            self.recovery = change.map(|change| {
                let closed = self.close_reader();
                Recovery::without_rescue(self.path.clone(), change, self.database, closed)
            });
        }
        if let Some(recovery) = &mut self.recovery {
            recovery.poll(Instant::now())?;
            if !self.lock.is_in_place() {
                self.lock = OwnerLock::acquire(&self.path).map_err(|error| match error.kind() {
                    InboxErrorKind::InUse => recovery.error("another process has it"),
                    _ => error,
                })?;
            }
            if recovery.may_lack_acknowledged() {
                self.closed_state.last_id = 0;
                self.closed_state.damaged.clear();
            }
        }
        let mut store = Store::reopen(&self.path, &self.options, &self.closed_state)?;
        if self.recovery.is_some() {
            store.leave_gap_in_ids(SystemTime::now())?;
        }
        self.database = store.files.database();
        let inbox = self.path.display();
        if let Some(recovery) = self.recovery.take() {
            // The reader thread outlives this one.
            let _ = self.reads.send(ReadJob::Open);
            let rescued = recovery.copy().map(|copy| copy.display().to_string());
            tracing::warn!(%inbox, rescued, "an inbox is in place again, and deliveries are stored in it");
        } else if self.reopen_throttle.passes(Instant::now()) {
            tracing::info!(%inbox, "the inbox was opened again after a failure");
        }
        Ok(store)
    }

    fn reopen_if_closed(&mut self) -> Result<&mut Store, InboxError> {
        if self.store.is_none() {
            self.store = Some(self.reopen()?);
        }
        self.store.as_mut().ok_or_else(closed)
    }

    /// Closes the store when its files are no longer those at its path.
    fn check_files(&mut self) {
        let Some(store) = &self.store else { return };
        if let Some(change) = store.files.change() {
            self.detach(change);
            return;
        }
        if !self.lock.is_in_place() {
            match OwnerLock::acquire(&self.path) {
                Ok(lock) => {
                    tracing::warn!(inbox = %self.path.display(), "the lock file of the inbox was removed, and is created again");
                    self.lock = lock;
                }
                Err(error) if error.kind() == InboxErrorKind::InUse => {
                    self.detach(FileChange::Lock);
                }
                // The inbox itself is intact; the next commit tries again.
                Err(_) => {}
            }
        }
    }

    fn detach(&mut self, change: FileChange) {
        let Some(store) = self.store.take() else {
            return;
        };
        let (orphan, closed_state) = store.into_parts();
        self.closed_state = closed_state;
        let closed = self.close_reader();
        self.recovery = Some(Recovery::new(change, orphan, closed));
    }

    /// The receiver gets a message once the reader's connection is closed.
    fn close_reader(&self) -> Receiver<()> {
        let (close, closed) = channel();
        // If the thread has ended, its connection is closed.
        let _ = self.reads.send(ReadJob::Close(close));
        closed
    }

    /// A hard link, created while the inbox is open: the next start is refused, and a program that
    /// opens the file by it causes damage.
    fn warn_of_hard_links(&mut self) {
        let names = self
            .store
            .as_ref()
            .map_or(1, |store| store.files.hard_links());
        if names > 1 && self.hard_links_throttle.passes(Instant::now()) {
            tracing::warn!(
                inbox = %self.path.display(),
                names,
                "the inbox has a second name (a hard link), under which another program would miss its log and damage it: remove that \
                 name; the next start is refused with it"
            );
        }
    }

    fn report_checkpoint(
        &mut self,
        result: rusqlite::Result<Option<WalWarning>>,
    ) -> rusqlite::Result<()> {
        match result {
            Ok(None) => {}
            Ok(Some(warning)) => tracing::warn!(
                inbox = %self.path.display(),
                log_bytes = warning.bytes,
                "the write-ahead log of the inbox is {} MiB long and grows: a program has been reading the inbox for {} s or more, \
                 and the log cannot be reused before that ends; a full check, a backup and an open transaction of sqlite3 read \
                 for as long as they run",
                warning.bytes / (1024 * 1024),
                warning.seconds
            ),
            Err(error) => {
                tracing::error!(
                    %error,
                    inbox = %self.path.display(),
                    "checkpoint failed; acknowledged deliveries are in the write-ahead log, which grows"
                );
                self.discard_unless_intact(&error);
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Handle for Owner {
    const MAX_WORKS: usize = usize::MAX;

    fn path(&self) -> &Path {
        &self.path
    }

    fn batch_len(&self) -> usize {
        self.options.batch_len
    }

    fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    fn open_store(&mut self) -> Result<&mut Store, InboxError> {
        self.check_files();
        self.reopen_if_closed()
    }

    fn check_committed(&mut self) -> Result<(), InboxError> {
        // What was committed to a file that was removed is in the rescued copy, and still has to be
        // sent again.
        self.open_store().map(drop)
    }

    fn discard(&mut self) {
        if let Some(mut store) = self.store.take() {
            store.roll_back();
            (_, self.closed_state) = store.into_parts();
        }
    }

    /// Checks the files, and truncates the write-ahead log.
    fn maintain(&mut self, has_failed: bool) -> rusqlite::Result<()> {
        self.check_files();
        if self.recovery.is_some() {
            // A request gets the error; this only tries again.
            let _ = self.reopen_if_closed();
            return Ok(());
        }
        self.warn_of_hard_links();
        match &mut self.store {
            Some(store) if !has_failed => {
                let result = store.truncate_wal();
                self.report_checkpoint(result)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn checkpoint(&mut self) -> rusqlite::Result<()> {
        let Some(store) = self.store.as_mut().filter(|store| store.wal.is_due()) else {
            return Ok(());
        };
        let result = store.checkpoint();
        self.report_checkpoint(result)
    }

    /// Logs the cause, unless [`Recovery`] logs it, with how many requests have failed since the
    /// last line: a line for each commit would keep a full disk full.
    fn commit_error(&mut self, error: InboxError, requests: usize) -> InboxError {
        self.failed_requests += requests;
        if self.recovery.is_none() && self.failure_throttle.passes(Instant::now()) {
            let requests = std::mem::take(&mut self.failed_requests);
            let cause = error.source().map(ToString::to_string);
            tracing::error!(%error, cause, requests, "commit failed; none of these requests were stored");
        }
        InboxError::new(InboxErrorKind::Storage, error.to_string())
    }

    fn close(&mut self) -> Result<(), InboxError> {
        self.check_files();
        if let Some(recovery) = self.recovery.take() {
            return Err(recovery.end());
        }
        let closed = self.store.take().map_or(Ok(()), Store::close);
        closed.map_err(|error| cannot("close", &self.path, error))
    }
}

const LOG_INTERVAL: Duration = Duration::from_secs(60);
