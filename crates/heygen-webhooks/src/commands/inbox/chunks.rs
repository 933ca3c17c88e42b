//! [`Chunks`]: what a query asks for, in pieces that fit into memory.

use heygen_inbox::{BoxInbox, DeliveryId, DeliverySummary, InboxAdmin as _, InboxError, Query};

/// Goes through what a query asks for, oldest first, without what comes in meanwhile.
#[derive(Debug)]
pub(super) struct Chunks<'a> {
    inbox: &'a BoxInbox,
    query: Query,
    is_over: bool,
}

impl<'a> Chunks<'a> {
    pub(super) async fn new(inbox: &'a BoxInbox, query: Query) -> Result<Self, InboxError> {
        let newest = newest(inbox).await?;
        let mut query = query.oldest_first().limit(CHUNK);
        query.before = newest.map(next_id);
        Ok(Self {
            inbox,
            query,
            is_over: newest.is_none(),
        })
    }

    /// The next of them; none at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<DeliverySummary>, InboxError> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let chunk = self.inbox.list(self.query.clone()).await?;
        self.is_over = chunk.len() < CHUNK;
        self.query.after = chunk.last().map(|last| last.id);
        Ok(chunk)
    }
}

pub(super) async fn newest(inbox: &BoxInbox) -> Result<Option<DeliveryId>, InboxError> {
    let newest = inbox.list(Query::default().limit(1)).await?;
    Ok(newest.first().map(|newest| newest.id))
}

/// The first id that could follow this one.
pub(super) fn next_id(id: DeliveryId) -> DeliveryId {
    DeliveryId::new(id.key() + 1, id.tag())
}

pub(super) const CHUNK: usize = 500;
