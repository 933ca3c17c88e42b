//! [`SqliteInbox`]: one SQLite file, written by one thread, read by any process.
//!
//! The file is in WAL mode with `synchronous=FULL`: a commit has reached the disk when it returns.
//! Appends that arrive during a commit share the next one (group commit), so throughput is not
//! limited to the disk's commits a second. Users may open the file with `sqlite3`, and other
//! processes may edit it ([`SqliteInbox::open_beside`]) or read it
//! ([`SqliteInbox::open_read_only`]) at the same time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::time::to_micros;
use crate::{
    Appended, Claim, ClaimRequest, Completion, Counts, DeadLetterReport, DeleteReport, DeliveryId,
    DeliverySummary, DriftCount, Imported, Inbox, InboxAdmin, InboxError, NewDelivery, PruneReport,
    PruneStep, Query, ReplayReport, Stats, StoredDelivery, TrafficCount, TrafficUnit,
};

mod access;
mod backup;
mod candidate;
mod check;
mod checkpoint;
mod dedup_index;
mod drift;
mod editor;
mod error;
mod file;
mod file_id;
mod handle;
mod job;
mod kind;
mod lock;
mod options;
mod order;
mod owner;
mod path;
mod prune;
mod reader;
mod reader_thread;
mod recent;
mod recovery;
mod rejected;
mod rescue;
mod row;
mod shared;
mod store;
mod thread;
mod traffic;
mod writer;

pub use check::{CheckLevel, IntegrityIssue};
pub use error::is_damaged;
pub use options::SqliteOptions;
pub use rejected::{
    NewRejected, RejectedAt, RejectedCounts, RejectedFile, RejectedRing, RingOptions, rejected_path,
};

pub use rescue::rescued_copies;

pub use crate::rejected::{Rejected, RejectedSummary};

use job::{Job, work};
use reader::Reader;
use shared::{Mode, Shared};
use store::Store;

/// The version of SQLite that this program contains, such as `3.50.2`.
pub fn library_version() -> &'static str {
    rusqlite::version()
}

/// A durable inbox in one SQLite file. Clones share it.
///
/// While it is open no other process can open the file in the same way; any may read it. Dropping
/// the last clone writes what is queued and closes the file; [`close`](Self::close) does the same
/// and returns an error if that failed.
///
/// # Examples
///
/// ```
/// use std::time::SystemTime;
/// use heygen_inbox::{Appended, Inbox, NewDelivery, Source, sqlite::SqliteInbox};
///
/// # let folder = tempfile::tempdir()?;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let inbox = SqliteInbox::open(folder.path().join("inbox.db"))?;
/// let body = r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"a","msg":"no credit"}}"#;
/// let delivery = NewDelivery::new(SystemTime::now(), Source::Webhook, Vec::new(), body.into());
/// assert!(matches!(inbox.append(delivery.clone()).await?, Appended::New(_)));
/// assert!(matches!(inbox.append(delivery).await?, Appended::Duplicate(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqliteInbox {
    shared: Arc<Shared>,
}

impl SqliteInbox {
    /// Opens the inbox at `path` with default options, or creates it.
    ///
    /// # Errors
    ///
    /// As [`open_with`](Self::open_with).
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, InboxError> {
        Self::open_with(path, SqliteOptions::default())
    }

    /// Opens the inbox at `path`, or creates it, readable by its owner alone.
    ///
    /// Deliveries that were claimed when the last process ended are pending again; their attempts
    /// are recorded as interrupted. Look for [`rescued_copies`] too, whose deliveries are to be
    /// imported.
    ///
    /// # Errors
    ///
    /// [`InUse`](crate::InboxErrorKind::InUse) while another process serves it,
    /// [`Version`](crate::InboxErrorKind::Version) when a newer version made it or it is no inbox,
    /// [`Storage`](crate::InboxErrorKind::Storage) when it cannot be opened, read or written.
    pub fn open_with(path: impl Into<PathBuf>, options: SqliteOptions) -> Result<Self, InboxError> {
        Self::open_as(path.into(), Mode::Owner, options)
    }

    /// Opens the inbox at `path`, or creates it, whether or not another process serves it. All but
    /// claims is possible; the serving process notices what was appended or replayed within a
    /// second. Both take turns by SQLite's lock, so calls should stay small (some hundred
    /// deliveries).
    ///
    /// # Errors
    ///
    /// [`Version`](crate::InboxErrorKind::Version) when a process of another version serves it or
    /// it is no inbox, [`Storage`](crate::InboxErrorKind::Storage) when it cannot be opened, read
    /// or written.
    pub fn open_beside(path: impl Into<PathBuf>) -> Result<Self, InboxError> {
        Self::open_as(path.into(), Mode::Editor, SqliteOptions::default())
    }

    /// Opens the inbox at `path` for reading, whether or not another process serves it. Changes
    /// fail as [`Unsupported`](crate::InboxErrorKind::Unsupported).
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when there is none or it cannot be read,
    /// [`Version`](crate::InboxErrorKind::Version) when another version made it or it is no inbox.
    pub fn open_read_only(path: impl Into<PathBuf>) -> Result<Self, InboxError> {
        Self::open_as(path.into(), Mode::ReadOnly, SqliteOptions::default())
    }

    fn open_as(path: PathBuf, mode: Mode, options: SqliteOptions) -> Result<Self, InboxError> {
        let shared = Arc::new(Shared::open(path, mode, options)?);
        Ok(Self { shared })
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Checks for damage; reads the whole file and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the file could not be read for another
    /// reason than damage.
    pub async fn check(&self, level: CheckLevel) -> Result<Vec<IntegrityIssue>, InboxError> {
        self.shared
            .ask_reader(move |reader| reader.check(level))
            .await
    }

    /// Writes a consistent copy of everything that is committed now to a new file, or an empty one,
    /// also while a process serves the inbox. Calls `progress` with how many pages of how many are
    /// copied. The copy is a single file, and has been checked.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the inbox could not be read, the copy not
    /// be written, or the copy is damaged, as the inbox then probably is. The incomplete copy is
    /// not removed.
    pub async fn backup(
        &self,
        to: impl Into<PathBuf>,
        progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<(), InboxError> {
        let to = to.into();
        self.shared
            .ask_reader(move |reader| reader.backup(&to, progress))
            .await
    }
}

impl Inbox for SqliteInbox {
    async fn append(&self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        self.shared.append(delivery).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim, InboxError> {
        self.shared.check_owner()?;
        // A sender waits at most ten seconds for its answer; a handler has no such limit.
        let claim = move |store: &mut Store| store.claim(&request);
        self.shared
            .send(|reply| Job::DeferrableWork(work(claim, reply)))
            .await
    }

    async fn complete(&self, completion: Completion) -> Result<(), InboxError> {
        self.shared.check_owner()?;
        self.shared
            .write(move |store| store.complete(&completion))
            .await
    }

    async fn wait_for_append(&self) {
        self.shared.appended.notified().await;
    }

    async fn ready(&self) -> Result<(), InboxError> {
        // Fails unless a commit reaches the disk.
        self.shared.write(|store| store.touch()).await
    }

    fn queue_len(&self) -> usize {
        self.shared.jobs.max_capacity() - self.shared.jobs.capacity()
    }

    fn orders_by_subject(&self) -> bool {
        true
    }

    /// Returns after [`close`](Inbox::close), or when the writer thread has ended after a panic
    /// that it could not recover from. Does not keep the inbox open.
    fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.shared.ended.clone();
        async move {
            // No message is ever sent: this returns when the writer is dropped.
            let _ = ended.changed().await;
        }
    }

    async fn close(&self) -> Result<(), InboxError> {
        self.shared.close().await
    }
}

impl InboxAdmin for SqliteInbox {
    async fn list(&self, query: Query) -> Result<Vec<DeliverySummary>, InboxError> {
        self.shared.read(move |reader| reader.list(&query)).await
    }

    async fn get(&self, id: DeliveryId) -> Result<Option<StoredDelivery>, InboxError> {
        self.shared.read(move |reader| reader.get(id)).await
    }

    async fn count(&self, query: Query) -> Result<u64, InboxError> {
        self.shared.read(move |reader| reader.count(&query)).await
    }

    async fn counts(&self) -> Result<Counts, InboxError> {
        self.shared.read(Reader::counts).await
    }

    async fn stats(&self, attempts_since: SystemTime) -> Result<Stats, InboxError> {
        self.shared
            .read(move |reader| reader.stats(attempts_since))
            .await
    }

    async fn find(
        &self,
        deliveries: Vec<NewDelivery>,
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        match self.shared.mode {
            Mode::Owner | Mode::Editor => {
                let find = move |store: &mut Store| store.find_all(&deliveries);
                self.shared.write(find).await
            }
            Mode::ReadOnly => {
                let find = move |reader: &Reader| reader.find(&deliveries);
                self.shared.read(find).await
            }
        }
    }

    async fn import(&self, deliveries: Vec<Imported>) -> Result<Vec<Appended>, InboxError> {
        self.shared
            .change(move |store| store.import(&deliveries))
            .await
    }

    async fn replay(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> Result<ReplayReport, InboxError> {
        self.shared
            .change(move |store| store.replay(&ids, to_micros(now)))
            .await
    }

    async fn dead_letter(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> Result<DeadLetterReport, InboxError> {
        self.shared
            .change(move |store| store.dead_letter(&ids, now))
            .await
    }

    async fn delete(&self, ids: Vec<DeliveryId>) -> Result<DeleteReport, InboxError> {
        self.shared
            .change(move |store| store.delete(&ids, SystemTime::now()))
            .await
    }

    async fn count_prunable(&self, before: SystemTime) -> Result<u64, InboxError> {
        let count = move |reader: &Reader| reader.count_prunable(before);
        self.shared.read(count).await
    }

    async fn drift(&self) -> Result<Vec<DriftCount>, InboxError> {
        self.shared.read(Reader::drift).await
    }

    async fn traffic(
        &self,
        since: SystemTime,
        unit: TrafficUnit,
    ) -> Result<Vec<TrafficCount>, InboxError> {
        self.shared
            .read(move |reader| reader.traffic(since, unit))
            .await
    }

    async fn prune(&self, step: PruneStep) -> Result<PruneReport, InboxError> {
        let scanned = step.clone();
        let damaged = self
            .shared
            .read(move |reader| reader.damaged(&scanned))
            .await?;
        self.shared
            .write(move |store| store.prune(&step, &damaged))
            .await
    }

    async fn bookmark(&self, name: String) -> Result<Option<String>, InboxError> {
        self.shared.read(move |reader| reader.bookmark(&name)).await
    }

    async fn set_bookmark(&self, name: String, value: Option<String>) -> Result<(), InboxError> {
        let set =
            move |store: &mut Store| store.set_bookmark(&name, value.as_deref(), SystemTime::now());
        self.shared.write(set).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{InboxErrorKind, Source};

    /// Panics in the middle of a transaction.
    fn panic(store: &mut Store) -> rusqlite::Result<()> {
        store.touch()?;
        panic!("a fault of the test");
    }

    fn delivery(video_id: &str) -> NewDelivery {
        let body = format!(
            r#"{{"event_type":"avatar_video.success","event_data":{{"video_id":"{video_id}"}}}}"#
        );
        let now = SystemTime::now();
        NewDelivery::new(now, Source::Webhook, Vec::new(), body.into())
    }

    #[tokio::test]
    async fn panic_while_writing_fails_one_request_and_nothing_after_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inbox = SqliteInbox::open(folder.path().join("inbox.db")).expect("an inbox");
        let first = inbox.append(delivery("first")).await.expect("appended");
        let claim = inbox.claim(ClaimRequest::due(1, SystemTime::now())).await;
        assert_eq!(claim.expect("a claim").deliveries.len(), 1);
        for round in 0..3 {
            // In one transaction if the thread is slow, one after the other otherwise.
            let beside = delivery(&format!("beside {round}"));
            let (panicked, beside) = tokio::join!(inbox.shared.write(panic), inbox.append(beside));
            let error = panicked.expect_err("a panic is no success");
            assert_eq!(error.kind(), InboxErrorKind::Storage, "{error}");
            assert!(error.to_string().contains("panicked"), "{error}");
            beside.expect("what is beside it is appended");
            inbox.ready().await.expect("it commits again");
        }
        let again = inbox.append(delivery("first")).await.expect("appended");
        assert_eq!(again, Appended::Duplicate(first.id()));
        let counts = inbox.counts().await.expect("counts");
        assert_eq!((counts.claimed, counts.pending), (1, 3));
    }

    #[tokio::test]
    async fn panic_while_reading_fails_one_question() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inbox = SqliteInbox::open(folder.path().join("inbox.db")).expect("an inbox");
        let panicked = inbox
            .shared
            .read::<()>(|_| panic!("a fault of the test"))
            .await;
        let error = panicked.expect_err("a panic is no success");
        assert_eq!(error.kind(), InboxErrorKind::Storage, "{error}");
        inbox.counts().await.expect("the next is answered");
    }

    #[tokio::test]
    async fn end_of_the_writer_is_noticed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inbox = SqliteInbox::open(folder.path().join("inbox.db")).expect("an inbox");
        let mut closed = Box::pin(inbox.closed());
        let waited = tokio::time::timeout(Duration::from_millis(10), &mut closed).await;
        waited.expect_err("it runs");
        // As a panic that it does not catch would.
        let ended = inbox.shared.send::<()>(|_| Job::Die).await;
        ended.expect_err("nothing answers");
        tokio::time::timeout(Duration::from_secs(60), closed)
            .await
            .expect("it has ended");
        let appended = inbox.append(delivery("a")).await;
        assert_eq!(
            appended.expect_err("no one writes").kind(),
            InboxErrorKind::Closed
        );
        inbox.ready().await.expect_err("no one writes");
    }
}
