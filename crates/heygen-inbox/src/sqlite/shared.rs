//! [`Shared`]: the threads of an open inbox, and the requests to them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::editor::Editor;
use super::file::cannot;
use super::job::{Append, Job, Reply, work};
use super::options::SqliteOptions;
use super::owner::Owner;
use super::reader::Reader;
use super::reader_thread::{Read, ReadJob, read_all};
use super::store::{NewRow, Store};
use super::thread::{closed, spawn};
use super::writer::Writer;
use crate::{Appended, InboxError, InboxErrorKind, NewDelivery};

pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) mode: Mode,
    pub(super) jobs: mpsc::Sender<Job>,
    reads: std::sync::mpsc::Sender<ReadJob>,
    pub(super) appended: Arc<Notify>,
    /// Closed when the writer ends, or the reader of an inbox that is open for reading only.
    pub(super) ended: watch::Receiver<()>,
    /// `None` when the inbox is open for reading only, and after it was joined.
    writer_thread: Option<JoinHandle<()>>,
    reader_thread: Option<JoinHandle<()>>,
}

/// What this process may do with the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// Append, edit and dispatch; one process at a time.
    Owner,
    /// Append and edit, whether or not another process owns the file.
    Editor,
    ReadOnly,
}

impl Shared {
    pub(super) fn open(
        path: PathBuf,
        mode: Mode,
        options: SqliteOptions,
    ) -> Result<Self, InboxError> {
        let appended = Arc::new(Notify::new());
        let (jobs, queue) = mpsc::channel(options.queue_capacity.max(1));
        let (reads, read_queue) = std::sync::mpsc::channel();
        let (end, ended) = watch::channel(());
        let notify = Arc::clone(&appended);
        // Before the reader, because it creates the file.
        let (write, end_of_reads): (Option<Box<dyn FnOnce() + Send>>, _) = match mode {
            Mode::Owner => {
                let handle = Owner::open(path.clone(), options, reads.clone())?;
                let writer = Writer::new(handle, queue, notify, end);
                (Some(Box::new(move || writer.run())), None)
            }
            Mode::Editor => {
                let writer = Writer::new(Editor::open(&path)?, queue, notify, end);
                (Some(Box::new(move || writer.run())), None)
            }
            Mode::ReadOnly => (None, Some(end)),
        };
        let reader = Reader::open(&path)?;
        let read = move || read_all(reader, read_queue, end_of_reads);
        let reader_thread = Some(spawn("inbox-reader", read)?);
        let write = write.map(|write| spawn("inbox-writer", write));
        Ok(Self {
            path,
            mode,
            jobs,
            reads,
            appended,
            ended,
            writer_thread: write.transpose()?,
            reader_thread,
        })
    }

    pub(super) async fn append(&self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        let (reply, answer) = oneshot::channel();
        let row = NewRow::new(delivery);
        self.jobs
            .try_send(Job::Append(Box::new(Append { row, reply })))
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => InboxError::new(
                    InboxErrorKind::Busy,
                    "too many deliveries are waiting to be written",
                ),
                mpsc::error::TrySendError::Closed(_) => self.cannot_write(),
            })?;
        answer.await.map_err(|_| self.no_answer())?
    }

    /// Waits for room in the queue, unlike an append: only new deliveries are rejected when it is
    /// full.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        run: impl Fn(&mut Store) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, InboxError> {
        self.send(|reply| Job::Work(work(run, reply))).await
    }

    /// The same for a change after which more may be due, also by the end of what blocked it.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        run: impl Fn(&mut Store) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, InboxError> {
        let changed = self.write(run).await?;
        self.appended.notify_one();
        Ok(changed)
    }

    pub(super) async fn send<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, InboxError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.jobs.send(job(reply)).await;
        sent.map_err(|_| self.cannot_write())?;
        answer.await.map_err(|_| self.no_answer())?
    }

    pub(super) async fn close(&self) -> Result<(), InboxError> {
        match self.mode {
            Mode::Owner | Mode::Editor => self.send(Job::Close).await,
            Mode::ReadOnly => {
                let (reply, answer) = oneshot::channel();
                let sent = self.reads.send(ReadJob::End(reply));
                sent.map_err(|_| closed())?;
                answer.await.map_err(|_| closed())?
            }
        }
    }

    /// Why the writer does not accept a job.
    fn cannot_write(&self) -> InboxError {
        match self.mode {
            Mode::Owner | Mode::Editor => closed(),
            Mode::ReadOnly => unsupported("the inbox is open for reading only"),
        }
    }

    pub(super) fn check_owner(&self) -> Result<(), InboxError> {
        match self.mode {
            Mode::Owner => Ok(()),
            Mode::Editor | Mode::ReadOnly => Err(unsupported(
                "only the process that serves the inbox claims deliveries",
            )),
        }
    }

    /// Why a reply was dropped.
    fn no_answer(&self) -> InboxError {
        match self.ended.has_changed() {
            Err(_) => closed(),
            Ok(_) => InboxError::new(
                InboxErrorKind::Storage,
                "the inbox panicked and did not answer",
            ),
        }
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, InboxError> {
        let read =
            |reader: &Reader| read(reader).map_err(|error| cannot("read", reader.path(), error));
        self.ask_reader(read).await
    }

    /// The same for a request that makes its own errors.
    pub(super) async fn ask_reader<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, InboxError> + Send + 'static,
    ) -> Result<T, InboxError> {
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |reader| {
            // The caller may have given up while this waited.
            if reply.is_closed() {
                return;
            }
            // It may give up now.
            let _ = reply.send(reader.and_then(read));
        });
        let job = ReadJob::Read(read);
        self.reads.send(job).map_err(|_| closed())?;
        answer.await.map_err(|_| self.no_answer())?
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteInbox")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Each thread ends when its channel is closed. Joining them means that everything is
        // written and the lock released when the inbox is dropped; it takes as long as the commits
        // still queued. One after the other, because SQLite checkpoints when the last connection
        // closes: of two that close at once neither is the last.
        let (closed_jobs, _) = mpsc::channel(1);
        self.jobs = closed_jobs;
        join(self.writer_thread.take());
        let (closed_reads, _) = std::sync::mpsc::channel();
        self.reads = closed_reads;
        join(self.reader_thread.take());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    // A panic was reported on stderr already.
    let _ = thread.map(JoinHandle::join);
}

fn unsupported(message: &str) -> InboxError {
    InboxError::new(InboxErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A caller that gave up leaves no work behind.
    #[tokio::test]
    async fn read_whose_caller_has_gone_is_skipped() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let shared = Shared::open(path, Mode::Owner, SqliteOptions::default()).expect("an inbox");
        let (release, held) = std::sync::mpsc::channel::<()>();
        let read = Arc::new(AtomicUsize::new(0));
        let slow = shared.read(move |_| {
            let _ = held.recv();
            Ok(())
        });
        let count = |read: &Arc<AtomicUsize>| {
            let read = Arc::clone(read);
            shared.read(move |_| {
                read.fetch_add(1, Ordering::Relaxed);
                Ok(())
            })
        };
        let release = async {
            for _ in 0..3 {
                let given_up = tokio::time::timeout(std::time::Duration::ZERO, count(&read)).await;
                assert!(given_up.is_err());
            }
            let _ = release.send(());
            count(&read).await
        };
        let (slow, last) = tokio::join!(slow, release);
        assert!(slow.is_ok() && last.is_ok());
        assert_eq!(read.load(Ordering::Relaxed), 1);
    }
}
