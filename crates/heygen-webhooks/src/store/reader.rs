//! [`Reader`]: looks into an inbox, while others fill it or nobody does.

use std::time::{SystemTime, UNIX_EPOCH};

use heygen_inbox::sqlite::SqliteReader;
use heygen_inbox::{
    Counts, DeliveryId, InboxAdmin as _, InboxError, Kept, Query, State, Stats, Summary,
};

use super::blocking::{Blocking, Missing};
use crate::store::nats::Nats;
use crate::store::place::Place;

/// Looks into an inbox. Blocks for as long as the disk or the servers take.
#[derive(Debug)]
pub(crate) enum Reader {
    File(Box<SqliteReader>),
    Streams(Box<Blocking>),
}

impl Reader {
    /// Opens what is there, and makes nothing.
    pub(crate) fn open(place: &Place, nats: &Nats) -> Result<Self, InboxError> {
        Ok(match place {
            Place::File(path) => Self::File(Box::new(SqliteReader::open(path)?)),
            Place::Streams(address) => {
                Self::Streams(Box::new(Blocking::open(address, nats, Missing::Refuse)?))
            }
        })
    }

    pub(crate) fn list(&self, query: &Query) -> Result<Vec<Summary>, InboxError> {
        match self {
            Self::File(reader) => reader.list(query),
            Self::Streams(inbox) => {
                let query = query.clone();
                inbox.ask(|inbox| async move { inbox.list(query).await })
            }
        }
    }

    pub(crate) fn get(&self, id: DeliveryId) -> Result<Option<Kept>, InboxError> {
        match self {
            Self::File(reader) => reader.get(id),
            Self::Streams(inbox) => inbox.ask(|inbox| async move { inbox.get(id).await }),
        }
    }

    pub(crate) fn counts(&self) -> Result<Counts, InboxError> {
        match self {
            Self::File(reader) => reader.counts(),
            Self::Streams(inbox) => inbox.ask(|inbox| async move { inbox.counts().await }),
        }
    }

    /// How many deliveries `query` asks for, without its limit.
    pub(crate) fn count(&self, query: &Query) -> Result<u64, InboxError> {
        match self {
            Self::File(reader) => reader.count(query),
            Self::Streams(inbox) => {
                let query = query.clone();
                inbox.ask(|inbox| async move { inbox.count(query).await })
            }
        }
    }

    /// How many are finished and were kept before this time: what a pruning deletes.
    pub(crate) fn count_finished(&self, before: SystemTime) -> Result<u64, InboxError> {
        let query = match self {
            // In a file it goes by when a delivery was kept, which is what its id says.
            Self::File(_) => {
                let micros = before.duration_since(UNIX_EPOCH).unwrap_or_default();
                let key = u64::try_from(micros.as_micros()).unwrap_or(u64::MAX);
                Query::default().before(DeliveryId::new(key, 0))
            }
            Self::Streams(_) => Query::default().until(before),
        };
        let finished = |state| self.count(&query.clone().state(state));
        Ok(finished(State::Done)? + finished(State::Dead)?)
    }

    pub(crate) fn stats(&self, attempts_since: SystemTime) -> Result<Stats, InboxError> {
        match self {
            Self::File(reader) => reader.stats(attempts_since),
            Self::Streams(inbox) => {
                inbox.ask(move |inbox| async move { inbox.stats(attempts_since).await })
            }
        }
    }

    pub(crate) fn bookmark(&self, name: &str) -> Result<Option<String>, InboxError> {
        match self {
            Self::File(reader) => reader.bookmark(name),
            Self::Streams(inbox) => {
                let name = name.to_owned();
                inbox.ask(|inbox| async move { inbox.bookmark(name).await })
            }
        }
    }
}
