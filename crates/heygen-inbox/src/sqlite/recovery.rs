//! [`Recovery`]: what the owner does after the files of its inbox were removed or replaced, until
//! an inbox at the path can be opened.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::file::check_log;
use super::file_id::{FileChange, FileId, check_hard_links};
use super::reader::Reader;
use super::rescue::Orphan;
use super::thread::spawn;
use crate::throttle::Throttle;
use crate::{InboxError, InboxErrorKind};

/// Meanwhile every request is rejected, and what only the open file holds is copied.
pub(super) struct Recovery {
    path: PathBuf,
    change: FileChange,
    database: FileId,
    rescue: Rescue,
    /// Receives when the reader's connection is closed.
    reader_closed: Receiver<()>,
    /// The file that is at the path, and since when it has been unchanged.
    found: Option<(FileVersion, Instant)>,
    log_throttle: Throttle,
}

enum Rescue {
    /// The thread shares the orphan, so that it is still there for another attempt.
    UnderWay(Arc<Mutex<Orphan>>, JoinHandle<Result<PathBuf, InboxError>>),
    Failed {
        orphan: Arc<Mutex<Orphan>>,
        error: InboxError,
        at: Instant,
    },
    /// `None` when nothing had to be copied, or no file was open to copy from.
    Done(Option<PathBuf>),
}

#[derive(Clone, Copy, Eq, PartialEq)]
struct FileVersion {
    id: FileId,
    len: u64,
    modified: Option<SystemTime>,
}

impl Recovery {
    /// Starts to copy what only the orphan may hold.
    pub(super) fn new(change: FileChange, orphan: Orphan, reader_closed: Receiver<()>) -> Self {
        let files = orphan.files();
        let (path, database) = (files.path().to_owned(), files.database());
        let rescue = match change {
            FileChange::Removed | FileChange::Replaced | FileChange::Log => {
                Rescue::begin(Arc::new(Mutex::new(orphan)), change)
            }
            FileChange::Index | FileChange::Lock => Rescue::Done(None),
        };
        let mut recovery = Self::without_rescue(path, change, database, reader_closed);
        recovery.rescue = rescue;
        recovery
    }

    /// For an inbox that was closed after a failure: no open file holds anything.
    pub(super) fn without_rescue(
        path: PathBuf,
        change: FileChange,
        database: FileId,
        reader_closed: Receiver<()>,
    ) -> Self {
        Self {
            path,
            change,
            database,
            rescue: Rescue::Done(None),
            reader_closed,
            found: None,
            log_throttle: Throttle::new(LOG_INTERVAL),
        }
    }

    /// Whether the file that is opened next may lack deliveries that were acknowledged to senders:
    /// the copy holds them.
    pub(super) fn may_lack_acknowledged(&self) -> bool {
        match self.change {
            FileChange::Removed | FileChange::Replaced | FileChange::Lock => true,
            FileChange::Log | FileChange::Index => false,
        }
    }

    /// The path of the copy.
    pub(super) fn copy(&self) -> Option<&Path> {
        match &self.rescue {
            Rescue::Done(copy) => copy.as_deref(),
            Rescue::UnderWay(..) | Rescue::Failed { .. } => None,
        }
    }

    /// Advances the copy, and checks whether an inbox at the path can be opened. The error answers
    /// the requests that wait; it is logged at once and then once a minute.
    pub(super) fn poll(&mut self, now: Instant) -> Result<(), InboxError> {
        self.advance_rescue(now);
        let polled = self.check_replacement(now);
        if let Err(error) = &polled {
            self.log_error(error, now);
        }
        polled
    }

    /// Waits for the copy. Returns an error in any case, since the inbox was not closed in its
    /// place.
    pub(super) fn end(mut self) -> InboxError {
        if let Rescue::UnderWay(orphan, thread) = self.rescue {
            self.rescue = Rescue::ended(orphan, thread);
        }
        if let Rescue::Failed { orphan, .. } = self.rescue {
            let copied = lock(&orphan).rescue(self.change);
            self.rescue = Rescue::of(orphan, copied);
        }
        self.log_rescue();
        self.error("closed")
    }

    fn advance_rescue(&mut self, now: Instant) {
        let rescue = std::mem::replace(&mut self.rescue, Rescue::Done(None));
        self.rescue = match rescue {
            Rescue::UnderWay(orphan, thread) if thread.is_finished() => {
                self.log_throttle = Throttle::new(LOG_INTERVAL);
                Rescue::ended(orphan, thread)
            }
            // The files were put back before they were copied.
            Rescue::Failed { orphan, .. } if lock(&orphan).files().change().is_none() => {
                Rescue::Done(None)
            }
            Rescue::Failed { orphan, at, .. } if now.duration_since(at) >= RESCUE_INTERVAL => {
                Rescue::begin(orphan, self.change)
            }
            rescue => rescue,
        };
    }

    /// Whether the file at the path can be opened: the original inbox, or a complete other one.
    fn check_replacement(&mut self, now: Instant) -> Result<(), InboxError> {
        match &self.rescue {
            Rescue::UnderWay(..) => return Err(self.error("it is being copied")),
            Rescue::Failed { .. } => return Err(self.error("it could not be copied yet")),
            Rescue::Done(_) => {}
        }
        match self.reader_closed.try_recv() {
            Ok(()) | Err(TryRecvError::Disconnected) => {}
            Err(TryRecvError::Empty) => return Err(self.error("it is still being read")),
        }
        let metadata = fs::metadata(&self.path).ok();
        let Some(metadata) = metadata.filter(|metadata| metadata.is_file() && metadata.len() > 0)
        else {
            self.found = None;
            return Err(self.error("there is no inbox at this path now"));
        };
        let found = FileVersion {
            id: FileId::from(&metadata),
            len: metadata.len(),
            modified: metadata.modified().ok(),
        };
        let is_the_same = found.id == self.database;
        if !is_the_same {
            let since = match self.found {
                Some((before, since)) if before == found => since,
                _ => {
                    self.found = Some((found, now));
                    now
                }
            };
            // A copy to this path may still be in progress.
            if now.duration_since(since) < SETTLE_TIME {
                return Err(self.error("another file is there since a moment ago"));
            }
        }
        check_hard_links(&self.path)?;
        check_log(&self.path, false)?;
        if !is_the_same || self.change == FileChange::Log {
            Reader::open(&self.path)?.check_file()?;
        }
        Ok(())
    }

    pub(super) fn error(&self, now: &str) -> InboxError {
        let message = format!(
            "inbox {} {} while it was open: nothing is stored ({now})",
            self.path.display(),
            self.change
        );
        InboxError::new(InboxErrorKind::Storage, message)
    }

    fn log_error(&mut self, error: &InboxError, now: Instant) {
        if !self.log_throttle.passes(now) {
            return;
        }
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(
            %error,
            cause,
            inbox = %self.path.display(),
            "no delivery is stored until an inbox is in place: put back the file that was there, with its -wal, or restart this \
             process"
        );
        self.log_rescue();
    }

    fn log_rescue(&self) {
        match &self.rescue {
            Rescue::Done(Some(copy)) => tracing::error!(
                inbox = %self.path.display(),
                rescued = %copy.display(),
                "everything that was stored before is in a copy, to be imported once an inbox is in place"
            ),
            Rescue::Failed { error, .. } => {
                let cause = std::error::Error::source(error).map(ToString::to_string);
                tracing::error!(
                    %error,
                    cause,
                    inbox = %self.path.display(),
                    "what was stored before could not be copied, and only this process holds it: free disk space or restore the \
                     folder, and do not stop this process before it is copied"
                );
            }
            Rescue::UnderWay(..) | Rescue::Done(None) => {}
        }
    }
}

impl Rescue {
    /// In a thread of its own: an inbox may be large.
    fn begin(orphan: Arc<Mutex<Orphan>>, change: FileChange) -> Self {
        let shared = Arc::clone(&orphan);
        let thread = spawn("inbox-rescue", move || lock(&shared).rescue(change));
        match thread {
            Ok(thread) => Self::UnderWay(orphan, thread),
            Err(error) => Self::of(orphan, Err(error)),
        }
    }

    fn ended(orphan: Arc<Mutex<Orphan>>, thread: JoinHandle<Result<PathBuf, InboxError>>) -> Self {
        let panicked = |_| Err(InboxError::new(InboxErrorKind::Storage, "copying panicked"));
        Self::of(orphan, thread.join().unwrap_or_else(panicked))
    }

    fn of(orphan: Arc<Mutex<Orphan>>, copied: Result<PathBuf, InboxError>) -> Self {
        match copied {
            Ok(copy) => Self::Done(Some(copy)),
            Err(error) => Self::Failed {
                orphan,
                error,
                at: Instant::now(),
            },
        }
    }
}

/// After a panic the connection is unchanged.
fn lock(orphan: &Mutex<Orphan>) -> MutexGuard<'_, Orphan> {
    orphan.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that has not changed for so long is taken to be complete.
const SETTLE_TIME: Duration = Duration::from_secs(2);

const RESCUE_INTERVAL: Duration = Duration::from_secs(5);
const LOG_INTERVAL: Duration = Duration::from_secs(60);
