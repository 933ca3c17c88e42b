//! [`Keeper`]: the inbox that is filled, in one of three ways.

use std::collections::{HashMap, HashSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use heygen_inbox::{
    Appended, BoxInbox, DedupKey, DeliveryId, Inbox as _, InboxAdmin as _, InboxError,
    InboxErrorKind, NewDelivery,
};

use crate::store::nats::Nats;
use crate::store::place::Place;
use crate::store::{Editor, Reader};

/// The inbox that is filled.
#[derive(Debug)]
pub(crate) enum Keeper {
    /// That of this process, which hands out what is in it.
    Server(BoxInbox),
    /// One beside which a server may run, or none. Writing blocks the thread for as long as the disk takes.
    Beside {
        editor: Box<Editor>,
        reader: Box<Reader>,
    },
    /// Nothing is written; what a real one would find new is counted. `None` where there is no inbox yet.
    DryRun {
        inbox: Option<(Box<Editor>, Box<Reader>)>,
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
    /// The inbox at `place`, made when there is none, also while a server appends to it.
    pub(crate) fn beside(place: &Place, nats: &Nats) -> Result<Self, InboxError> {
        let (editor, reader) = open(place, nats)?;
        Ok(Self::Beside { editor, reader })
    }

    /// Looks at the inbox at `place` and changes nothing.
    pub(crate) fn dry_run(place: &Place, nats: &Nats) -> Result<Self, InboxError> {
        let inbox = place.may_exist().then(|| open(place, nats)).transpose()?;
        Ok(Self::DryRun {
            inbox,
            looked: Looked::default(),
        })
    }

    pub(super) fn is_dry_run(&self) -> bool {
        match self {
            Self::DryRun { .. } => true,
            Self::Server(_) | Self::Beside { .. } => false,
        }
    }

    /// Keeps what is not there yet, in this order; how many that were.
    pub(super) async fn keep(&mut self, deliveries: Vec<NewDelivery>) -> Result<u64, InboxError> {
        let new = match self {
            Self::Server(inbox) => {
                inbox.caught_up().await;
                count_new(&append_all(inbox, deliveries).await?)
            }
            Self::Beside { editor, .. } if deliveries.is_empty() => 0,
            Self::Beside { editor, .. } => count_new(&editor.append(&deliveries)?),
            Self::DryRun { inbox, looked } => {
                let found = match inbox {
                    Some((editor, _)) => editor.find(&deliveries)?,
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
            Self::Server(inbox) => inbox.bookmark(name.to_owned()).await,
            Self::Beside { reader, .. } => reader.bookmark(name),
            Self::DryRun { inbox, .. } => match inbox {
                Some((_, reader)) => reader.bookmark(name),
                None => Ok(None),
            },
        }
    }

    pub(super) async fn set_bookmark(
        &mut self,
        name: &str,
        value: String,
    ) -> Result<(), InboxError> {
        match self {
            Self::Server(inbox) => inbox.set_bookmark(name.to_owned(), Some(value)).await,
            Self::Beside { editor, .. } => editor.set_bookmark(name, &value),
            Self::DryRun { .. } => Ok(()),
        }
    }
}

fn open(place: &Place, nats: &Nats) -> Result<(Box<Editor>, Box<Reader>), InboxError> {
    // The editor first: it makes the file.
    let editor = Box::new(Editor::open(place, nats)?);
    Ok((editor, Box::new(Reader::open(place, nats)?)))
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
            .map(|delivery| inbox.append(delivery.clone()))
            .collect();
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

/// All of them at once; each is begun in its turn.
async fn join_all<T>(futures: Vec<impl Future<Output = T> + Send>) -> Vec<T> {
    let mut waiting: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    poll_fn(|context| {
        let mut is_pending = false;
        for (future, answer) in &mut waiting {
            if answer.is_none() {
                match Pin::as_mut(future).poll(context) {
                    Poll::Ready(value) => *answer = Some(value),
                    Poll::Pending => is_pending = true,
                }
            }
        }
        match is_pending {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    })
    .await;
    waiting
        .into_iter()
        .filter_map(|(_, answer)| answer)
        .collect()
}

/// How long to wait for room in the queue, and how often: a minute in all.
const ROOM: Duration = Duration::from_millis(200);
const MAX_WAITS: u32 = 300;
