//! [`Writer`]: the one thread that writes. Whatever has gathered in its queue shares one transaction.

use std::collections::HashSet;
use std::error::Error as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::{Notify, mpsc, oneshot, watch};

mod batch;

use self::batch::{Batch, Held};
use super::SqliteOptions;
use super::file::{AppendLock, cannot};
use super::store::{NewRow, Store};
use super::trust::{self, Remembered};
use crate::{Appended, Claim, Finish, InboxError, InboxErrorKind, Order, Prune, Pruned};

/// What stands in the writer's queue.
pub(super) enum Job {
    Append(Box<Append>),
    Work(Box<dyn Work>),
    Close(Reply<()>),
    /// Ends the thread as a panic would.
    #[cfg(test)]
    Die,
}

/// A delivery to be kept. Those of one transaction are written together.
pub(super) struct Append {
    pub(super) row: NewRow,
    pub(super) reply: Reply<Appended>,
}

/// Something to be done inside a transaction, and answered after it.
pub(super) trait Work: Send {
    /// As [`Ask::CAN_WAIT`].
    fn can_wait(&self) -> bool;
    fn run(&mut self, store: &mut Store) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>);
    fn refuse(self: Box<Self>, error: InboxError);
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, InboxError>>;

/// A question to the store; [`Request`] makes it into [`Work`].
pub(super) trait Ask: Send {
    type Answer: Send;
    /// Whether many appends go first, for a while.
    const CAN_WAIT: bool = false;
    fn run(&self, store: &mut Store) -> rusqlite::Result<Self::Answer>;
}

pub(super) struct ClaimDue {
    pub(super) limit: usize,
    pub(super) now: SystemTime,
    pub(super) order: Order,
}

/// Whether a commit reaches the disk.
pub(super) struct Touch;

pub(super) struct SetBookmark {
    pub(super) name: String,
    pub(super) value: Option<String>,
}

struct Request<A: Ask> {
    ask: A,
    answer: Option<A::Answer>,
    reply: Reply<A::Answer>,
}

pub(super) struct Writer {
    /// Dropped first of all, so that who finds the queue gone knows that the writer is.
    _ended: watch::Sender<()>,
    path: PathBuf,
    options: SqliteOptions,
    queue: mpsc::Receiver<Job>,
    appended: Arc<Notify>,
    /// `None` after a failure that leaves open what is on the disk: the file is then opened anew, and checked, before the
    /// next batch.
    store: Option<Store>,
    /// While there is no store: what it knew.
    remembered: Remembered,
    /// Index rows can wait: after a failure they do, until something else was written again.
    has_failed: bool,
    held: Held,
    _lock: AppendLock,
}

/// What the writer found in its queue.
enum Gathered {
    Work(Batch),
    Close(Batch, Reply<()>),
    End,
}

/// The answers to the appends of a batch, and whether anything was new.
struct Written {
    appended: Vec<Appended>,
    has_news: bool,
}

impl Job {
    pub(super) fn new<A: Ask + 'static>(ask: A, reply: Reply<A::Answer>) -> Self {
        Self::Work(Box::new(Request {
            ask,
            answer: None,
            reply,
        }))
    }
}

impl Ask for ClaimDue {
    type Answer = Claim;
    // Whoever sends has ten seconds for his answer, and a handler has no such limit.
    const CAN_WAIT: bool = true;

    fn run(&self, store: &mut Store) -> rusqlite::Result<Claim> {
        store.claim(self.limit, self.now, self.order)
    }
}

impl Ask for Finish {
    type Answer = ();

    fn run(&self, store: &mut Store) -> rusqlite::Result<()> {
        store.finish(self)
    }
}

impl Ask for Touch {
    type Answer = ();

    fn run(&self, store: &mut Store) -> rusqlite::Result<()> {
        store.touch()
    }
}

impl Ask for Prune {
    type Answer = Pruned;

    fn run(&self, store: &mut Store) -> rusqlite::Result<Pruned> {
        store.prune(self)
    }
}

impl Ask for SetBookmark {
    type Answer = ();

    fn run(&self, store: &mut Store) -> rusqlite::Result<()> {
        store.set_bookmark(&self.name, self.value.as_deref(), SystemTime::now())
    }
}

impl<A: Ask> Work for Request<A> {
    fn can_wait(&self) -> bool {
        A::CAN_WAIT
    }

    fn run(&mut self, store: &mut Store) -> rusqlite::Result<()> {
        self.answer = Some(self.ask.run(store)?);
        Ok(())
    }

    fn answer(self: Box<Self>) {
        if let Some(answer) = self.answer {
            let _ = self.reply.send(Ok(answer));
        }
    }

    fn refuse(self: Box<Self>, error: InboxError) {
        let _ = self.reply.send(Err(error));
    }
}

impl Writer {
    pub(super) fn open(
        path: PathBuf,
        options: SqliteOptions,
        queue: mpsc::Receiver<Job>,
        appended: Arc<Notify>,
        ended: watch::Sender<()>,
    ) -> Result<Self, InboxError> {
        let lock = AppendLock::take_patiently(&path)?;
        let store = Store::open(&path, &options, &HashSet::new(), SystemTime::now())?;
        Ok(Self {
            _ended: ended,
            path,
            options,
            queue,
            appended,
            store: Some(store),
            remembered: Remembered::default(),
            has_failed: false,
            held: Held::default(),
            _lock: lock,
        })
    }

    /// Works until every sender is gone or somebody asks to close.
    pub(super) fn run(mut self) {
        loop {
            match self.gather() {
                Gathered::Work(batch) => self.work_on(batch),
                Gathered::Close(batch, reply) => {
                    self.work_on(batch);
                    let closed = self.close();
                    // The lock goes before the answer, so that whoever has it may open the file anew.
                    drop(self);
                    // The asker may be gone; the file is closed all the same.
                    let _ = reply.send(closed);
                    return;
                }
                Gathered::End => {
                    if let Err(error) = self.close() {
                        tracing::error!(%error, "the inbox was not closed cleanly; nothing in it is lost");
                    }
                    return;
                }
            }
        }
    }

    /// Waits for the first job, then takes what else is there. While index rows or what was held back wait, an empty queue is
    /// no reason to sleep.
    fn gather(&mut self) -> Gathered {
        let mut batch = Batch::default();
        let store = self.store.as_ref().filter(|_| !self.has_failed);
        let has_index_rows = store.is_some_and(Store::has_index_rows_waiting);
        let mut next = match self.queue.try_recv() {
            Ok(job) => Some(job),
            Err(mpsc::error::TryRecvError::Empty)
                if has_index_rows || !self.held.works.is_empty() =>
            {
                self.held.release_into(&mut batch.works, 0, Instant::now());
                return Gathered::Work(batch);
            }
            Err(mpsc::error::TryRecvError::Empty) => self.queue.blocking_recv(),
            Err(mpsc::error::TryRecvError::Disconnected) => None,
        };
        if next.is_none() {
            return Gathered::End;
        }
        while let Some(job) = next.take() {
            match job {
                Job::Append(append) => batch.appends.push(*append),
                Job::Work(work) if work.can_wait() => self.held.works.push(work),
                Job::Work(work) => batch.works.push(work),
                #[cfg(test)]
                Job::Die => panic!("a fault of the test"),
                Job::Close(reply) => {
                    batch.works.append(&mut self.held.works);
                    return Gathered::Close(batch, reply);
                }
            }
            if batch.len() < self.options.batch_len {
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
            tracing::error!(inbox = %self.path.display(), "writing to the inbox panicked");
            self.distrust();
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
                self.bring_log_in();
            }
            Err(failure) if failure.is_of_one_request => {
                batch.into_single().for_each(|batch| self.work(batch));
            }
            Err(Failure { error, .. }) => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(%error, cause, requests = batch.len(), "the inbox kept nothing of these");
                batch.refuse(&error);
            }
        }
    }

    fn transact(&mut self, batch: &mut Batch) -> Result<Written, Failure> {
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(trust::reopen(
                &self.path,
                &self.options,
                &mut self.remembered,
            )?),
        };
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
        let error = match written {
            Ok(Ok(appended)) => {
                let has_news = store.last_id() > before;
                return Ok(Written { appended, has_news });
            }
            Ok(Err(error)) => error,
            Err(_) => return Err(self.recover_from_panic(batch.len())),
        };
        store.roll_back();
        let is_of_one_request = batch.len() > 1 && is_of_one_request(&error);
        if !is_of_one_request {
            self.give_up_unless_in_order(&error);
        }
        Err(Failure {
            error: cannot("write to", &self.path, error),
            is_of_one_request,
        })
    }

    /// After a panic: what it left half done is not in the file, which is opened again, and
    /// checked, before the next batch.
    fn distrust(&mut self) {
        self.has_failed = true;
        if let Some(mut store) = self.store.take() {
            store.roll_back();
            self.remembered = store.into_remembered();
        }
    }

    fn recover_from_panic(&mut self, requests: usize) -> Failure {
        self.distrust();
        let message = format!("writing to inbox {} panicked", self.path.display());
        Failure {
            error: InboxError::new(InboxErrorKind::Storage, message),
            is_of_one_request: requests > 1,
        }
    }

    /// After the answers, which need not wait for it.
    fn bring_log_in(&mut self) {
        let Some(store) = self.store.as_mut().filter(|store| store.has_long_log()) else {
            return;
        };
        if let Err(error) = store.bring_log_in() {
            tracing::error!(
                %error,
                inbox = %self.path.display(),
                "the log was not brought into the inbox; what was answered is in the log, which grows meanwhile"
            );
            self.has_failed = true;
            self.give_up_unless_in_order(&error);
        }
    }

    fn give_up_unless_in_order(&mut self, error: &rusqlite::Error) {
        if !leaves_the_file_in_order(error)
            && let Some(store) = self.store.take()
        {
            self.remembered = store.into_remembered();
        }
    }

    fn close(&mut self) -> Result<(), InboxError> {
        let closed = self.store.take().map_or(Ok(()), Store::close);
        closed.map_err(|error| cannot("close", &self.path, error))
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

/// A value too long for SQLite, or a row that somebody wrote by hand and we cannot read.
fn is_of_one_request(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        None | Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
    )
}

/// A full disk, another writer, and a row we cannot read leave the file as it was. After anything else, a failed fsync above all, nothing this
/// process remembers of the file is trusted until it has been opened anew and checked.
fn leaves_the_file_in_order(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        None | Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

impl InboxError {
    /// The same refusal for everybody in a batch; the cause goes to the log once.
    fn again(&self) -> Self {
        Self::new(InboxErrorKind::Storage, self.to_string())
    }
}

const IDLE_INDEX_ROWS: usize = 4096;
