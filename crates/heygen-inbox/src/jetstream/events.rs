//! [`Events`]: the stream of events, one message each.

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
    /// Tells the ids of this inbox from others'.
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

    /// The sequence of one of ours; `None` for an id of another inbox.
    pub(super) fn sequence(&self, id: DeliveryId) -> Option<u64> {
        (id.tag() == self.tag).then(|| id.key())
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
            // Any replica may have answered, and one that is behind says that there is none: the
            // leader knows.
            Err(_) => match inner.get_raw_message(sequence).await {
                Ok(message) => message,
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {
                    return Ok(None);
                }
                Err(error) => return Err(connection.cannot("read from", error)),
            },
        };
        let stored_at = message.time.into();
        let stored = Stored::read(sequence, stored_at, &message.headers, message.payload);
        Ok(Some(stored))
    }

    /// Deletes it, unless it is gone already.
    pub(super) async fn delete(&self, sequence: u64) -> Result<(), InboxError> {
        match self.stream.delete(sequence).await {
            Err(error) if self.get(sequence).await?.is_some() => Err(error),
            // Otherwise another was faster.
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Of its name and the moment it was made: a stream of the same name that was made again is another
/// one.
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
