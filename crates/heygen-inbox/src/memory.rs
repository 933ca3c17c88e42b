//! [`MemoryInbox`]: an inbox that lives and dies with its process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::Notify;

use self::entries::Entries;
use self::entry::id_of;
use crate::admin::{DISPATCH_PAUSED, InboxAdmin, PruneReport, PruneStep};
use crate::claim::{Claim, ClaimRequest};
use crate::completion::Completion;
use crate::delivery::NewDelivery;
use crate::error::InboxError;
use crate::id::DeliveryId;
use crate::imported::Imported;
use crate::inbox::{Appended, Inbox};
use crate::record::{
    Counts, DeadLetterReport, DeleteReport, DeliverySummary, Query, ReplayReport, StoredDelivery,
};
use crate::stats::Stats;
use crate::time::to_micros;

mod entries;
mod entry;

/// An inbox that lives and dies with its process.
///
/// For tests, and where a restart may lose unhandled deliveries. It holds a bounded number of
/// deliveries (default: 10,000): the oldest finished ones are dropped for new ones, and are no longer
/// recognised as duplicates. When none is finished, appends are refused as
/// [`Busy`](crate::InboxErrorKind::Busy), so that HeyGen retries later.
///
/// Clones share one inbox.
#[derive(Clone, Debug, Default)]
pub struct MemoryInbox {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    entries: Mutex<Entries>,
    appended: Notify,
}

impl MemoryInbox {
    /// An empty inbox that holds up to 10,000 deliveries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty inbox that holds up to `capacity` deliveries.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let inbox = Self::default();
        inbox.entries().capacity = capacity;
        inbox
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // A panic while the lock was held cannot leave an entry half written.
        self.shared
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox for MemoryInbox {
    async fn append(&self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        let appended = self.entries().append(delivery)?;
        if matches!(appended, Appended::New(_)) {
            self.shared.appended.notify_one();
        }
        Ok(appended)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim, InboxError> {
        let mut entries = self.entries();
        if entries.bookmarks.contains_key(DISPATCH_PAUSED) {
            return Ok(Claim::paused());
        }
        Ok(entries.claim(&request))
    }

    async fn complete(&self, completion: Completion) -> Result<(), InboxError> {
        if let Some(entry) = self.entries().entry(completion.id) {
            entry.complete(&completion);
        }
        Ok(())
    }

    async fn wait_for_append(&self) {
        self.shared.appended.notified().await;
    }

    async fn ready(&self) -> Result<(), InboxError> {
        Ok(())
    }

    fn orders_by_subject(&self) -> bool {
        true
    }
}

impl InboxAdmin for MemoryInbox {
    async fn list(&self, query: Query) -> Result<Vec<DeliverySummary>, InboxError> {
        let entries = self.entries();
        let limit = query.limit.unwrap_or(usize::MAX);
        let summaries = entries
            .stored
            .iter()
            .map(|(key, entry)| entry.summary(*key));
        let wanted = summaries.filter(|summary| query.matches(summary));
        Ok(match query.oldest_first {
            true => wanted.take(limit).collect(),
            false => wanted.rev().take(limit).collect(),
        })
    }

    async fn get(&self, id: DeliveryId) -> Result<Option<StoredDelivery>, InboxError> {
        let mut entries = self.entries();
        Ok(entries.entry(id).map(|entry| entry.whole(id.key())))
    }

    async fn count(&self, mut query: Query) -> Result<u64, InboxError> {
        query.limit = None;
        Ok(self.list(query).await?.len() as u64)
    }

    async fn counts(&self) -> Result<Counts, InboxError> {
        Ok(self.entries().counts())
    }

    async fn stats(&self, attempts_since: SystemTime) -> Result<Stats, InboxError> {
        let mut stats = Stats::default();
        for (key, entry) in &self.entries().stored {
            let attempts = entry.attempts.iter();
            let since = attempts.filter(|attempt| attempt.started_at >= attempts_since);
            stats.add(&entry.summary(*key), since);
        }
        Ok(stats)
    }

    async fn find(
        &self,
        deliveries: Vec<NewDelivery>,
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        let entries = self.entries();
        let found = deliveries.iter().map(|delivery| entries.find(delivery));
        Ok(found
            .map(|found| found.map(|(key, _)| id_of(key)))
            .collect())
    }

    async fn import(&self, deliveries: Vec<Imported>) -> Result<Vec<Appended>, InboxError> {
        let mut entries = self.entries();
        let imported = deliveries
            .into_iter()
            .map(|imported| entries.import(imported));
        let imported = imported.collect();
        self.shared.appended.notify_one();
        imported
    }

    async fn replay(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> Result<ReplayReport, InboxError> {
        let mut entries = self.entries();
        let mut replayed = ReplayReport::default();
        for id in ids {
            replayed.add(entries.replay(id, to_micros(now)));
        }
        self.shared.appended.notify_one();
        Ok(replayed)
    }

    async fn dead_letter(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> Result<DeadLetterReport, InboxError> {
        let mut entries = self.entries();
        let mut report = DeadLetterReport::default();
        for id in ids {
            report.add(entries.dead_letter(id, now));
        }
        // Deliveries that one of them blocked may be due.
        self.shared.appended.notify_one();
        Ok(report)
    }

    async fn delete(&self, ids: Vec<DeliveryId>) -> Result<DeleteReport, InboxError> {
        let mut entries = self.entries();
        let mut report = DeleteReport::default();
        for id in ids {
            report.add(entries.delete(id));
        }
        self.shared.appended.notify_one();
        Ok(report)
    }

    async fn prune(&self, step: PruneStep) -> Result<PruneReport, InboxError> {
        Ok(self.entries().prune(&step))
    }

    async fn bookmark(&self, name: String) -> Result<Option<String>, InboxError> {
        Ok(self.entries().bookmarks.get(&name).cloned())
    }

    async fn set_bookmark(&self, name: String, value: Option<String>) -> Result<(), InboxError> {
        let bookmarks = &mut self.entries().bookmarks;
        match value {
            Some(value) => bookmarks.insert(name, value),
            None => bookmarks.remove(&name),
        };
        Ok(())
    }
}
