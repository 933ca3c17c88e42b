//! [`RejectedRing`]: recently rejected requests, to inspect and to verify again. [`RejectedFile`] reads them.
//!
//! They stand in a file apart from the inbox, `<inbox>.rejected`, written by a thread of its own: whatever strangers send,
//! the inbox's writer does not notice. The file is bounded, and so is what waits to be written.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::thread::spawn;
use crate::InboxError;

mod file;
mod options;
mod queue;
mod reader;
mod request;
mod store;

pub use self::options::RingOptions;
pub use self::reader::{RejectedAt, RejectedCounts, RejectedFile};
pub use self::request::NewRejected;

use self::queue::{Queue, Writer};

/// Keeps rejected requests, in a bounded file. Clones share it.
///
/// Recording never waits and never fails: what comes faster than it can be written is only counted. Posts without a
/// well-formed signature have a quarter of all room, in the queue and in the file, and the others have the rest: one who
/// floods the path with unsigned posts pushes out unsigned posts. A well-formed signature costs a stranger nothing, so within
/// each of the two a post displaces one of the reason that has the most, and never one of the half that came first: what was
/// there before a flood is there after it.
///
/// The file is made when there is something to write. Dropping the last clone writes what is queued.
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

/// Where the rejected requests of the inbox at `inbox` are: `<inbox>.rejected`.
#[must_use]
pub fn rejected_path(inbox: &Path) -> PathBuf {
    let mut path = OsString::from(inbox);
    path.push(".rejected");
    PathBuf::from(path)
}

impl RejectedRing {
    /// Starts the thread that writes. The file at `path` is opened, or made, when there is something to write.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the thread cannot be started.
    pub fn start(path: impl Into<PathBuf>, options: RingOptions) -> Result<Self, InboxError> {
        let path = path.into();
        let queue = Arc::new(Queue::new(&options));
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

    /// Has the post written, soon; or counts it as dropped, where too many wait already.
    pub fn record(&self, rejected: NewRejected) {
        self.shared.queue.push(rejected);
    }

    /// How many posts were not written, since the start: too many at once, or the file could not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.queue.dropped()
    }

    /// The file.
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
            // A thread that panicked has said so on stderr; there is nothing left to save here.
            let _ = thread.join();
        }
    }
}
