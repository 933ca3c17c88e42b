//! [`Lost`]: an inbox whose files are no longer those under its name, until one is there that can
//! be opened.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::file::check_log;
use super::file_id::{Difference, FileId, check_names};
use super::reader::Reader;
use super::rescue::Orphan;
use super::thread::spawn;
use crate::{InboxError, InboxErrorKind};

/// Nothing is written meanwhile, and everything is refused.
pub(super) struct Lost {
    path: PathBuf,
    difference: Difference,
    database: FileId,
    rescue: Rescue,
    /// Answers once the connection that reads is closed too.
    reader_closed: Receiver<()>,
    /// What was found under the name, and since when it has been so.
    found: Option<(Found, Instant)>,
    told_at: Option<Instant>,
}

enum Rescue {
    /// The thread holds the orphan too, and leaves it here where there is no copy yet.
    UnderWay(Arc<Mutex<Orphan>>, JoinHandle<Result<PathBuf, InboxError>>),
    Failed {
        orphan: Arc<Mutex<Orphan>>,
        error: InboxError,
        at: Instant,
    },
    /// `None` where nothing had to be copied, or nothing was open to copy from.
    Done(Option<PathBuf>),
}

#[derive(Clone, Copy, Eq, PartialEq)]
struct Found {
    id: FileId,
    len: u64,
    modified: Option<SystemTime>,
}

impl Lost {
    /// Begins to copy what only the orphan holds, where it holds anything.
    pub(super) fn new(difference: Difference, orphan: Orphan, reader_closed: Receiver<()>) -> Self {
        let files = orphan.files();
        let (path, database) = (files.path().to_owned(), files.database());
        let rescue = match difference {
            Difference::Removed | Difference::Replaced | Difference::Log => {
                Rescue::begin(Arc::new(Mutex::new(orphan)), difference)
            }
            Difference::Index | Difference::Lock => Rescue::Done(None),
        };
        let mut lost = Self::without_copy(path, difference, database, reader_closed);
        lost.rescue = rescue;
        lost
    }

    /// After a failure nothing is open that could be copied.
    pub(super) fn without_copy(
        path: PathBuf,
        difference: Difference,
        database: FileId,
        reader_closed: Receiver<()>,
    ) -> Self {
        Self {
            path,
            difference,
            database,
            rescue: Rescue::Done(None),
            reader_closed,
            found: None,
            told_at: None,
        }
    }

    /// Whether what was answered before need not be in the file that is opened next: it is in the
    /// copy.
    pub(super) fn forgets_answered(&self) -> bool {
        match self.difference {
            Difference::Removed | Difference::Replaced | Difference::Lock => true,
            Difference::Log | Difference::Index => false,
        }
    }

    /// Where the copy is.
    pub(super) fn copy(&self) -> Option<&Path> {
        match &self.rescue {
            Rescue::Done(copy) => copy.as_deref(),
            Rescue::UnderWay(..) | Rescue::Failed { .. } => None,
        }
    }

    /// Goes on with the copying, and looks whether there is an inbox under the name that can be
    /// opened. The error is what those are told who want something written; the log is told at once
    /// and then once a minute.
    pub(super) fn look(&mut self, now: Instant) -> Result<(), InboxError> {
        self.go_on(now);
        let looked = self.find(now);
        if let Err(error) = &looked {
            self.tell(error, now);
        }
        looked
    }

    /// Waits for the copy. An error in any case: not everything is where it should be.
    pub(super) fn end(mut self) -> InboxError {
        if let Rescue::UnderWay(orphan, thread) = self.rescue {
            self.rescue = Rescue::ended(orphan, thread);
        }
        if let Rescue::Failed { orphan, .. } = self.rescue {
            let copied = lock(&orphan).rescue(self.difference);
            self.rescue = Rescue::of(orphan, copied);
        }
        self.tell_copy();
        self.refusal("closed")
    }

    fn go_on(&mut self, now: Instant) {
        let rescue = std::mem::replace(&mut self.rescue, Rescue::Done(None));
        self.rescue = match rescue {
            Rescue::UnderWay(orphan, thread) if thread.is_finished() => {
                self.told_at = None;
                Rescue::ended(orphan, thread)
            }
            // Put back before anything was copied: nothing has to be.
            Rescue::Failed { orphan, .. } if lock(&orphan).files().difference().is_none() => {
                Rescue::Done(None)
            }
            Rescue::Failed { orphan, at, .. } if now.duration_since(at) >= BETWEEN_RESCUES => {
                Rescue::begin(orphan, self.difference)
            }
            rescue => rescue,
        };
    }

    /// What stands under the name is opened again when it is the inbox that was lost, or another
    /// whole one.
    fn find(&mut self, now: Instant) -> Result<(), InboxError> {
        match &self.rescue {
            Rescue::UnderWay(..) => return Err(self.refusal("it is being copied")),
            Rescue::Failed { .. } => return Err(self.refusal("it could not be copied yet")),
            Rescue::Done(_) => {}
        }
        match self.reader_closed.try_recv() {
            Ok(()) | Err(TryRecvError::Disconnected) => {}
            Err(TryRecvError::Empty) => return Err(self.refusal("it is still being read")),
        }
        let metadata = fs::metadata(&self.path).ok();
        let Some(metadata) = metadata.filter(|metadata| metadata.is_file() && metadata.len() > 0)
        else {
            self.found = None;
            return Err(self.refusal("there is no inbox under this name now"));
        };
        let found = Found {
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
            // It may still be being copied to its place.
            if now.duration_since(since) < SETTLE {
                return Err(self.refusal("another file is there since a moment ago"));
            }
        }
        check_names(&self.path)?;
        check_log(&self.path)?;
        if !is_the_same || self.difference == Difference::Log {
            Reader::open(&self.path)?.check_file()?;
        }
        Ok(())
    }

    pub(super) fn refusal(&self, now: &str) -> InboxError {
        let message = format!(
            "inbox {} {} while it was open: nothing is stored ({now})",
            self.path.display(),
            self.difference
        );
        InboxError::new(InboxErrorKind::Storage, message)
    }

    fn tell(&mut self, error: &InboxError, now: Instant) {
        let is_early = self
            .told_at
            .is_some_and(|told| now.duration_since(told) < BETWEEN_LINES);
        if is_early {
            return;
        }
        self.told_at = Some(now);
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(
            %error,
            cause,
            "deliveries are answered 503 until an inbox is found at {0}: put back the file that was there, with its -wal, or stop \
             this process and start it again",
            self.path.display()
        );
        self.tell_copy();
    }

    fn tell_copy(&self) {
        match &self.rescue {
            Rescue::Done(Some(copy)) => tracing::error!(
                inbox = %self.path.display(),
                rescued = %copy.display(),
                "everything that was stored before is in {0}; once an inbox is in place, bring it there: \
                 heygen-webhooks inbox export --inbox {0} | heygen-webhooks inbox import - --trust --inbox {1}",
                copy.display(),
                self.path.display()
            ),
            Rescue::Failed { error, .. } => {
                let cause = std::error::Error::source(error).map(ToString::to_string);
                tracing::error!(
                    %error,
                    cause,
                    inbox = %self.path.display(),
                    "what was stored before could not be copied, and only this process holds it: make room, or the folder again, and \
                     do not stop the process until it is copied"
                );
            }
            Rescue::UnderWay(..) | Rescue::Done(None) => {}
        }
    }
}

impl Rescue {
    /// In a thread of its own: there may be much of it.
    fn begin(orphan: Arc<Mutex<Orphan>>, difference: Difference) -> Self {
        let shared = Arc::clone(&orphan);
        let thread = spawn("inbox-rescue", move || lock(&shared).rescue(difference));
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

/// A panic leaves the connection as it was.
fn lock(orphan: &Mutex<Orphan>) -> MutexGuard<'_, Orphan> {
    orphan.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that did not change for so long is taken for whole.
const SETTLE: Duration = Duration::from_secs(2);

const BETWEEN_RESCUES: Duration = Duration::from_secs(5);
const BETWEEN_LINES: Duration = Duration::from_secs(60);
