//! The thread that reads, so that no question waits for a commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};

use tokio::sync::watch;

use super::job::Reply;
use super::reader::Reader;
use crate::{InboxError, InboxErrorKind};

/// What stands in the queue of the thread that reads.
pub(super) enum ReadJob {
    Read(Read),
    /// The files are no longer those under their names.
    Close(Sender<()>),
    /// Others are there.
    Open,
    /// No one is to read any more.
    End(Reply<()>),
}

pub(super) type Read = Box<dyn FnOnce(Result<&Reader, InboxError>) + Send>;

/// Answers what is asked, until no one can ask any more. For an inbox without a writer, `end` reports that end.
pub(super) fn read_all(reader: Reader, queue: Receiver<ReadJob>, end: Option<watch::Sender<()>>) {
    let path = reader.path().to_owned();
    let misplaced = || {
        let message = format!(
            "inbox {} is not where it was when it was opened",
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
    let mut is_away = false;
    while let Ok(job) = queue.recv() {
        match job {
            ReadJob::Read(read) => {
                if reader.is_none() && !is_away {
                    reader = open();
                }
                let reader = reader
                    .as_ref()
                    .filter(|reader| reader.is_in_place())
                    .ok_or_else(misplaced);
                // Who asked gets an error, and the next question an answer.
                if catch_unwind(AssertUnwindSafe(|| read(reader))).is_err() {
                    tracing::error!("reading the inbox panicked");
                }
            }
            ReadJob::Close(closed) => {
                (reader, is_away) = (None, true);
                // Whoever waits for it may have given up.
                let _ = closed.send(());
            }
            ReadJob::Open => (reader, is_away) = (open(), false),
            ReadJob::End(reply) => {
                drop((reader, queue, end));
                // The asker may be gone; the file is closed all the same.
                let _ = reply.send(Ok(()));
                return;
            }
        }
    }
}
