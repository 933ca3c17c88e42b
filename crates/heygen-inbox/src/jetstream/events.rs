//! [`Events`]: the stream of events, one message per event.

use async_nats::jetstream::stream::{DirectGetErrorKind, RawMessageErrorKind};
use sha2::{Digest as _, Sha256};

use super::message::Stored;
use super::stream::Stream;
use crate::error::InboxError;
use crate::id::DeliveryId;

/// The stream of events.
#[derive(Clone, Debug)]
pub(super) struct Events {
    pub(super) stream: Stream,
    /// Distinguishes ids of this inbox from others'.
    tag: u32,
}

impl Events {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            tag: tag(&stream),
            stream,
        }
    }

    pub(super) fn id(&self, sequence: u64) -> DeliveryId {
        DeliveryId::new(sequence, self.tag)
    }

    /// The sequence of a delivery; `None` for an id of another inbox.
    pub(super) fn sequence(&self, id: DeliveryId) -> Option<u64> {
        (id.tag() == self.tag).then(|| id.key())
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
fn tag(stream: &Stream) -> u32 {
    let info = stream.info();
    let mut hash = Sha256::new();
    hash.update(info.config.name.as_bytes());
    hash.update(info.created.unix_timestamp_nanos().to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let bits = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
    // As much of it as an id holds.
    DeliveryId::new(0, bits).tag()
}
