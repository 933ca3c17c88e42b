//! [`SqliteReader`]: looks into an inbox while somebody else, or nobody, appends to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};

use super::file::{cannot, open_for_reading};
use super::row::{self, SUMMARY_COLUMNS, SUMMARY_LEN};
use super::store::read_tag;
use crate::time::{from_micros, to_micros};
use crate::{Attempt, DeliveryId, InboxError, Kept, Query, Repeats, State, Summary};

/// Looks into an inbox file, also while a server appends to it. Blocks for as long as the disk takes.
#[derive(Debug)]
pub struct SqliteReader {
    connection: Connection,
    path: PathBuf,
    tag: u32,
}

impl SqliteReader {
    /// Opens an existing inbox.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when there is none or it cannot be read,
    /// [`Version`](crate::InboxErrorKind::Version) when another version made it or it is no inbox.
    pub fn open(path: &Path) -> Result<Self, InboxError> {
        let connection = open_for_reading(path)?;
        let tag = read_tag(&connection)
            .and_then(|tag| tag.ok_or(rusqlite::Error::QueryReturnedNoRows))
            .map_err(|error| cannot("read", path, error))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            tag,
        })
    }

    /// What `query` asks for, newest first.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the file could not be read.
    pub fn list(&self, query: &Query) -> Result<Vec<Summary>, InboxError> {
        let mut conditions = vec!["true"];
        let mut values = Vec::new();
        if let Some(event_type) = &query.event_type {
            conditions.push("event_type = ?");
            values.push(Value::from(event_type.clone()));
        }
        if let Some(state) = query.state {
            // Written out, so that the indexes of pending and claimed deliveries can serve.
            conditions.push(match state {
                State::Pending => "state = 'pending'",
                State::Claimed => "state = 'claimed'",
                State::Done => "state = 'done'",
                State::Dead => "state = 'dead'",
            });
        }
        if let Some(since) = query.since {
            // Ids are never below the time, so they narrow it down; the time itself decides.
            conditions.push("id >= ? AND received_at >= ?");
            values.extend([Value::from(to_micros(since)), Value::from(to_micros(since))]);
        }
        let limit = query
            .limit
            .map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        values.push(Value::from(limit));
        let sql = format!(
            "SELECT {SUMMARY_COLUMNS} FROM delivery WHERE {} ORDER BY id DESC LIMIT ?",
            conditions.join(" AND ")
        );
        self.rows(&sql, values, |row| row::summary(row, self.tag))
    }

    /// One delivery, whole; `None` when there is none of that id.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the file could not be read.
    pub fn get(&self, id: DeliveryId) -> Result<Option<Kept>, InboxError> {
        if id.tag() != self.tag {
            return Ok(None);
        }
        let key = id.key().cast_signed();
        let sql = format!(
            "SELECT {SUMMARY_COLUMNS}, due_at, event_id, headers, body, count, last_at, last_headers \
             FROM delivery JOIN content USING (id) LEFT JOIN repeat USING (id) WHERE delivery.id = ?"
        );
        let kept = self
            .connection
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.query_row([key], |row| self.kept(row)).optional())
            .map_err(|error| cannot("read", &self.path, error))?;
        let Some(mut kept) = kept else {
            return Ok(None);
        };
        kept.attempts = self.rows(
            "SELECT number, started_at, duration, result, detail FROM attempt WHERE delivery_id = ? ORDER BY number",
            vec![Value::from(key)],
            attempt,
        )?;
        Ok(Some(kept))
    }

    fn kept(&self, row: &Row<'_>) -> rusqlite::Result<Kept> {
        let summary = row::summary(row, self.tag)?;
        let [
            due_at,
            event_id,
            headers,
            body,
            count,
            last_at,
            last_headers,
        ] = std::array::from_fn(|place| SUMMARY_LEN + place);
        let repeats = match row.get::<_, Option<i64>>(count)? {
            None => Repeats::default(),
            Some(count) => Repeats {
                count: count.cast_unsigned(),
                last_at: Some(from_micros(row.get(last_at)?)),
                last_headers: row::headers(row, last_headers)?,
            },
        };
        Ok(Kept {
            due_at: match summary.state {
                State::Pending => Some(from_micros(row.get(due_at)?)),
                State::Claimed | State::Done | State::Dead => None,
            },
            event_id: row.get(event_id)?,
            headers: row::headers(row, headers)?,
            body: Bytes::from(row.get::<_, Vec<u8>>(body)?),
            repeats,
            attempts: Vec::new(),
            summary,
        })
    }

    fn rows<T>(
        &self,
        sql: &str,
        values: Vec<Value>,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, InboxError> {
        let rows = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement
                .query_map(params_from_iter(values), read)?
                .collect::<rusqlite::Result<_>>()
        };
        rows().map_err(|error| cannot("read", &self.path, error))
    }
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        number: row.get(0)?,
        started_at: from_micros(row.get(1)?),
        duration: Duration::from_micros(row.get::<_, i64>(2)?.cast_unsigned()),
        result: row::attempt_result(row, 3)?,
        detail: row.get(4)?,
    })
}
