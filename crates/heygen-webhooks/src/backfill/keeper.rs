//! [`Keeper`]: the inbox that is filled, or only looked at.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use heygen_inbox::{
    Appended, BoxInbox, DedupKey, DeliveryId, Inbox as _, InboxAdmin as _, InboxError,
    InboxErrorKind, NewDelivery,
};

/// The inbox that is filled.
#[derive(Debug)]
pub(crate) enum Keeper {
    Inbox(BoxInbox),
    /// Nothing is written; what a real one would find new is counted. `None` where there is no inbox yet.
    DryRun {
        inbox: Option<BoxInbox>,
        looked: Looked,
    },
}

/// What a dry run has looked at so far.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    new: HashSet<DedupKey>,
    /// Which record each delivery was found to be: a POST is one record's.
    found: HashMap<DeliveryId, DedupKey>,
}

impl Looked {
    /// Whether a real one would find a record new that was found under this id, or not at all.
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

impl Keeper {
    /// Looks at the inbox and changes nothing.
    pub(crate) fn dry_run(inbox: Option<BoxInbox>) -> Self {
        Self::DryRun {
            inbox,
            looked: Looked::default(),
        }
    }

    pub(super) fn is_dry_run(&self) -> bool {
        matches!(self, Self::DryRun { .. })
    }

    /// Keeps what is not there yet, in this order; how many that were.
    pub(super) async fn keep(&mut self, deliveries: Vec<NewDelivery>) -> Result<u64, InboxError> {
        let new = match self {
            Self::Inbox(inbox) => {
                inbox.caught_up().await;
                count_new(&append_all(inbox, deliveries).await?)
            }
            Self::DryRun { inbox, looked } => {
                let found = match inbox {
                    Some(inbox) => inbox.find(deliveries.clone()).await?,
                    None => vec![None; deliveries.len()],
                };
                let looked_at = deliveries.iter().zip(found);
                looked_at
                    .filter(|(delivery, found)| looked.is_new(delivery.dedup_key(), *found))
                    .count()
            }
        };
        Ok(new as u64)
    }

    pub(super) async fn bookmark(&mut self, name: &str) -> Result<Option<String>, InboxError> {
        match self {
            Self::Inbox(inbox)
            | Self::DryRun {
                inbox: Some(inbox), ..
            } => inbox.bookmark(name.to_owned()).await,
            Self::DryRun { inbox: None, .. } => Ok(None),
        }
    }

    pub(super) async fn set_bookmark(
        &mut self,
        name: &str,
        value: String,
    ) -> Result<(), InboxError> {
        match self {
            Self::Inbox(inbox) => inbox.set_bookmark(name.to_owned(), Some(value)).await,
            Self::DryRun { .. } => Ok(()),
        }
    }
}

fn count_new(appended: &[Appended]) -> usize {
    let new = appended
        .iter()
        .filter(|appended| matches!(appended, Appended::New(_)));
    new.count()
}

/// Appends all of them together, so that they share a commit, and in their order. What HeyGen sends goes before: where there
/// is no room in the queue, this waits.
async fn append_all(
    inbox: &BoxInbox,
    mut deliveries: Vec<NewDelivery>,
) -> Result<Vec<Appended>, InboxError> {
    let mut appended = Vec::with_capacity(deliveries.len());
    let mut waits = 0;
    while !deliveries.is_empty() {
        let appends = deliveries
            .iter()
            .map(|delivery| inbox.append(delivery.clone()));
        let mut turned_away = Vec::new();
        let mut busy = None;
        for (answer, delivery) in join_all(appends).await.into_iter().zip(deliveries) {
            match answer {
                Ok(one) => appended.push(one),
                Err(error) if error.kind() == InboxErrorKind::Busy => {
                    turned_away.push(delivery);
                    busy = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = busy {
            waits += 1;
            if waits > MAX_WAITS {
                return Err(error);
            }
            tokio::time::sleep(ROOM).await;
        }
        deliveries = turned_away;
    }
    Ok(appended)
}

/// How long to wait for room in the queue, and how often: a minute in all.
const ROOM: Duration = Duration::from_millis(200);
const MAX_WAITS: u32 = 300;
