//! [`Writer`]: the one thread that writes, with group commit: the jobs that are in its queue share
//! one transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{self, Runtime};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

use super::file::cannot;
use super::handle::Handle;
use super::job::{Batch, Deferred, Job, Reply};
use crate::{Appended, InboxError, InboxErrorKind};

pub(super) struct Writer<H> {
    /// Dropped first: a sender that finds the queue closed knows that the writer has ended.
    _ended: watch::Sender<()>,
    queue: mpsc::Receiver<Job>,
    appended: Arc<Notify>,
    /// After a failure index rows wait until another write has succeeded.
    has_failed: bool,
    deferred: Deferred,
    handle: H,
}

/// What the writer does next.
enum Gathered {
    Work(Batch),
    /// No job came for a while.
    Idle,
    Close(Batch, Reply<()>),
    End,
}

/// The answers to the appends of a batch, and whether any delivery was new.
struct Written {
    appended: Vec<Appended>,
    has_new: bool,
}

impl<H: Handle> Writer<H> {
    pub(super) fn new(
        handle: H,
        queue: mpsc::Receiver<Job>,
        appended: Arc<Notify>,
        ended: watch::Sender<()>,
    ) -> Self {
        Self {
            _ended: ended,
            queue,
            appended,
            has_failed: false,
            deferred: Deferred::default(),
            handle,
        }
    }

    /// Runs until every sender is gone or a caller asks to close.
    pub(super) fn run(mut self) {
        // Created here: a runtime must not be dropped within another one.
        let wait = match runtime::Builder::new_current_thread().enable_time().build() {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(%error, "the inbox cannot wait for deliveries");
                return;
            }
        };
        loop {
            match self.gather(&wait) {
                Gathered::Work(batch) => self.work_on(batch),
                Gathered::Idle => {
                    let maintained = self.handle.maintain(self.has_failed);
                    self.has_failed |= maintained.is_err();
                }
                Gathered::Close(batch, reply) => {
                    self.work_on(batch);
                    let closed = self.handle.close();
                    // The lock is released before the answer, so that the caller can open the file
                    // again.
                    drop(self);
                    // The caller may be gone.
                    let _ = reply.send(closed);
                    return;
                }
                Gathered::End => {
                    if let Err(error) = self.handle.close() {
                        tracing::error!(%error, "the inbox was not closed cleanly; no data is lost");
                    }
                    return;
                }
            }
        }
    }

    /// Waits for the first job, then takes the others that are in the queue. Does not wait while
    /// index rows or deferred jobs do.
    fn gather(&mut self, wait: &Runtime) -> Gathered {
        let mut batch = Batch::default();
        let store = self.handle.store().filter(|_| !self.has_failed);
        let is_flushing = store.is_some_and(|store| store.dedup_index.is_flushing());
        let mut next = match self.queue.try_recv() {
            Ok(job) => Some(job),
            Err(mpsc::error::TryRecvError::Empty)
                if is_flushing || !self.deferred.works.is_empty() =>
            {
                self.deferred
                    .release_into(&mut batch.works, 0, Instant::now());
                return Gathered::Work(batch);
            }
            Err(mpsc::error::TryRecvError::Empty) => {
                let queue = &mut self.queue;
                match wait.block_on(async { timeout(IDLE, queue.recv()).await }) {
                    Ok(job) => job,
                    Err(_) => return Gathered::Idle,
                }
            }
            Err(mpsc::error::TryRecvError::Disconnected) => None,
        };
        if next.is_none() {
            return Gathered::End;
        }
        while let Some(job) = next.take() {
            match job {
                Job::Append(append) => batch.appends.push(*append),
                Job::Work(work) => batch.works.push(work),
                Job::DeferrableWork(work) => self.deferred.works.push(work),
                #[cfg(test)]
                Job::Die => panic!("a fault of the test"),
                Job::Close(reply) => {
                    batch.works.append(&mut self.deferred.works);
                    return Gathered::Close(batch, reply);
                }
            }
            if batch.len() < self.handle.batch_len() && batch.works.len() < H::MAX_WORKS {
                next = self.queue.try_recv().ok();
            }
        }
        self.deferred
            .release_into(&mut batch.works, batch.appends.len(), Instant::now());
        Gathered::Work(batch)
    }

    /// A panic fails this batch and nothing else: its callers get an error because their replies
    /// are dropped.
    fn work_on(&mut self, batch: Batch) {
        if catch_unwind(AssertUnwindSafe(|| self.work(batch))).is_err() {
            tracing::error!(inbox = %self.handle.path().display(), "writing to the inbox panicked");
            self.has_failed = true;
            self.handle.discard();
        }
    }

    /// One transaction: either all of it is durable and answered, or all of it is rejected.
    fn work(&mut self, mut batch: Batch) {
        let written = self.transact(&mut batch);
        self.has_failed = written.is_err();
        match written {
            Ok(Written { appended, has_new }) => {
                batch.answer(appended);
                if has_new {
                    self.appended.notify_one();
                }
                self.has_failed = self.handle.checkpoint().is_err();
            }
            Err(failure) if failure.is_of_one_request => {
                batch.into_single().for_each(|batch| self.work(batch));
            }
            Err(Failure { error, .. }) => {
                let refusal = self.handle.commit_error(error, batch.len());
                batch.refuse(refusal);
            }
        }
    }

    fn transact(&mut self, batch: &mut Batch) -> Result<Written, Failure> {
        let store = self.handle.open_store()?;
        let before = store.last_id;
        // Every batch writes more index rows than it can add fingerprints, so that a flush ends.
        let index_rows = match batch.len() {
            0 => IDLE_INDEX_ROWS,
            jobs => 4 * jobs,
        };
        let written = catch_unwind(AssertUnwindSafe(|| {
            store.begin()?;
            let appended = batch.run(store)?;
            store.commit(index_rows).map(|()| appended)
        }));
        let is_one_of_many = batch.len() > 1;
        match written {
            Ok(Ok(appended)) => {
                // Of other processes too: the transaction has noticed what they appended.
                let has_new = store.last_id > before;
                self.handle.check_committed()?;
                Ok(Written { appended, has_new })
            }
            Ok(Err(error)) => {
                store.roll_back();
                let is_of_one_request = is_one_of_many && is_of_one_request(&error);
                if !is_of_one_request {
                    self.handle.discard_unless_intact(&error);
                }
                Err(Failure {
                    error: cannot("write to", self.handle.path(), error),
                    is_of_one_request,
                })
            }
            Err(_) => {
                self.handle.discard();
                let path = self.handle.path().display();
                let message = format!("writing to inbox {path} panicked");
                Err(Failure {
                    error: InboxError::new(InboxErrorKind::Storage, message),
                    is_of_one_request: is_one_of_many,
                })
            }
        }
    }
}

/// Why a transaction failed.
struct Failure {
    error: InboxError,
    /// The other requests may succeed without this one.
    is_of_one_request: bool,
}

impl From<InboxError> for Failure {
    fn from(error: InboxError) -> Self {
        Self {
            error,
            is_of_one_request: false,
        }
    }
}

/// A value too long for SQLite, or an unreadable row.
fn is_of_one_request(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        None | Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
    )
}

const IDLE_INDEX_ROWS: usize = 4096;

/// After so long without a job the files are checked.
const IDLE: Duration = Duration::from_millis(500);
