//! [`Events`]: the stream of events, one message per event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_nats::jetstream::stream::{DirectGetErrorKind, Info, RawMessageErrorKind};
use sha2::{Digest as _, Sha256};

use super::message::Stored;
use super::stream::Stream;
use crate::error::InboxError;
use crate::id::DeliveryId;

/// The stream of events.
#[derive(Clone, Debug)]
pub(super) struct Events {
    pub(super) stream: Stream,
    /// Distinguishes ids of this inbox from others', and from those of a stream of that name that was
    /// deleted: its sequences come again.
    tag: Arc<AtomicU32>,
}

impl Events {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            tag: Arc::new(AtomicU32::new(tag(stream.info()))),
            stream,
        }
    }

    pub(super) fn tag(&self) -> u32 {
        self.tag.load(Ordering::Relaxed)
    }

    /// Notices that the stream was deleted and created again.
    pub(super) async fn look_again(&self) -> Result<Info, InboxError> {
        let info = self.stream.info_now().await?;
        self.tag.store(tag(&info), Ordering::Relaxed);
        Ok(info)
    }

    pub(super) fn id(&self, sequence: u64) -> DeliveryId {
        DeliveryId::new(sequence, self.tag())
    }

    /// The sequence of a delivery; `None` for an id of another inbox.
    pub(super) fn sequence(&self, id: DeliveryId) -> Option<u64> {
        (id.tag() == self.tag()).then(|| id.key())
    }

    /// The event of a delivery; `None` when there is none of that id.
    pub(super) async fn find(&self, id: DeliveryId) -> Result<Option<Stored>, InboxError> {
        match self.sequence(id) {
            Some(sequence) => self.get(sequence).await,
            None => Ok(None),
        }
    }

    /// One event; `None` when there is none of that sequence.
    pub(super) async fn get(&self, sequence: u64) -> Result<Option<Stored>, InboxError> {
        let Stream {
            connection, inner, ..
        } = &self.stream;
        connection.check_connected()?;
        if sequence == 0 {
            return Ok(None);
        }
        let message = match inner.direct_get(sequence).await {
            Ok(message) => message,
            Err(error) if error.kind() == DirectGetErrorKind::TimedOut => {
                return Err(connection.cannot("read from", error));
            }
            // Any replica may have answered, and one that is behind does not find it: ask the
            // leader.
            Err(_) => match inner.get_raw_message(sequence).await {
                Ok(message) => message,
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {
                    return Ok(None);
                }
                Err(error) => return Err(connection.cannot("read from", error)),
            },
        };
        Ok(Some(Stored::read(&message)))
    }

    /// Deletes it, unless it is deleted already.
    pub(super) async fn delete(&self, sequence: u64) -> Result<(), InboxError> {
        match self.stream.delete(sequence).await {
            Err(error) if self.get(sequence).await?.is_some() => Err(error),
            // Otherwise another process deleted it first.
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Of its name and creation time: a stream that was deleted and created again is another one.
fn tag(info: &Info) -> u32 {
    let mut hash = Sha256::new();
    hash.update(info.config.name.as_bytes());
    hash.update(info.created.unix_timestamp_nanos().to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let bits = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
    // As much of it as an id holds.
    DeliveryId::new(0, bits).tag()
}
