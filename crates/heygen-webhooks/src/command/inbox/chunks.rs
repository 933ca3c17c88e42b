//! Going through an inbox in pieces that fit into memory.

use heygen_inbox::sqlite::SqliteReader;
use heygen_inbox::{DeliveryId, InboxError, Query};

/// The delivery that was kept last.
pub(super) fn newest(reader: &SqliteReader) -> Result<Option<DeliveryId>, InboxError> {
    let newest = reader.list(&Query::default().limit(1))?;
    Ok(newest.first().map(|newest| newest.id))
}

/// The first id that could follow this one.
pub(super) fn next_id(id: DeliveryId) -> DeliveryId {
    DeliveryId::new(id.key() + 1, id.tag())
}

/// How many are looked at, or changed, in one step.
pub(super) const CHUNK: usize = 500;
