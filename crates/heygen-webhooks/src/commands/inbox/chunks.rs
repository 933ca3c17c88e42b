//! [`Chunks`]: what a query asks for, in pieces that fit into memory.

use heygen_inbox::{DeliveryId, InboxError, Query, Summary};

use crate::store::Reader;

/// Goes through what a query asks for, oldest first, without what comes in meanwhile.
#[derive(Debug)]
pub(super) struct Chunks<'a> {
    reader: &'a Reader,
    query: Query,
    is_over: bool,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(reader: &'a Reader, query: Query) -> Result<Self, InboxError> {
        let newest = newest(reader)?;
        let mut query = query.oldest_first().limit(CHUNK);
        query.before = newest.map(next_id);
        Ok(Self {
            reader,
            query,
            is_over: newest.is_none(),
        })
    }

    fn next_chunk(&mut self) -> Result<Vec<Summary>, InboxError> {
        let chunk = self.reader.list(&self.query)?;
        self.is_over = chunk.len() < CHUNK;
        self.query.after = chunk.last().map(|last| last.id);
        Ok(chunk)
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<Vec<Summary>, InboxError>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.is_over).then(|| {
            let chunk = self.next_chunk();
            self.is_over |= chunk.is_err();
            chunk
        })
    }
}

/// The delivery that was kept last.
pub(super) fn newest(reader: &Reader) -> Result<Option<DeliveryId>, InboxError> {
    let newest = reader.list(&Query::default().limit(1))?;
    Ok(newest.first().map(|newest| newest.id))
}

/// The first id that could follow this one.
pub(super) fn next_id(id: DeliveryId) -> DeliveryId {
    DeliveryId::new(id.key() + 1, id.tag())
}

/// How many are looked at, or changed, in one step.
pub(super) const CHUNK: usize = 500;
