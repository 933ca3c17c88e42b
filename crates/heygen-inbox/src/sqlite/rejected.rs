//! [`RejectedRing`]: recently rejected requests, to inspect and to verify again. [`RejectedFile`]
//! reads them.
//!
//! They are stored in a separate file, `<inbox>.rejected`, written by a thread of its own, so that
//! nothing that strangers send delays the inbox's writer. The file and its queue are bounded.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::path::with_suffix;
use super::thread::spawn;
use crate::InboxError;

mod file;
mod options;
mod queue;
mod reader;
mod request;
mod store;
mod traffic;

pub use self::options::RingOptions;
pub use self::reader::{RejectedAt, RejectedCounts, RejectedFile};
pub use self::request::NewRejected;

use self::queue::{Queue, Writer};

/// Stores rejected requests in a bounded file. Clones share it.
///
/// Recording never waits and never fails: requests that exceed the queue are only counted. Requests
/// without a well-formed signature have a quarter of the queue and of the file, all others have the
/// rest, so a flood of unsigned requests evicts only unsigned ones. A well-formed signature costs a
/// stranger nothing, so within each class a request evicts one of the most frequent reason, and
/// never one of the half that came first: what was stored before a flood is still there after it.
///
/// The file is created when there is something to write. Dropping the last clone writes what is
/// queued.
///
/// # Examples
///
/// ```
/// use std::time::SystemTime;
/// use heygen_inbox::sqlite::{NewRejected, RejectedFile, RejectedRing, RingOptions, rejected_path};
///
/// # let folder = tempfile::tempdir()?;
/// let path = rejected_path(&folder.path().join("inbox.db"));
/// let ring = RejectedRing::start(&path, RingOptions::default())?;
/// ring.record(NewRejected::new(SystemTime::now(), "missing-signature").body("{}"));
/// drop(ring);
///
/// let file = RejectedFile::open(&path)?;
/// let list = file.map(|file| file.list(Some(10))).transpose()?.unwrap_or_default();
/// assert_eq!(list[0].reason, "missing-signature");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RejectedRing {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

/// The path of the rejected requests of the inbox at `inbox`: `<inbox>.rejected`.
#[must_use]
pub fn rejected_path(inbox: &Path) -> PathBuf {
    with_suffix(inbox, ".rejected")
}

impl RejectedRing {
    /// Starts the writer thread. The file at `path` is opened, or created, when there is something
    /// to write.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the thread cannot be started.
    pub fn start(path: impl Into<PathBuf>, options: RingOptions) -> Result<Self, InboxError> {
        let path = path.into();
        let queue = Arc::new(Queue::new());
        let writer = Writer::new(path.clone(), options, Arc::clone(&queue));
        let thread = spawn("rejected-writer", move || writer.run())?;
        Ok(Self {
            shared: Arc::new(Shared {
                path,
                queue,
                thread: Some(thread),
            }),
        })
    }

    /// Queues a request to be written, or counts it as dropped if the queue is full.
    pub fn record(&self, rejected: NewRejected) {
        self.shared.queue.push(rejected);
    }

    /// How many requests were not written since the start: too many at once, or the file could not
    /// be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.queue.dropped()
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectedRing")
            .field("path", &self.path)
            .field("dropped", &self.queue.dropped())
            .finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic was reported on stderr already.
            let _ = thread.join();
        }
    }
}
