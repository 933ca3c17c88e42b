//! [`Chunks`]: what a query asks for, in pieces that fit into memory.

use heygen_inbox::sqlite::is_damaged;
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
        let mut query = query.oldest_first().limit(CHUNK);
        let mut is_over = false;
        match newest(inbox).await {
            Ok(newest) => {
                query.before = newest.map(next_id);
                is_over = newest.is_none();
            }
            // Those before it may be sound.
            Err(error) if is_damaged(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            inbox,
            query,
            is_over,
        })
    }

    /// The next of them; none at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<DeliverySummary>, InboxError> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let chunk = self.inbox.list(self.query.clone()).await?;
        self.is_over = Some(chunk.len()) < self.query.limit;
        self.query.after = chunk.last().map(|last| last.id);
        Ok(chunk)
    }

    /// The next that can be read. Passes each damage on the way to it to `passed`.
    pub(super) async fn next_readable(
        &mut self,
        mut passed: impl FnMut(InboxError),
    ) -> Result<Vec<DeliverySummary>, InboxError> {
        let mut limit = CHUNK;
        loop {
            self.query.limit = Some(limit);
            match self.next().await {
                Err(error) if is_damaged(&error) && limit > 1 => limit /= 2,
                Err(error) if is_damaged(&error) => {
                    passed(error);
                    self.pass_damage().await?;
                    limit = CHUNK;
                }
                ended => return ended,
            }
        }
    }

    /// Goes on from the first id after which the inbox can be read again.
    async fn pass_damage(&mut self) -> Result<(), InboxError> {
        let start = self.query.after.map_or(0, DeliveryId::key);
        let (mut damaged, mut readable) = (0, 1);
        while !self.is_readable_after(start + readable).await? {
            damaged = readable;
            readable *= 2;
            if DeliveryId::new(start + readable, 0).key() != start + readable {
                // Past the last id that there can be.
                self.is_over = true;
                return Ok(());
            }
        }
        while readable - damaged > 1 {
            let middle = damaged.midpoint(readable);
            match self.is_readable_after(start + middle).await? {
                true => readable = middle,
                false => damaged = middle,
            }
        }
        self.query.after = Some(DeliveryId::new(start + readable, 0));
        Ok(())
    }

    async fn is_readable_after(&self, key: u64) -> Result<bool, InboxError> {
        let mut query = self.query.clone().limit(1);
        query.after = Some(DeliveryId::new(key, 0));
        match self.inbox.list(query).await {
            Err(error) if is_damaged(&error) => Ok(false),
            listed => listed.map(|_| true),
        }
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
