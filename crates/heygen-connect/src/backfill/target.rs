//! [`Target`]: the inbox to fill, or to compare with in a dry run.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use heygen_inbox::{
    Appended, DedupKey, DeliveryId, InboxAdmin, InboxError, InboxErrorKind, NewDelivery,
};

/// The inbox to fill, or to compare with in a dry run.
#[derive(Debug)]
pub(super) struct Target<I> {
    /// `None` in a dry run without an inbox.
    inbox: Option<I>,
    dry_run: Option<DryRun>,
}

/// The records that a dry run has read.
#[derive(Debug, Default)]
struct DryRun {
    new: HashSet<DedupKey>,
    /// The record that each stored delivery matched: a POST matches one record.
    found: HashMap<DeliveryId, DedupKey>,
}

impl<I: InboxAdmin> Target<I> {
    pub(super) fn inbox(inbox: I) -> Self {
        Self {
            inbox: Some(inbox),
            dry_run: None,
        }
    }

    pub(super) fn dry_run(inbox: Option<I>) -> Self {
        Self {
            inbox,
            dry_run: Some(DryRun::default()),
        }
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run.is_some()
    }

    /// Returns once duplicates of old events are recognized. While servers are away that takes as
    /// long.
    pub(super) async fn wait_until_synced(&self) {
        if let Some(inbox) = &self.inbox {
            inbox.wait_until_synced().await;
        }
    }

    /// Appends deliveries in order. Returns how many were new.
    pub(super) async fn append(&mut self, deliveries: Vec<NewDelivery>) -> Result<u64, InboxError> {
        match (&mut self.dry_run, &self.inbox) {
            (None, Some(inbox)) => append_all(inbox, deliveries).await,
            (None, None) => Ok(0),
            (Some(dry_run), inbox) => {
                let keys: Vec<_> = deliveries
                    .iter()
                    .map(|delivery| delivery.dedup_key().clone())
                    .collect();
                let found = match inbox {
                    Some(inbox) => inbox.find(deliveries).await?,
                    None => vec![None; keys.len()],
                };
                let seen = keys.iter().zip(found);
                Ok(seen
                    .filter(|(key, found)| dry_run.is_new(key, *found))
                    .count() as u64)
            }
        }
    }

    pub(super) async fn bookmark(&self, name: &str) -> Result<Option<String>, InboxError> {
        match &self.inbox {
            Some(inbox) => inbox.bookmark(name.to_owned()).await,
            None => Ok(None),
        }
    }

    pub(super) async fn set_bookmark(&self, name: &str, value: String) -> Result<(), InboxError> {
        match &self.inbox {
            Some(inbox) if !self.is_dry_run() => {
                inbox.set_bookmark(name.to_owned(), Some(value)).await
            }
            _ => Ok(()),
        }
    }
}

impl DryRun {
    /// Whether an append would store this record. `found` is the stored delivery that matches it.
    fn is_new(&mut self, key: &DedupKey, found: Option<DeliveryId>) -> bool {
        if let Some(id) = found {
            let first = self.found.entry(id).or_insert_with(|| key.clone());
            if first == key {
                return false;
            }
        }
        self.new.insert(key.clone())
    }
}

/// Appends all of them concurrently, so that they share a commit. Deliveries from HeyGen go first:
/// if the queue is full, this waits.
async fn append_all(
    inbox: &impl InboxAdmin,
    mut deliveries: Vec<NewDelivery>,
) -> Result<u64, InboxError> {
    let mut new = 0;
    let mut waits = 0;
    loop {
        let appends = deliveries.iter().cloned().map(|one| inbox.append(one));
        let mut rejected = Vec::new();
        for (answer, delivery) in join_all(appends).await.into_iter().zip(deliveries) {
            match answer {
                Ok(Appended::New(_)) => new += 1,
                Ok(_) => {}
                Err(error) if error.kind() == InboxErrorKind::Busy && waits < MAX_WAITS => {
                    rejected.push(delivery);
                }
                Err(error) => return Err(error),
            }
        }
        if rejected.is_empty() {
            return Ok(new);
        }
        deliveries = rejected;
        waits += 1;
        tokio::time::sleep(ROOM).await;
    }
}

/// The wait for room in the queue and the number of waits: one minute in total.
const ROOM: Duration = Duration::from_millis(200);
const MAX_WAITS: u32 = 300;
