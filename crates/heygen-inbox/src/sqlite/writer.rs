//! [`Writer`]: the one thread that writes. Whatever has gathered in its queue shares one transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{self, Runtime};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

use super::file::cannot;
use super::handle::Handle;
use super::job::{Batch, Held, Job, Reply};
use super::store::Store;
use crate::{Appended, InboxError, InboxErrorKind};

pub(super) struct Writer<H> {
    /// Dropped first of all, so that who finds the queue gone knows that the writer is.
    _ended: watch::Sender<()>,
    queue: mpsc::Receiver<Job>,
    appended: Arc<Notify>,
    /// Index rows can wait: after a failure they do, until something else was written again.
    has_failed: bool,
    held: Held,
    handle: H,
}

/// What the writer found in its queue.
enum Gathered {
    Work(Batch),
    /// Nothing came for a while.
    Nothing,
    Close(Batch, Reply<()>),
    End,
}

/// The answers to the appends of a batch, and whether anything was new.
struct Written {
    appended: Vec<Appended>,
    has_news: bool,
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
            held: Held::default(),
            handle,
        }
    }

    /// Works until every sender is gone or a caller asks to close.
    pub(super) fn run(mut self) {
        // Made here: it may not be dropped by a thread that runs others.
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
                Gathered::Nothing => {
                    let looked = self.handle.look_after_files(self.has_failed);
                    self.has_failed |= looked.is_err();
                }
                Gathered::Close(batch, reply) => {
                    self.work_on(batch);
                    let closed = self.handle.close();
                    // The lock goes before the answer, so that whoever has it may open the file anew.
                    drop(self);
                    // The asker may be gone; the file is closed all the same.
                    let _ = reply.send(closed);
                    return;
                }
                Gathered::End => {
                    if let Err(error) = self.handle.close() {
                        tracing::error!(%error, "the inbox was not closed cleanly; nothing in it is lost");
                    }
                    return;
                }
            }
        }
    }

    /// Waits for the first job, then takes what else is there. While index rows or what was held back wait, an empty queue is
    /// no reason to sleep.
    fn gather(&mut self, wait: &Runtime) -> Gathered {
        let mut batch = Batch::default();
        let store = self.handle.store().filter(|_| !self.has_failed);
        let has_index_rows = store.is_some_and(Store::has_index_rows_waiting);
        let mut next = match self.queue.try_recv() {
            Ok(job) => Some(job),
            Err(mpsc::error::TryRecvError::Empty)
                if has_index_rows || !self.held.works.is_empty() =>
            {
                self.held.release_into(&mut batch.works, 0, Instant::now());
                return Gathered::Work(batch);
            }
            Err(mpsc::error::TryRecvError::Empty) => {
                let queue = &mut self.queue;
                match wait.block_on(async { timeout(IDLE, queue.recv()).await }) {
                    Ok(job) => job,
                    Err(_) => return Gathered::Nothing,
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
                Job::LateWork(work) => self.held.works.push(work),
                #[cfg(test)]
                Job::Die => panic!("a fault of the test"),
                Job::Close(reply) => {
                    batch.works.append(&mut self.held.works);
                    return Gathered::Close(batch, reply);
                }
            }
            if batch.len() < self.handle.batch_len() && batch.works.len() < H::WORKS {
                next = self.queue.try_recv().ok();
            }
        }
        self.held
            .release_into(&mut batch.works, batch.appends.len(), Instant::now());
        Gathered::Work(batch)
    }

    /// A panic ends this batch and nothing else. Who asked for what is in it gets an error, since
    /// the answer is dropped.
    fn work_on(&mut self, batch: Batch) {
        if catch_unwind(AssertUnwindSafe(|| self.work(batch))).is_err() {
            tracing::error!(inbox = %self.handle.path().display(), "writing to the inbox panicked");
            self.has_failed = true;
            self.handle.give_up();
        }
    }

    /// One transaction: either all of it is on the disk and answered, or all of it is refused.
    fn work(&mut self, mut batch: Batch) {
        let written = self.transact(&mut batch);
        self.has_failed = written.is_err();
        match written {
            Ok(Written { appended, has_news }) => {
                batch.answer(appended);
                if has_news {
                    self.appended.notify_one();
                }
                self.has_failed = self.handle.bring_log_in().is_err();
            }
            Err(failure) if failure.is_of_one_request => {
                batch.into_single().for_each(|batch| self.work(batch));
            }
            Err(Failure { error, .. }) => {
                let refusal = self.handle.refusal(error, batch.len());
                batch.refuse(refusal);
            }
        }
    }

    fn transact(&mut self, batch: &mut Batch) -> Result<Written, Failure> {
        let store = self.handle.find_store()?;
        let before = store.last_id();
        // Every batch writes more index rows than it can add fingerprints, so that the rows waiting come to an end.
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
                let has_news = store.last_id() > before;
                self.handle.check_written()?;
                Ok(Written { appended, has_news })
            }
            Ok(Err(error)) => {
                store.roll_back();
                let is_of_one_request = is_one_of_many && is_of_one_request(&error);
                if !is_of_one_request {
                    self.handle.give_up_unless_in_order(&error);
                }
                Err(Failure {
                    error: cannot("write to", self.handle.path(), error),
                    is_of_one_request,
                })
            }
            Err(_) => {
                self.handle.give_up();
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

/// Why a transaction came to nothing.
struct Failure {
    error: InboxError,
    /// The others may be written without the one.
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

/// A value too long for SQLite, or a row that was written by hand and we cannot read.
fn is_of_one_request(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        None | Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
    )
}

const IDLE_INDEX_ROWS: usize = 4096;

/// How long nothing may come before the files are looked at.
const IDLE: Duration = Duration::from_millis(500);
