//! [`RejectedRequests`]: access to rejected requests, wherever they are stored.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::delivery::Header;
use crate::error::InboxError;
use crate::traffic::TrafficUnit;
use crate::{record, time};

/// Recently rejected requests, to inspect and to verify again. Calls block for as long as the disk
/// takes.
pub trait RejectedRequests: Send + Sync + 'static {
    /// The last seen first, at most `limit` of them.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when they could not be read.
    fn list(&self, limit: usize) -> Result<Vec<RejectedSummary>, InboxError>;

    /// One request, whole; `None` when it is missing, for instance after it was evicted.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when it could not be read.
    fn get(&self, id: u64) -> Result<Option<Rejected>, InboxError>;

    /// Removes these; returns how many of them were there.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when nothing was removed.
    fn remove(&self, ids: &[u64]) -> Result<usize, InboxError>;

    /// How many were rejected since a time, by minute or hour, the oldest first. Fewer may be
    /// stored.
    ///
    /// Default: the newest 1,000 that are stored, each at the first and the last time that it came.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when they could not be read.
    fn traffic(
        &self,
        since: SystemTime,
        unit: TrafficUnit,
    ) -> Result<Vec<(SystemTime, u64)>, InboxError> {
        Ok(traffic_of(&self.list(1000)?, since, unit))
    }
}

/// How many of these came since a time, each at the first and the last time that it came.
pub(crate) fn traffic_of(
    rejected: &[RejectedSummary],
    since: SystemTime,
    unit: TrafficUnit,
) -> Vec<(SystemTime, u64)> {
    let mut counts = BTreeMap::<SystemTime, u64>::new();
    for summary in rejected {
        let repeats = summary.count.saturating_sub(1);
        for (at, count) in [(summary.first_at, 1), (summary.last_at, repeats)] {
            if count > 0 {
                *counts.entry(unit.start_of(at)).or_default() += count;
            }
        }
    }
    let since = unit.start_of(since);
    counts.split_off(&since).into_iter().collect()
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RejectedSummary {
    /// A stable number that is never used again.
    pub id: u64,
    /// When it was first received.
    #[serde(serialize_with = "time::serialize")]
    pub first_at: SystemTime,
    /// When it was last received.
    #[serde(serialize_with = "time::serialize")]
    pub last_at: SystemTime,
    /// How often it was received: the same body with the same signatures.
    pub count: u64,
    /// Why it was rejected, as a stable name.
    pub reason: String,
    /// What to do about it, in a sentence, once diagnosed.
    pub explanation: Option<String>,
    /// Whether it has a well-formed signature. In JSON: `signed`.
    #[serde(rename = "signed")]
    pub is_signed: bool,
    /// How long its body is, in bytes; `None` when it was not read whole.
    pub body_bytes: Option<u64>,
}

/// A rejected request, whole. In JSON its body is null unless it is UTF-8.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rejected {
    /// What a list shows. In JSON its fields are flattened.
    #[serde(flatten)]
    pub summary: RejectedSummary,
    /// The names of all its headers.
    pub header_names: Vec<String>,
    /// Its signature headers, with their values.
    pub signatures: Vec<Header>,
    /// The bytes received; `None` when they were not read whole.
    #[serde(serialize_with = "utf8_or_null")]
    pub body: Option<Bytes>,
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("summary", &self.summary)
            .field("header_names", &self.header_names)
            .finish_non_exhaustive()
    }
}

impl<R: RejectedRequests> RejectedRequests for Arc<R> {
    fn list(&self, limit: usize) -> Result<Vec<RejectedSummary>, InboxError> {
        R::list(self, limit)
    }

    fn get(&self, id: u64) -> Result<Option<Rejected>, InboxError> {
        R::get(self, id)
    }

    fn remove(&self, ids: &[u64]) -> Result<usize, InboxError> {
        R::remove(self, ids)
    }

    fn traffic(
        &self,
        since: SystemTime,
        unit: TrafficUnit,
    ) -> Result<Vec<(SystemTime, u64)>, InboxError> {
        R::traffic(self, since, unit)
    }
}

fn utf8_or_null<S: Serializer>(body: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    match body {
        Some(body) => record::utf8_or_null(body, serializer),
        None => serializer.serialize_none(),
    }
}
