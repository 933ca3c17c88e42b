//! [`Reader`]: reads an inbox, whether or not another process appends to it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use heygen_events::Pattern;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};

use super::backup;
use super::check::{self, CheckLevel, IntegrityIssue};
use super::dedup_index::{REOPEN_AFTER, Seen};
use super::drift;
use super::file::{cannot, open_for_reading, unfinished};
use super::file_id::OpenFiles;
use super::lock::is_served;
use super::order::WAITS;
use super::prune::bytes_in_use;
use super::rescue::leave_files;
use super::row::{self, SUMMARY_COLUMNS, SUMMARY_LEN};
use super::stats;
use super::store::{last_id, read_tag};
use super::traffic;
use crate::time::{from_micros, to_micros};
use crate::{
    Attempt, Counts, DeliveryId, DeliverySummary, DriftCount, InboxError, InboxErrorKind,
    NewDelivery, Query, Redeliveries, SignedPost, State, Stats, StoredDelivery, TrafficCount,
    TrafficUnit,
};

pub(super) struct Reader {
    connection: Connection,
    files: OpenFiles,
    path: PathBuf,
    tag: u32,
    /// What was seen up to a delivery, once a caller asked.
    seen: Cell<Option<(Seen, i64)>>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The last to close brings the log into the file and deletes it, by their names.
        if !self.is_in_place() {
            leave_files(&self.connection);
        }
    }
}

impl Reader {
    /// Opens an existing inbox.
    pub(super) fn open(path: &Path) -> Result<Self, InboxError> {
        let connection = open_for_reading(path)?;
        let tag = read_tag(&connection)
            .map_err(|error| cannot("read", path, error))?
            .ok_or_else(|| unfinished(path))?;
        Ok(Self {
            connection,
            files: OpenFiles::of(path)?,
            path: path.to_owned(),
            tag,
            seen: Cell::default(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the files that it has open are still those under their names.
    pub(super) fn is_in_place(&self) -> bool {
        self.files.difference().is_none()
    }

    /// An error when the file is damaged.
    pub(super) fn check_file(&self) -> Result<(), InboxError> {
        let flaw = check::file_flaw(&self.connection);
        match flaw.map_err(|error| cannot("check", &self.path, error))? {
            None => Ok(()),
            Some(flaw) => Err(InboxError::new(
                InboxErrorKind::Storage,
                format!("inbox {} is damaged: {flaw}", self.path.display()),
            )),
        }
    }

    pub(super) fn list(&self, query: &Query) -> Result<Vec<DeliverySummary>, InboxError> {
        let is_served = is_served(&self.path);
        let (conditions, mut values) = conditions(query, is_served);
        let limit = query
            .limit
            .map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        values.push(Value::from(limit));
        let sql = format!(
            "SELECT {SUMMARY_COLUMNS} FROM delivery WHERE {conditions} ORDER BY id {} LIMIT ?",
            if query.oldest_first { "ASC" } else { "DESC" }
        );
        self.rows(&sql, values, |row| {
            let mut summary = row::summary(row, self.tag)?;
            summary.state = state_shown(summary.state, is_served);
            Ok(summary)
        })
    }

    pub(super) fn get(&self, id: DeliveryId) -> Result<Option<StoredDelivery>, InboxError> {
        if id.tag() != self.tag {
            return Ok(None);
        }
        // One transaction is one moment: a server may be recording the end of an attempt.
        let moment = self
            .connection
            .unchecked_transaction()
            .map_err(|error| cannot("read", &self.path, error))?;
        let kept = self.get_now(id.key().cast_signed())?;
        drop(moment);
        Ok(kept)
    }

    fn get_now(&self, key: i64) -> Result<Option<StoredDelivery>, InboxError> {
        let sql = format!(
            "SELECT {SUMMARY_COLUMNS}, due_at, coalesce(delivery.event_id, matched.event_id), content.headers, content.body, \
             count, last_at, last_headers, signed.received_at, signed.headers, signed.body \
             FROM delivery JOIN content USING (id) LEFT JOIN repeat USING (id) LEFT JOIN matched USING (id) \
             LEFT JOIN signed USING (id) WHERE delivery.id = ?"
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

    pub(super) fn counts(&self) -> Result<Counts, InboxError> {
        let ask = |sql: &str| {
            self.connection
                .prepare_cached(sql)?
                .query_row((), |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
        };
        let counts = || {
            let log_bytes = self.files.log_bytes();
            // Of one moment, so that what changes its state meanwhile is counted once.
            let _moment = self.connection.unchecked_transaction()?;
            // Each goes through one small index and nothing else.
            let (pending, oldest): (i64, Option<i64>) = ask(
                "SELECT count(*), min(id) FROM delivery INDEXED BY delivery_due WHERE state = 'pending'",
            )?;
            let (claimed, _) = ask(
                "SELECT count(*), min(id) FROM delivery INDEXED BY delivery_claimed WHERE state = 'claimed'",
            )?;
            let (dead, _) = ask(
                "SELECT count(*), min(id) FROM delivery INDEXED BY delivery_dead_lettered WHERE state = 'dead_lettered'",
            )?;
            Ok(Counts {
                pending: pending.cast_unsigned(),
                claimed: claimed.cast_unsigned(),
                dead_lettered: dead.cast_unsigned(),
                oldest_pending: oldest.map(from_micros),
                bytes: bytes_in_use(&self.connection)?
                    + Some(log_bytes)
                        .filter(|bytes| *bytes > ORDINARY_LOG_BYTES)
                        .unwrap_or(0),
                log_bytes,
            })
        };
        counts().map_err(|error| cannot("read", &self.path, error))
    }

    pub(super) fn count(&self, query: &Query) -> Result<u64, InboxError> {
        let (conditions, values) = conditions(query, is_served(&self.path));
        let sql = format!("SELECT count(*) FROM delivery WHERE {conditions}");
        let counts = self.rows(&sql, values, |row| row.get::<_, i64>(0))?;
        Ok(counts.first().copied().unwrap_or(0).cast_unsigned())
    }

    pub(super) fn stats(&self, attempts_since: SystemTime) -> Result<Stats, InboxError> {
        let mut stats = stats::stats(&self.connection, attempts_since)
            .map_err(|error| cannot("read", &self.path, error))?;
        let is_served = is_served(&self.path);
        for group in &mut stats.groups {
            group.state = state_shown(group.state, is_served);
        }
        Ok(stats)
    }

    pub(super) fn check(
        &self,
        depth: CheckLevel,
        now: SystemTime,
    ) -> Result<Vec<IntegrityIssue>, InboxError> {
        check::check(&self.connection, self.tag, depth, now)
            .map_err(|error| cannot("check", &self.path, error))
    }

    pub(super) fn backup(
        &self,
        to: &Path,
        progress: impl FnMut(u64, u64),
    ) -> Result<(), InboxError> {
        let flaw = backup::copy(&self.connection, to, progress);
        match flaw.map_err(|error| cannot("copy", &self.path, error))? {
            None => Ok(()),
            Some(flaw) => Err(InboxError::new(
                InboxErrorKind::Storage,
                format!(
                    "the copy of inbox {} is damaged: {flaw}",
                    self.path.display()
                ),
            )),
        }
    }

    pub(super) fn drift(&self) -> Result<Vec<DriftCount>, InboxError> {
        drift::list(&self.connection, self.tag).map_err(|error| cannot("read", &self.path, error))
    }

    pub(super) fn traffic(
        &self,
        since: SystemTime,
        unit: TrafficUnit,
    ) -> Result<Vec<TrafficCount>, InboxError> {
        traffic::list(&self.connection, since, unit)
            .map_err(|error| cannot("read", &self.path, error))
    }

    pub(super) fn bookmark(&self, name: &str) -> Result<Option<String>, InboxError> {
        let value = Value::from(name.to_owned());
        let sql = "SELECT value FROM bookmark WHERE name = ?";
        Ok(self.rows(sql, vec![value], |row| row.get(0))?.pop())
    }

    /// For each of these the id of the same event, for one that may not write.
    pub(super) fn find(
        &self,
        deliveries: &[NewDelivery],
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        let find = || {
            // Of one moment: a server may be appending.
            let _moment = self.connection.unchecked_transaction()?;
            let last_id = last_id(&self.connection)?;
            let seen = match self.seen.take() {
                Some((mut seen, known)) if seen.remembered() <= REOPEN_AFTER => {
                    seen.catch_up(&self.connection, known)?;
                    seen.committed(last_id);
                    seen
                }
                _ => Seen::load_beside(&self.connection)?,
            };
            let find = |delivery| {
                let found = seen.find(&self.connection, delivery)?;
                Ok(found.map(|(id, _)| DeliveryId::new(id.cast_unsigned(), self.tag)))
            };
            let found = deliveries.iter().map(find).collect::<Result<_, _>>();
            self.seen.set(Some((seen, last_id)));
            found
        };
        find().map_err(|error| cannot("read", &self.path, error))
    }

    fn kept(&self, row: &Row<'_>) -> rusqlite::Result<StoredDelivery> {
        let mut summary = row::summary(row, self.tag)?;
        summary.state = state_shown(summary.state, is_served(&self.path));
        let [
            due_at,
            event_id,
            headers,
            body,
            count,
            last_at,
            last_headers,
            signed_at,
            signed_headers,
            signed_body,
        ] = std::array::from_fn(|place| SUMMARY_LEN + place);
        let redeliveries = match row.get::<_, Option<i64>>(count)? {
            None => Redeliveries::default(),
            Some(count) => Redeliveries {
                count: count.cast_unsigned(),
                last_at: Some(from_micros(row.get(last_at)?)),
                last_headers: row::headers(row, last_headers)?,
            },
        };
        let signed = match row.get::<_, Option<i64>>(signed_at)? {
            None => None,
            Some(at) => Some(SignedPost {
                received_at: from_micros(at),
                headers: row::headers(row, signed_headers)?,
                body: Bytes::from(row.get::<_, Vec<u8>>(signed_body)?),
            }),
        };
        Ok(StoredDelivery {
            signed,
            due_at: match summary.state {
                State::Pending => Some(row.get(due_at)?)
                    .filter(|due_at| *due_at < WAITS)
                    .map(from_micros),
                State::Claimed | State::Interrupted | State::Acknowledged | State::DeadLettered => {
                    None
                }
            },
            event_id: row.get(event_id)?,
            headers: row::headers(row, headers)?,
            body: Bytes::from(row.get::<_, Vec<u8>>(body)?),
            redeliveries,
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

/// In the file what was claimed stays so when its process ends, until another takes the file up.
fn state_shown(state: State, is_served: bool) -> State {
    match state {
        State::Claimed if !is_served => State::Interrupted,
        state => state,
    }
}

/// What stands after WHERE, and its values.
fn conditions(query: &Query, is_served: bool) -> (String, Vec<Value>) {
    let mut conditions = vec!["true"];
    let mut values = Vec::new();
    if let Some(event_type) = &query.event_type {
        conditions.push("event_type = ?");
        values.push(Value::from(event_type.clone()));
    }
    if let Some(pattern) = query.events.as_ref().map(Pattern::as_str) {
        // What is no event has the empty name.
        let (condition, value) = match pattern.contains('*') {
            false => ("event_type = ?", pattern.to_owned()),
            true => ("ifnull(event_type, '') GLOB ?", glob(pattern)),
        };
        conditions.push(condition);
        values.push(Value::from(value));
    }
    if let Some(subject_id) = &query.subject_id {
        conditions.push("subject_id = ?");
        values.push(Value::from(subject_id.clone()));
    }
    if let Some(callback_id) = &query.callback_id {
        conditions.push("callback_id = ?");
        values.push(Value::from(callback_id.clone()));
    }
    if let Some(outcome) = query.outcome {
        conditions.push("outcome = ?");
        values.push(Value::from(outcome.as_str().to_owned()));
    }
    if let Some(source) = query.source {
        conditions.push("source = ?");
        values.push(Value::from(source.as_str().to_owned()));
    }
    if let Some(state) = query.state {
        // Written out, so that the indexes of pending, claimed and dead deliveries can serve.
        conditions.push(match state {
            State::Pending => "state = 'pending'",
            State::Claimed if is_served => "state = 'claimed'",
            State::Interrupted if !is_served => "state = 'claimed'",
            State::Claimed | State::Interrupted => "false",
            State::Acknowledged => "state = 'acknowledged'",
            State::DeadLettered => "state = 'dead_lettered'",
        });
    }
    if let Some(since) = query.since {
        // Ids are never below the time, so they narrow it down; the time itself decides.
        conditions.push("id >= ? AND received_at >= ?");
        values.extend([Value::from(to_micros(since)), Value::from(to_micros(since))]);
    }
    if let Some(until) = query.until {
        conditions.push("received_at < ?");
        values.push(Value::from(to_micros(until)));
    }
    for (bound, condition) in [(query.after, "id > ?"), (query.before, "id < ?")] {
        if let Some(bound) = bound {
            conditions.push(condition);
            values.push(Value::from(bound.key().cast_signed()));
        }
    }
    (conditions.join(" AND "), values)
}

/// The same pattern in the words of SQLite, to which `?` and `[` mean something too.
fn glob(pattern: &str) -> String {
    pattern.replace('[', "[[]").replace('?', "[?]")
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

/// A log becomes that long before it is brought into the file and used again, and is no reason to
/// delete anything. A longer one is held by a program that reads, and takes the disk.
const ORDINARY_LOG_BYTES: u64 = 24 * 1024 * 1024;
