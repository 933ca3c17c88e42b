//! The reader thread: queries do not wait for commits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};

use tokio::sync::watch;

use super::job::Reply;
use super::reader::Reader;
use crate::{InboxError, InboxErrorKind};

/// An entry of the reader thread's queue.
pub(super) enum ReadJob {
    Read(Read),
    /// Close the connection: the files were removed or replaced.
    Close(Sender<()>),
    /// Open the files that are at the path now.
    Open,
    /// Close the inbox.
    End(Reply<()>),
}

pub(super) type Read = Box<dyn FnOnce(Result<&Reader, InboxError>) + Send>;

/// Runs reads until the queue is closed. For an inbox without a writer, dropping `end` reports
/// that.
pub(super) fn read_all(reader: Reader, queue: Receiver<ReadJob>, end: Option<watch::Sender<()>>) {
    let path = reader.path().to_owned();
    let misplaced = || {
        let message = format!(
            "inbox {} was moved, removed or replaced while it was open",
            path.display()
        );
        InboxError::new(InboxErrorKind::Storage, message)
    };
    let open = || {
        let opened = Reader::open(&path);
        opened
            .inspect_err(|error| tracing::error!(%error, "the inbox cannot be read; trying again"))
            .ok()
    };
    let mut reader = Some(reader);
    let mut is_closed = false;
    while let Ok(job) = queue.recv() {
        match job {
            ReadJob::Read(read) => {
                if reader.is_none() && !is_closed {
                    reader = open();
                }
                let reader = reader
                    .as_ref()
                    .filter(|reader| reader.is_in_place())
                    .ok_or_else(misplaced);
                // The caller gets an error because its reply is dropped.
                if catch_unwind(AssertUnwindSafe(|| read(reader))).is_err() {
                    tracing::error!("reading the inbox panicked");
                }
            }
            ReadJob::Close(closed) => {
                (reader, is_closed) = (None, true);
                // The owner may have been dropped.
                let _ = closed.send(());
            }
            ReadJob::Open => (reader, is_closed) = (open(), false),
            ReadJob::End(reply) => {
                drop((reader, queue, end));
                // The caller may be gone.
                let _ = reply.send(Ok(()));
                return;
            }
        }
    }
}
