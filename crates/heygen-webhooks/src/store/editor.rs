//! [`Editor`]: changes an inbox beside whoever fills it.

use std::time::SystemTime;

use heygen_inbox::sqlite::SqliteEditor;
use heygen_inbox::{
    Appended, DeliveryId, Imported, Inbox as _, InboxAdmin as _, InboxError, NewDelivery, Prune,
    Pruned, Replayed,
};

use super::blocking::{Blocking, Missing};
use crate::store::nats::Nats;
use crate::store::place::Place;

/// Changes an inbox. Blocks for as long as the disk or the servers take.
#[derive(Debug)]
pub(crate) enum Editor {
    File(Box<SqliteEditor>),
    Streams(Box<Blocking>),
}

impl Editor {
    /// Opens it, and makes it where there is none.
    pub(crate) fn open(place: &Place, nats: &Nats) -> Result<Self, InboxError> {
        Ok(match place {
            Place::File(path) => Self::File(Box::new(SqliteEditor::open(path)?)),
            Place::Streams(address) => {
                Self::Streams(Box::new(Blocking::open(address, nats, Missing::Make)?))
            }
        })
    }

    /// Keeps these as a receiver would, and says for each whether it was new. In a file it is all of them or none.
    pub(crate) fn append(
        &mut self,
        deliveries: &[NewDelivery],
    ) -> Result<Vec<Appended>, InboxError> {
        match self {
            Self::File(editor) => editor.append(deliveries),
            Self::Streams(inbox) => {
                let deliveries = deliveries.to_vec();
                inbox.ask(|inbox| async move {
                    // They may be older than what the servers know duplicates of.
                    inbox.caught_up().await;
                    let mut appended = Vec::with_capacity(deliveries.len());
                    for delivery in deliveries {
                        appended.push(inbox.append(delivery).await?);
                    }
                    Ok(appended)
                })
            }
        }
    }

    /// Says for each under which id the same event is here already, and adds nothing.
    pub(crate) fn find(
        &mut self,
        deliveries: &[NewDelivery],
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        match self {
            Self::File(editor) => editor.find(deliveries),
            Self::Streams(inbox) => {
                let deliveries = deliveries.to_vec();
                inbox.ask(|inbox| async move { inbox.find(deliveries).await })
            }
        }
    }

    /// Keeps these with their past. In a file it is all of them or none.
    pub(crate) fn import(&mut self, deliveries: &[Imported]) -> Result<Vec<Appended>, InboxError> {
        match self {
            Self::File(editor) => editor.import(deliveries),
            Self::Streams(inbox) => {
                let deliveries = deliveries.to_vec();
                inbox.ask(|inbox| async move { inbox.import(deliveries).await })
            }
        }
    }

    pub(crate) fn replay(
        &mut self,
        ids: &[DeliveryId],
        now: SystemTime,
    ) -> Result<Replayed, InboxError> {
        match self {
            Self::File(editor) => editor.replay(ids, now),
            Self::Streams(inbox) => {
                let ids = ids.to_vec();
                inbox.ask(move |inbox| async move { inbox.replay(ids, now).await })
            }
        }
    }

    pub(crate) fn prune(&mut self, step: &Prune) -> Result<Pruned, InboxError> {
        match self {
            Self::File(editor) => editor.prune(step),
            Self::Streams(inbox) => {
                let step = step.clone();
                inbox.ask(|inbox| async move { inbox.prune(step).await })
            }
        }
    }

    pub(crate) fn set_bookmark(&mut self, name: &str, value: &str) -> Result<(), InboxError> {
        match self {
            Self::File(editor) => editor.set_bookmark(name, Some(value)),
            Self::Streams(inbox) => {
                let (name, value) = (name.to_owned(), value.to_owned());
                inbox.ask(|inbox| async move { inbox.set_bookmark(name, Some(value)).await })
            }
        }
    }
}
