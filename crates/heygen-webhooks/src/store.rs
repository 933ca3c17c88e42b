//! The inbox of a command, wherever it is: [`Store`] for who receives and works, [`Reader`] and [`Editor`] for who looks and changes
//! beside that.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use heygen_inbox::jetstream::JetStreamInbox;
use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    Appended, Claim, ClaimRequest, Counts, DeliveryId, Finish, Inbox, InboxError, InboxErrorKind,
    Kept, NewDelivery, Order, Prune, Pruned, Query, Summary,
};

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

/// The inbox of a process that receives or works.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    File(SqliteInbox),
    Streams(JetStreamInbox),
}

impl Store {
    /// Opens it, and makes it where there is none.
    pub(crate) async fn open(place: &Place, nats: &Nats) -> Result<Self, InboxError> {
        Ok(match place {
            Place::File(path) => Self::File(SqliteInbox::open(path)?),
            Place::Streams(address) => {
                let options = nats.options.clone();
                Self::Streams(JetStreamInbox::open(address, options).await?)
            }
        })
    }

    /// The same, where what was acknowledged has to be kept: says what stands against it.
    pub(crate) async fn open_promising(
        place: &Place,
        nats: &Nats,
        promise: &Promise,
    ) -> Result<Self, Failure> {
        let store = Self::open(place, nats).await?;
        if let Self::Streams(inbox) = &store {
            promise.check(inbox).await?;
        }
        Ok(store)
    }

    /// The longest body that it takes, where that is limited, in bytes.
    pub(crate) fn max_body_bytes(&self) -> Option<usize> {
        match self {
            Self::File(_) => None,
            Self::Streams(inbox) => Some(inbox.max_body_bytes()),
        }
    }

    /// Returns once it knows what is in it well enough to be told of old events.
    pub(crate) async fn caught_up(&self) {
        match self {
            Self::File(_) => {}
            Self::Streams(inbox) => inbox.caught_up().await,
        }
    }

    /// Returns when nothing can be stored any more, for good.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let closed = match self {
            Self::File(inbox) => Some(inbox.closed()),
            // Whatever happens to the connection, it comes back.
            Self::Streams(_) => None,
        };
        async {
            match closed {
                Some(closed) => closed.await,
                None => std::future::pending().await,
            }
        }
    }

    pub(crate) async fn bookmark(&self, name: &str) -> Result<Option<String>, InboxError> {
        match self {
            Self::File(inbox) => inbox.bookmark(name).await,
            Self::Streams(inbox) => inbox.bookmark(name).await,
        }
    }

    pub(crate) async fn set_bookmark(&self, name: &str, value: String) -> Result<(), InboxError> {
        match self {
            Self::File(inbox) => inbox.set_bookmark(name, Some(value)).await,
            Self::Streams(inbox) => inbox.set_bookmark(name, Some(&value)).await,
        }
    }

    /// Where that takes too long, a disk that hangs for instance, the process ends all the same.
    pub(crate) async fn close(&self) -> Result<(), InboxError> {
        let closing = async {
            match self {
                Self::File(inbox) => inbox.close().await,
                Self::Streams(inbox) => inbox.close().await,
            }
        };
        match tokio::time::timeout(CLOSE_TIME, closing).await {
            Ok(closed) => closed,
            Err(_) => {
                // The last clone would wait for the thread that hangs.
                std::mem::forget(self.clone());
                let message = format!("the inbox was not closed within {CLOSE_TIME:?}");
                Err(InboxError::new(InboxErrorKind::Storage, message))
            }
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

impl Inbox for Store {
    async fn append(&self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        match self {
            Self::File(inbox) => inbox.append(delivery).await,
            Self::Streams(inbox) => inbox.append(delivery).await,
        }
    }

    async fn claim(
        &self,
        limit: usize,
        now: SystemTime,
        order: Order,
    ) -> Result<Claim, InboxError> {
        match self {
            Self::File(inbox) => inbox.claim(limit, now, order).await,
            Self::Streams(inbox) => inbox.claim(limit, now, order).await,
        }
    }

    async fn claim_for(&self, request: ClaimRequest) -> Result<Claim, InboxError> {
        match self {
            Self::File(inbox) => inbox.claim_for(request).await,
            Self::Streams(inbox) => inbox.claim_for(request).await,
        }
    }

    async fn finish(&self, finish: Finish) -> Result<(), InboxError> {
        match self {
            Self::File(inbox) => inbox.finish(finish).await,
            Self::Streams(inbox) => inbox.finish(finish).await,
        }
    }

    async fn appended(&self) {
        match self {
            Self::File(inbox) => inbox.appended().await,
            Self::Streams(inbox) => inbox.appended().await,
        }
    }

    async fn list(&self, query: Query) -> Result<Vec<Summary>, InboxError> {
        match self {
            Self::File(inbox) => inbox.list(query).await,
            Self::Streams(inbox) => inbox.list(query).await,
        }
    }

    async fn get(&self, id: DeliveryId) -> Result<Option<Kept>, InboxError> {
        match self {
            Self::File(inbox) => inbox.get(id).await,
            Self::Streams(inbox) => inbox.get(id).await,
        }
    }

    async fn counts(&self) -> Result<Counts, InboxError> {
        match self {
            Self::File(inbox) => inbox.counts().await,
            Self::Streams(inbox) => inbox.counts().await,
        }
    }

    async fn ready(&self) -> Result<(), InboxError> {
        match self {
            Self::File(inbox) => inbox.ready().await,
            Self::Streams(inbox) => inbox.ready().await,
        }
    }

    fn queue_len(&self) -> usize {
        match self {
            Self::File(inbox) => inbox.queue_len(),
            Self::Streams(inbox) => inbox.queue_len(),
        }
    }

    async fn prune(&self, step: Prune) -> Result<Pruned, InboxError> {
        match self {
            Self::File(inbox) => inbox.prune(step).await,
            Self::Streams(inbox) => inbox.prune(step).await,
        }
    }
}

const CLOSE_TIME: Duration = Duration::from_secs(60);
