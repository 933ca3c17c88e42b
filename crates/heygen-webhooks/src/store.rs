//! The inbox of a command, wherever it is: [`open`] for who receives and works, [`Reader`] and [`Editor`] for who looks and changes
//! beside that.

use std::path::PathBuf;
use std::time::Duration;

use heygen_inbox::jetstream::JetStreamInbox;
use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{BoxInbox, Inbox as _, InboxError, InboxErrorKind};

use crate::failure::Failure;
use crate::secrets::private_file;
use crate::store::nats::{Nats, Promise};
use crate::store::place::Place;

pub(crate) mod nats;
pub(crate) mod place;

mod blocking;
mod editor;
mod reader;

pub(crate) use editor::Editor;
pub(crate) use reader::Reader;

/// Opens the inbox of a process that receives or works, and makes it where there is none.
pub(crate) async fn open(place: &Place, nats: &Nats) -> Result<BoxInbox, InboxError> {
    Ok(match place {
        Place::File(path) => BoxInbox::new(SqliteInbox::open(path)?),
        Place::Streams(address) => {
            BoxInbox::new(JetStreamInbox::open(address, nats.options.clone()).await?)
        }
    })
}

/// The same, where what was acknowledged has to be kept: says what stands against it.
pub(crate) async fn open_promising(
    place: &Place,
    nats: &Nats,
    promise: &Promise,
) -> Result<BoxInbox, Failure> {
    Ok(match place {
        Place::File(_) => open(place, nats).await?,
        Place::Streams(address) => {
            let inbox = JetStreamInbox::open(address, nats.options.clone()).await?;
            promise.check(&inbox).await?;
            BoxInbox::new(inbox)
        }
    })
}

/// Where that takes too long, a disk that hangs for instance, the process ends all the same.
pub(crate) async fn close(inbox: &BoxInbox) -> Result<(), InboxError> {
    match tokio::time::timeout(CLOSE_TIME, inbox.close()).await {
        Ok(closed) => closed,
        Err(_) => {
            // The last clone would wait for the thread that hangs.
            std::mem::forget(inbox.clone());
            let message = format!("the inbox was not closed within {CLOSE_TIME:?}");
            Err(InboxError::new(InboxErrorKind::Storage, message))
        }
    }
}

/// Files that hold deliveries or secrets and that others on this machine can read or change: the
/// inbox, and what stands beside it.
pub(crate) fn open_to_others(place: &Place) -> Vec<PathBuf> {
    let inbox = place.beside();
    [
        "",
        "-wal",
        "-shm",
        ".lock",
        ".rescued",
        ".secrets.json",
        ".rejected",
        ".rejected-wal",
    ]
    .map(|suffix| private_file::beside(&inbox, suffix))
    .into_iter()
    .filter(|path| private_file::is_open_to_others(path))
    .collect()
}

/// Says so in the log, once.
pub(crate) fn warn_of_open_files(place: &Place) {
    for path in open_to_others(place) {
        tracing::warn!("{0} can be read by others: chmod 600 {0}", path.display());
    }
}

const CLOSE_TIME: Duration = Duration::from_secs(60);
