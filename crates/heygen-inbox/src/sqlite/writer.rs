//! [`Writer`]: the one thread that writes. Whatever has gathered in its queue shares one transaction.

use std::collections::HashSet;
use std::error::Error as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, mpsc, oneshot, watch};

mod batch;
mod wait;

use self::batch::{Batch, Held};
use self::wait::{Received, receive_within};
use super::checkpoint::Stuck;
use super::file::{cannot, check_log};
use super::file_id::{Difference, FileId};
use super::lock::AppendLock;
use super::lost::Lost;
use super::rescue::left_beside;
use super::store::{NewRow, Remembered, Store};
use super::{ReadJob, SqliteOptions};
use crate::{Appended, Claim, ClaimRequest, Completion, InboxError, InboxErrorKind, Prune, Pruned};

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
    /// While there is no store: what it knew, and which file it was.
    remembered: Remembered,
    database: FileId,
    /// While the files under the name are not those that were open.
    lost: Option<Lost>,
    /// To the thread that reads, which has the files open too.
    reads: std::sync::mpsc::Sender<ReadJob>,
    told_of_names_at: Option<Instant>,
    /// Index rows can wait: after a failure they do, until something else was written again.
    has_failed: bool,
    held: Held,
    lock: AppendLock,
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

impl Job {
    pub(super) fn new<A: Ask + 'static>(ask: A, reply: Reply<A::Answer>) -> Self {
        Self::Work(Box::new(Request {
            ask,
            answer: None,
            reply,
        }))
    }
}

impl Ask for ClaimRequest {
    type Answer = Claim;
    // Whoever sends has ten seconds for his answer, and a handler has no such limit.
    const CAN_WAIT: bool = true;

    fn run(&self, store: &mut Store) -> rusqlite::Result<Claim> {
        store.claim(self)
    }
}

impl Ask for Completion {
    type Answer = ();

    fn run(&self, store: &mut Store) -> rusqlite::Result<()> {
        store.complete(self)
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
        reads: std::sync::mpsc::Sender<ReadJob>,
        ended: watch::Sender<()>,
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
            _ended: ended,
            path,
            options,
            queue,
            appended,
            database: store.files().database(),
            store: Some(store),
            remembered: Remembered::default(),
            lost: None,
            reads,
            told_of_names_at: None,
            has_failed: false,
            held: Held::default(),
            lock,
        })
    }

    /// Works until every sender is gone or somebody asks to close.
    pub(super) fn run(mut self) {
        loop {
            match self.gather() {
                Gathered::Work(batch) => self.work_on(batch),
                Gathered::Nothing => self.look_after_files(),
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
            Err(mpsc::error::TryRecvError::Empty) => match receive_within(&mut self.queue, IDLE) {
                Received::Job(job) => Some(job),
                Received::Nothing => return Gathered::Nothing,
                Received::End => None,
            },
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
            Err(Failure { error, is_told, .. }) if is_told => batch.refuse(&error),
            Err(Failure { error, .. }) => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(%error, cause, requests = batch.len(), "the inbox kept nothing of these");
                batch.refuse(&error);
            }
        }
    }

    fn transact(&mut self, batch: &mut Batch) -> Result<Written, Failure> {
        self.look_at_files();
        let store = self.find_store()?;
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
                self.look_at_files();
                // It stands in a file that nobody finds: it is in the copy, and has to come again
                // all the same.
                return match self.store {
                    Some(_) => Ok(Written { appended, has_news }),
                    None => self.find_store().map(|_| Written { appended, has_news }),
                };
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
            is_told: false,
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
            is_told: false,
        }
    }

    /// The store, opened again where it was given up and the file can be trusted.
    fn find_store(&mut self) -> Result<&mut Store, Failure> {
        if self.store.is_none() {
            let store = self.reopen().map_err(|error| Failure {
                is_told: self.lost.is_some(),
                ..Failure::from(error)
            })?;
            self.store = Some(store);
        }
        self.store
            .as_mut()
            .ok_or_else(|| Failure::from(super::closed()))
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
    fn close_reader(&self) -> std::sync::mpsc::Receiver<()> {
        let (close, closed) = std::sync::mpsc::channel();
        // Where the thread has ended, so has its connection.
        let _ = self.reads.send(ReadJob::Close(close));
        closed
    }

    /// Between batches: whether the files are in place, also when nobody asks, and whether the log
    /// can be made short.
    fn look_after_files(&mut self) {
        self.look_at_files();
        if self.lost.is_some() {
            // Whoever asks is told; here it only goes on.
            if let Err(failure) = self.find_store()
                && !failure.is_told
            {
                tracing::error!(error = %failure.error, "the inbox cannot be opened again");
            }
            return;
        }
        self.tell_of_names();
        if let Some(store) = self.store.as_mut().filter(|_| !self.has_failed) {
            let shrunk = store.shrink_log(self.options.log_warn_bytes);
            self.log_brought_in(shrunk);
        }
    }

    /// A second name, made while the inbox is open: the next start is refused, and whoever uses it
    /// does damage.
    fn tell_of_names(&mut self) {
        let names = self.store.as_ref().map_or(1, |store| store.files().names());
        let was_told = self
            .told_of_names_at
            .is_some_and(|told| told.elapsed() < BETWEEN_LINES);
        if names > 1 && !was_told {
            self.told_of_names_at = Some(Instant::now());
            tracing::warn!(
                inbox = %self.path.display(),
                names,
                "the inbox has a second name (a hard link), under which another program would miss its log and damage it: remove that \
                 name; the next start is refused with it"
            );
        }
    }

    /// After the answers, which need not wait for it.
    fn bring_log_in(&mut self) {
        let Some(store) = self.store.as_mut().filter(|store| store.has_long_log()) else {
            return;
        };
        let brought = store.bring_log_in(self.options.log_warn_bytes);
        self.log_brought_in(brought);
    }

    fn log_brought_in(&mut self, brought: rusqlite::Result<Option<Stuck>>) {
        match brought {
            Ok(None) => {}
            Ok(Some(stuck)) => tracing::warn!(
                inbox = %self.path.display(),
                log_bytes = stuck.bytes,
                "the log of the inbox is {} MiB long and grows: a program has been reading the inbox for {} s or more, and the log \
                 cannot be used again before it is done; `inbox check --full`, `inbox backup` and an open transaction of sqlite3 \
                 read for as long as they run",
                stuck.bytes / (1024 * 1024),
                stuck.seconds
            ),
            Err(error) => {
                tracing::error!(
                    %error,
                    inbox = %self.path.display(),
                    "the log was not brought into the inbox; what was answered is in the log, which grows meanwhile"
                );
                self.has_failed = true;
                self.give_up_unless_in_order(&error);
            }
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
        self.look_at_files();
        if let Some(lost) = self.lost.take() {
            return Err(lost.end());
        }
        let closed = self.store.take().map_or(Ok(()), Store::close);
        closed.map_err(|error| cannot("close", &self.path, error))
    }
}

/// Why a transaction came to nothing.
struct Failure {
    error: InboxError,
    /// The others may be written without the one.
    is_of_one_request: bool,
    /// The log has it.
    is_told: bool,
}

impl From<InboxError> for Failure {
    fn from(error: InboxError) -> Self {
        Self {
            error,
            is_of_one_request: false,
            is_told: false,
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

/// How long nothing may come before the files are looked at.
const IDLE: Duration = Duration::from_millis(500);

const BETWEEN_LINES: Duration = Duration::from_secs(60);
