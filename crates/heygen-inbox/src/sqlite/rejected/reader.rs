//! [`RejectedFile`]: reads rejected requests, also while a server records more.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::Serialize;

use super::file::{REJECTED, has_traffic, open_existing};
use super::traffic;
use crate::rejected::traffic_of;
use crate::sqlite::row;
use crate::time::from_micros;
use crate::{InboxError, Rejected, RejectedRequests, RejectedSummary, TrafficUnit};

/// Reads and removes rejected requests, also while a server records more. Calls block for as long
/// as the disk takes.
#[derive(Debug)]
pub struct RejectedFile {
    connection: Connection,
    path: PathBuf,
}

/// How much the file holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RejectedCounts {
    /// How many requests have a well-formed signature.
    pub signed: u64,
    /// How many do not.
    pub unsigned: u64,
    /// How many bytes they count against the limit, in whole pages.
    pub bytes: u64,
}

impl RejectedFile {
    /// Opens the file; `None` when there is none, because no request was rejected yet.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when it cannot be read,
    /// [`Version`](crate::InboxErrorKind::Version) when another version or another program made it.
    pub fn open(path: &Path) -> Result<Option<Self>, InboxError> {
        let connection = open_existing(path)?;
        Ok(connection.map(|connection| Self {
            connection,
            path: path.to_owned(),
        }))
    }

    /// The last seen first, at most `limit` of them.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the file could not be read.
    pub fn list(&self, limit: Option<usize>) -> Result<Vec<RejectedSummary>, InboxError> {
        let limit = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let sql = format!("SELECT {SUMMARY} FROM rejected ORDER BY last_at DESC, id DESC LIMIT ?1");
        let rows = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_map([limit], summary)?.collect()
        };
        self.done("read", rows())
    }

    /// One request, whole; `None` when it is missing, for instance after it was evicted.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the file could not be read.
    pub fn get(&self, id: u64) -> Result<Option<Rejected>, InboxError> {
        let sql =
            format!("SELECT {SUMMARY}, header_names, signatures, body FROM rejected WHERE id = ?1");
        let row = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_row([id.cast_signed()], whole).optional()
        };
        self.done("read", row())
    }

    /// Removes these; returns how many of them were there.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the file could not be written; nothing was
    /// removed then.
    pub fn remove(&self, ids: &[u64]) -> Result<usize, InboxError> {
        let remove = || {
            let transaction = self.connection.unchecked_transaction()?;
            let mut removed = 0;
            for id in ids {
                removed += transaction
                    .prepare_cached("DELETE FROM rejected WHERE id = ?1")?
                    .execute([id.cast_signed()])?;
            }
            transaction.commit()?;
            Ok(removed)
        };
        self.done("write", remove())
    }

    /// How many were rejected since a time, by minute or hour, the oldest first: also those that made
    /// room for others or were too many to be recorded.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the file could not be read.
    pub fn traffic(
        &self,
        since: SystemTime,
        unit: TrafficUnit,
    ) -> Result<Vec<(SystemTime, u64)>, InboxError> {
        match has_traffic(&self.connection, &self.path)? {
            true => self.done("read", traffic::list(&self.connection, since, unit)),
            false => Ok(traffic_of(&self.list(None)?, since, unit)),
        }
    }

    /// How much the file holds.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the file could not be read.
    pub fn counts(&self) -> Result<RejectedCounts, InboxError> {
        let counts = self.connection.query_row(
            "SELECT coalesce(sum(is_signed), 0), coalesce(sum(1 - is_signed), 0), coalesce(sum(cost), 0) FROM rejected",
            (),
            |row| {
                Ok(RejectedCounts {
                    signed: row.get::<_, i64>(0)?.cast_unsigned(),
                    unsigned: row.get::<_, i64>(1)?.cast_unsigned(),
                    bytes: row.get::<_, i64>(2)?.cast_unsigned(),
                })
            },
        );
        self.done("read", counts)
    }

    fn done<T>(&self, step: &str, result: rusqlite::Result<T>) -> Result<T, InboxError> {
        result.map_err(|error| REJECTED.cannot(step, &self.path, error))
    }
}

/// Reads rejected requests of a file that may not be there yet: each call opens it.
#[derive(Clone, Debug)]
pub struct RejectedAt {
    path: PathBuf,
}

impl RejectedAt {
    /// Those in the file at `path`, see [`rejected_path`](crate::sqlite::rejected_path).
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn with<T: Default>(
        &self,
        ask: impl FnOnce(&RejectedFile) -> Result<T, InboxError>,
    ) -> Result<T, InboxError> {
        let file = RejectedFile::open(&self.path)?;
        file.as_ref().map_or_else(|| Ok(T::default()), ask)
    }
}

impl RejectedRequests for RejectedAt {
    fn list(&self, limit: usize) -> Result<Vec<RejectedSummary>, InboxError> {
        self.with(|file| file.list(Some(limit)))
    }

    fn get(&self, id: u64) -> Result<Option<Rejected>, InboxError> {
        self.with(|file| file.get(id))
    }

    fn remove(&self, ids: &[u64]) -> Result<usize, InboxError> {
        self.with(|file| file.remove(ids))
    }

    fn traffic(
        &self,
        since: SystemTime,
        unit: TrafficUnit,
    ) -> Result<Vec<(SystemTime, u64)>, InboxError> {
        self.with(|file| file.traffic(since, unit))
    }
}

fn summary(row: &Row<'_>) -> rusqlite::Result<RejectedSummary> {
    Ok(RejectedSummary {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        first_at: from_micros(row.get(1)?),
        last_at: from_micros(row.get(2)?),
        count: row.get::<_, i64>(3)?.cast_unsigned(),
        reason: row.get(4)?,
        explanation: row.get(5)?,
        is_signed: row.get(6)?,
        body_bytes: row.get::<_, Option<i64>>(7)?.map(i64::cast_unsigned),
    })
}

fn whole(row: &Row<'_>) -> rusqlite::Result<Rejected> {
    let names = row.get_ref(8)?.as_str()?;
    let header_names = serde_json::from_str(names).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(8, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(Rejected {
        summary: summary(row)?,
        header_names,
        signatures: row::headers(row, 9)?,
        body: row.get::<_, Option<Vec<u8>>>(10)?.map(Bytes::from),
    })
}

const SUMMARY: &str =
    "id, first_at, last_at, count, reason, explanation, is_signed, octet_length(body)";
