//! [`RejectedRing`]: the posts that were turned away lately, to look at and to verify again. [`RejectedFile`]: looking.
//!
//! They stand in a file apart from the inbox, `<inbox>.rejected`, written by a thread of its own: whatever strangers send,
//! the inbox's writer does not notice. The file is bounded, and so is what waits to be written.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::thread::spawn;
use crate::{Header, InboxError};

mod file;
mod queue;
mod reader;
mod store;

pub use self::reader::{Rejected, RejectedCounts, RejectedFile, RejectedSummary};

use self::queue::{Queue, Writer};

/// Keeps posts that were turned away, in a bounded file. Clones share it.
///
/// Recording never waits and never fails: what comes faster than it can be written is only counted. Posts without a
/// well-formed signature have a quarter of all room, in the queue and in the file, and the others have the rest: whoever
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

/// How much a [`RejectedRing`] holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RingOptions {
    /// How many posts. Default: 1,000.
    pub max_posts: usize,
    /// How many bytes; a post counts with whole pages of 4 KiB. The file's write-ahead log comes on top, with a few MiB.
    /// Default: 64 MiB.
    pub max_bytes: u64,
    /// How many posts may wait to be written. Default: 512.
    pub queue_capacity: usize,
    /// How many bytes of bodies may wait to be written. Default: 8 MiB.
    pub queue_bytes: usize,
    /// How long to wait at least between two commits, so that a flood costs the disk little. Default: 100 ms.
    pub commit_pause: Duration,
    /// How long to wait for a lock that another program holds on the file. Default: 5 s.
    pub lock_time: Duration,
}

/// A post that was turned away.
///
/// It has no place for header values other than signatures, which may be credentials, nor for the address it came to.
#[derive(Clone)]
pub struct NewRejected {
    at: SystemTime,
    reason: String,
    explanation: Option<String>,
    header_names: Vec<String>,
    signatures: Vec<Header>,
    is_signed: bool,
    body: Option<Bytes>,
}

struct Shared {
    path: PathBuf,
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

/// Where the posts turned away stand that belong to the inbox at `inbox`: `<inbox>.rejected`.
#[must_use]
pub fn rejected_path(inbox: &Path) -> PathBuf {
    let mut path = OsString::from(inbox);
    path.push(".rejected");
    PathBuf::from(path)
}

/// How much there may be, or how much there is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Room {
    posts: u64,
    bytes: u64,
}

impl Room {
    fn new(posts: u64, bytes: u64) -> Self {
        Self { posts, bytes }
    }

    /// A quarter is for what carries no well-formed signature, the rest for what does. Neither kind displaces the other.
    fn shares(self) -> [Self; 2] {
        let unsigned = Self::new(self.posts / 4, self.bytes / 4);
        let signed = Self::new(self.posts - unsigned.posts, self.bytes - unsigned.bytes);
        [unsigned, signed]
    }
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

impl NewRejected {
    /// A post of which only the reason is known: a word that stays the same.
    #[must_use]
    pub fn new(at: SystemTime, reason: impl Into<String>) -> Self {
        Self {
            at,
            reason: reason.into(),
            explanation: None,
            header_names: Vec::new(),
            signatures: Vec::new(),
            is_signed: false,
            body: None,
        }
    }

    /// Adds what is to be done about it, in a sentence.
    #[must_use]
    pub fn explanation(mut self, explanation: Option<String>) -> Self {
        self.explanation = explanation.map(|text| bounded(&text, MAX_EXPLANATION));
        self
    }

    /// Adds the names of all its headers; the first hundred are kept.
    #[must_use]
    pub fn header_names<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().take(MAX_HEADERS);
        self.header_names = names.map(|name| bounded(name, MAX_NAME)).collect();
        self
    }

    /// Adds its signature headers with their values, so that it can be verified again; the first eight are kept.
    /// `is_signed` says whether they make a well-formed signature.
    #[must_use]
    pub fn signatures(
        mut self,
        signatures: impl IntoIterator<Item = Header>,
        is_signed: bool,
    ) -> Self {
        let signatures = signatures.into_iter().take(MAX_SIGNATURES);
        self.signatures = signatures
            .map(|header| Header {
                name: bounded(&header.name, MAX_NAME),
                value: bounded(&header.value, MAX_VALUE),
            })
            .collect();
        self.is_signed = is_signed;
        self
    }

    /// Adds the body, if it was read whole.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            max_posts: 1000,
            max_bytes: 64 * 1024 * 1024,
            queue_capacity: 512,
            queue_bytes: 8 * 1024 * 1024,
            commit_pause: Duration::from_millis(100),
            lock_time: Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for NewRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRejected")
            .field("reason", &self.reason)
            .field("header_names", &self.header_names)
            .field("is_signed", &self.is_signed)
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
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

/// At most so many bytes of it, whole characters.
fn bounded(text: &str, max_bytes: usize) -> String {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

const MAX_EXPLANATION: usize = 1024;
const MAX_HEADERS: usize = 100;
const MAX_NAME: usize = 128;
const MAX_SIGNATURES: usize = 8;
const MAX_VALUE: usize = 256;
