//! [`Owner`]: the file of the one who serves it, as long as its files are those under its name, and again after a failure.

use std::collections::HashSet;
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use super::checkpoint::Stuck;
use super::file::{cannot, check_log};
use super::file_id::{Difference, FileId};
use super::handle::Handle;
use super::lock::AppendLock;
use super::options::SqliteOptions;
use super::reader_thread::ReadJob;
use super::recovery::Lost;
use super::rescue::left_beside;
use super::store::{Remembered, Store};
use super::thread::closed;
use crate::{InboxError, InboxErrorKind};

pub(super) struct Owner {
    path: PathBuf,
    options: SqliteOptions,
    /// `None` after a failure that leaves open what is on the disk: the file is then opened again before the next batch.
    store: Option<Store>,
    /// While there is no store: what it knew, and which file it was.
    remembered: Remembered,
    database: FileId,
    /// While the files under the name are not those that were open.
    lost: Option<Lost>,
    /// To the thread that reads, which has the files open too.
    reads: Sender<ReadJob>,
    names_logged_at: Option<Instant>,
    lock: AppendLock,
}

impl Owner {
    pub(super) fn open(
        path: PathBuf,
        options: SqliteOptions,
        reads: Sender<ReadJob>,
    ) -> Result<Self, InboxError> {
        let lock = AppendLock::take_patiently(&path)?;
        let opened = check_log(&path)
            .and_then(|()| Store::open(&path, &options, &HashSet::new(), SystemTime::now()));
        let store = match opened {
            Ok(store) => store,
            Err(error) => {
                lock.take_back();
                return Err(error);
            }
        };
        for copy in left_beside(&path) {
            tracing::warn!(
                inbox = %path.display(),
                rescued = %copy.display(),
                "deliveries of an inbox that was removed or replaced are in {0}: bring them in with \
                 heygen-webhooks inbox export --inbox {0} | heygen-webhooks inbox import - --trust --inbox {1}; then move {0} away",
                copy.display(),
                path.display()
            );
        }
        Ok(Self {
            path,
            options,
            database: store.files().database(),
            store: Some(store),
            remembered: Remembered::default(),
            lost: None,
            reads,
            names_logged_at: None,
            lock,
        })
    }

    fn reopen(&mut self) -> Result<Store, InboxError> {
        if self.lost.is_none() {
            // After a failure nothing is open, and nothing is made where there was something.
            let difference = match FileId::of(&self.path) {
                Some(found) if found == self.database => None,
                Some(_) => Some(Difference::Replaced),
                None => Some(Difference::Removed),
            };
            self.lost = difference.map(|difference| {
                let closed = self.close_reader();
                Lost::without_copy(self.path.clone(), difference, self.database, closed)
            });
        }
        if let Some(lost) = &mut self.lost {
            lost.look(Instant::now())?;
            if !self.lock.is_in_place() {
                self.lock = AppendLock::take(&self.path).map_err(|error| match error.kind() {
                    InboxErrorKind::InUse => lost.refusal("another process has it"),
                    _ => error,
                })?;
            }
            if lost.forgets_answered() {
                self.remembered.last_id = 0;
            }
        }
        let store = Store::reopen(&self.path, &self.options, &self.remembered)?;
        self.database = store.files().database();
        if let Some(lost) = self.lost.take() {
            // It ends when the inbox does, which is not closed while this thread works.
            let _ = self.reads.send(ReadJob::Open);
            let rescued = lost.copy().map(|copy| copy.display().to_string());
            tracing::warn!(
                inbox = %self.path.display(),
                rescued,
                "an inbox is in place again, and deliveries are stored in it"
            );
        }
        Ok(store)
    }

    fn open_store(&mut self) -> Result<&mut Store, InboxError> {
        if self.store.is_none() {
            self.store = Some(self.reopen()?);
        }
        self.store.as_mut().ok_or_else(closed)
    }

    /// Gives the store up when its files are no longer those under their names.
    fn look_at_files(&mut self) {
        let Some(store) = &self.store else { return };
        if let Some(difference) = store.files().difference() {
            self.lose(difference);
            return;
        }
        if !self.lock.is_in_place() {
            match AppendLock::take(&self.path) {
                Ok(lock) => {
                    tracing::warn!(inbox = %self.path.display(), "the .lock beside the inbox was removed, and is made again");
                    self.lock = lock;
                }
                Err(error) if error.kind() == InboxErrorKind::InUse => self.lose(Difference::Lock),
                // It is tried again with the next commit; the inbox itself is well.
                Err(_) => {}
            }
        }
    }

    fn lose(&mut self, difference: Difference) {
        let Some(store) = self.store.take() else {
            return;
        };
        let (orphan, remembered) = store.into_orphan();
        self.remembered = remembered;
        let closed = self.close_reader();
        self.lost = Some(Lost::new(difference, orphan, closed));
    }

    /// What answers once the connection that reads is closed.
    fn close_reader(&self) -> Receiver<()> {
        let (close, closed) = channel();
        // Where the thread has ended, so has its connection.
        let _ = self.reads.send(ReadJob::Close(close));
        closed
    }

    /// A second name, made while the inbox is open: the next start is refused, and a program that uses it
    /// does damage.
    fn warn_of_names(&mut self) {
        let names = self.store.as_ref().map_or(1, |store| store.files().names());
        let was_logged = self
            .names_logged_at
            .is_some_and(|at| at.elapsed() < BETWEEN_LINES);
        if names > 1 && !was_logged {
            self.names_logged_at = Some(Instant::now());
            tracing::warn!(
                inbox = %self.path.display(),
                names,
                "the inbox has a second name (a hard link), under which another program would miss its log and damage it: remove that \
                 name; the next start is refused with it"
            );
        }
    }

    fn log_brought_in(&mut self, brought: rusqlite::Result<Option<Stuck>>) -> rusqlite::Result<()> {
        match brought {
            Ok(None) => {}
            Ok(Some(stuck)) => tracing::warn!(
                inbox = %self.path.display(),
                log_bytes = stuck.bytes,
                "the log of the inbox is {} MiB long and grows: a program has been reading the inbox for {} s or more, and the log \
                 cannot be used again before it is done; a full check, a backup and an open transaction of sqlite3 read for as \
                 long as they run",
                stuck.bytes / (1024 * 1024),
                stuck.seconds
            ),
            Err(error) => {
                tracing::error!(
                    %error,
                    inbox = %self.path.display(),
                    "the log was not brought into the inbox; what was answered is in the log, which grows meanwhile"
                );
                self.give_up_unless_in_order(&error);
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Handle for Owner {
    const WORKS: usize = usize::MAX;

    fn path(&self) -> &Path {
        &self.path
    }

    fn batch_len(&self) -> usize {
        self.options.batch_len
    }

    fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    fn find_store(&mut self) -> Result<&mut Store, InboxError> {
        self.look_at_files();
        self.open_store()
    }

    fn check_written(&mut self) -> Result<(), InboxError> {
        // Where it stands in a file that nobody finds: it is in the copy, and has to come again all the same.
        self.find_store().map(drop)
    }

    fn give_up(&mut self) {
        if let Some(mut store) = self.store.take() {
            store.roll_back();
            self.remembered = store.into_remembered();
        }
    }

    /// Whether the files are in place, and whether the log can be made short. An error where that failed.
    fn look_after_files(&mut self, has_failed: bool) -> rusqlite::Result<()> {
        self.look_at_files();
        if self.lost.is_some() {
            // A request gets the error; this look only tries again.
            if let Err(error) = self.open_store().map(drop)
                && self.lost.is_none()
            {
                tracing::error!(%error, "the inbox cannot be opened again");
            }
            return Ok(());
        }
        self.warn_of_names();
        match &mut self.store {
            Some(store) if !has_failed => {
                let shrunk = store.shrink_log(self.options.log_warn_bytes);
                self.log_brought_in(shrunk)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn bring_log_in(&mut self) -> rusqlite::Result<()> {
        let Some(store) = self.store.as_mut().filter(|store| store.has_long_log()) else {
            return Ok(());
        };
        let brought = store.bring_log_in(self.options.log_warn_bytes);
        self.log_brought_in(brought)
    }

    /// Logs the cause once. That the files are away is logged already.
    fn refusal(&self, error: InboxError, requests: usize) -> InboxError {
        if self.lost.is_none() {
            let cause = error.source().map(ToString::to_string);
            tracing::error!(%error, cause, requests, "commit failed; none of these requests were stored");
        }
        InboxError::new(InboxErrorKind::Storage, error.to_string())
    }

    fn close(&mut self) -> Result<(), InboxError> {
        self.look_at_files();
        if let Some(lost) = self.lost.take() {
            return Err(lost.end());
        }
        let closed = self.store.take().map_or(Ok(()), Store::close);
        closed.map_err(|error| cannot("close", &self.path, error))
    }
}

const BETWEEN_LINES: Duration = Duration::from_secs(60);
