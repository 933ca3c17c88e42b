//! [`Shared`]: the threads of an open inbox, and how they are asked.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::editor::Beside;
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
    /// Closed when the writer ends, or the reader of what is open for reading only.
    pub(super) ended: watch::Receiver<()>,
    /// `None` for what is open for reading only, and once it was waited for.
    writer_thread: Option<JoinHandle<()>>,
    reader_thread: Option<JoinHandle<()>>,
}

/// What this process does with the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// Appends and dispatches, as no other process does meanwhile.
    Owner,
    /// Appends and edits, while another process owns the file or none does.
    Beside,
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
        // Before the reader, since it makes the file.
        let (write, end_of_reads): (Option<Box<dyn FnOnce() + Send>>, _) = match mode {
            Mode::Owner => {
                let handle = Owner::open(path.clone(), options, reads.clone())?;
                let writer = Writer::new(handle, queue, notify, end);
                (Some(Box::new(move || writer.run())), None)
            }
            Mode::Beside => {
                let writer = Writer::new(Beside::open(&path)?, queue, notify, end);
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
                mpsc::error::TrySendError::Closed(_) => self.not_written(),
            })?;
        answer.await.map_err(|_| self.unanswered())?
    }

    /// Waits for a place in the queue, unlike an append: what is under way is never rejected for lack of room.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        ask: impl Fn(&mut Store) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, InboxError> {
        self.send(|reply| Job::Work(work(ask, reply))).await
    }

    pub(super) async fn send<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, InboxError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.jobs.send(job(reply)).await;
        sent.map_err(|_| self.not_written())?;
        answer.await.map_err(|_| self.unanswered())?
    }

    pub(super) async fn close(&self) -> Result<(), InboxError> {
        match self.mode {
            Mode::Owner | Mode::Beside => self.send(Job::Close).await,
            Mode::ReadOnly => {
                let (reply, answer) = oneshot::channel();
                let sent = self.reads.send(ReadJob::End(reply));
                sent.map_err(|_| closed())?;
                answer.await.map_err(|_| closed())?
            }
        }
    }

    /// Why nothing can be written.
    fn not_written(&self) -> InboxError {
        match self.mode {
            Mode::Owner | Mode::Beside => closed(),
            Mode::ReadOnly => unsupported("the inbox is open for reading only"),
        }
    }

    pub(super) fn check_owner(&self) -> Result<(), InboxError> {
        match self.mode {
            Mode::Owner => Ok(()),
            Mode::Beside | Mode::ReadOnly => Err(unsupported(
                "only the process that serves the inbox claims deliveries",
            )),
        }
    }

    /// Why an answer was dropped.
    fn unanswered(&self) -> InboxError {
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
        read: impl FnOnce(&Reader) -> Result<T, InboxError> + Send + 'static,
    ) -> Result<T, InboxError> {
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |reader| {
            // Who asked may have given up while it waited behind others.
            if reply.is_closed() {
                return;
            }
            // Nobody waits any more: the answer may be dropped.
            let _ = reply.send(reader.and_then(read));
        });
        let job = ReadJob::Read(read);
        self.reads.send(job).map_err(|_| closed())?;
        answer.await.map_err(|_| self.unanswered())?
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
        // Each thread ends when its channel does. Waiting for them means that whoever drops the inbox finds everything written
        // and the lock released; it takes no longer than the commits still queued. One after the other, since SQLite brings the
        // log into the file when the last connection closes: of two that close at once neither is the last.
        let (closed_jobs, _) = mpsc::channel(1);
        self.jobs = closed_jobs;
        join(self.writer_thread.take());
        let (closed_reads, _) = std::sync::mpsc::channel();
        self.reads = closed_reads;
        join(self.reader_thread.take());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    // A thread that panicked has said so on stderr; there is nothing left to save here.
    let _ = thread.map(JoinHandle::join);
}

fn unsupported(message: &str) -> InboxError {
    InboxError::new(InboxErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A page that is reloaded, or a check that gave up, leaves no work behind.
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
