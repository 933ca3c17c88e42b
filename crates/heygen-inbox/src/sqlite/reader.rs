//! [`Reader`]: reads an inbox, whether or not another process appends to it.

use std::cell::Cell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use heygen_events::Pattern;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};

use super::backup;
use super::check::{self, CheckLevel, IntegrityIssue};
use super::dedup_index::{DedupIndex, RELOAD_AFTER};
use super::drift;
use super::error::{check_undamaged, is_of_page};
use super::file::{cannot, open_for_reading, unfinished};
use super::file_id::OpenFiles;
use super::lock::is_served;
use super::order::BLOCKED;
use super::prune;
use super::rescue::disable_checkpoint_on_close;
use super::row::{self, SUMMARY_COLUMNS, SUMMARY_LEN};
use super::store::{last_id, read_tag};
use super::traffic;
use crate::time::{from_micros, to_micros};
use crate::{
    Attempt, Counts, DeliveryId, DeliverySummary, DriftCount, InboxError, NewDelivery, PruneStep,
    Query, Redeliveries, SignedPost, State, Stats, StatsGroup, StoredDelivery, TrafficCount,
    TrafficUnit,
};

pub(super) struct Reader {
    connection: Connection,
    files: OpenFiles,
    path: PathBuf,
    tag: u32,
    /// Loaded by the first lookup, up to a delivery.
    dedup_index: Cell<Option<(DedupIndex, i64)>>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The last connection to close checkpoints the log and deletes it, by path.
        if !self.is_in_place() {
            disable_checkpoint_on_close(&self.connection);
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
            dedup_index: Cell::default(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the files that it has open are still at their paths.
    pub(super) fn is_in_place(&self) -> bool {
        self.files.change().is_none()
    }

    /// An error when the file is damaged.
    pub(super) fn check_file(&self) -> Result<(), InboxError> {
        let issue = check::file_issue(&self.connection);
        let issue = issue.map_err(|error| cannot("check", &self.path, error))?;
        check_undamaged("inbox", &self.path, issue)
    }

    pub(super) fn list(&self, query: &Query) -> rusqlite::Result<Vec<DeliverySummary>> {
        let is_served = is_served(&self.path);
        let (conditions, mut values) = conditions(query, is_served);
        let limit = query
            .limit
            .map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        values.push(Value::from(limit));
        let sql = format!(
            "SELECT {SUMMARY_COLUMNS} FROM delivery {} WHERE {conditions} ORDER BY id {} LIMIT ?",
            self.index(query)?,
            if query.oldest_first { "ASC" } else { "DESC" }
        );
        self.rows(&sql, values, |row| {
            let mut summary = row::summary(row, self.tag)?;
            summary.state = reported_state(summary.state, is_served);
            Ok(summary)
        })
    }

    /// The index of pending deliveries is in the order of their times, so SQLite prefers to go through all deliveries. Where few are
    /// pending, to sort them is quicker.
    fn index(&self, query: &Query) -> rusqlite::Result<&'static str> {
        if query.state != Some(State::Pending) {
            return Ok("");
        }
        let sql = "SELECT count(*) FROM \
                   (SELECT 1 FROM delivery INDEXED BY delivery_due WHERE state = 'pending' LIMIT ?)";
        let few = vec![Value::from(FEW + 1)];
        let pending = self.rows(sql, few, |row| row.get::<_, i64>(0))?;
        Ok(match pending.first() {
            Some(0..=FEW) => "INDEXED BY delivery_due",
            Some(_) | None => "",
        })
    }

    pub(super) fn get(&self, id: DeliveryId) -> rusqlite::Result<Option<StoredDelivery>> {
        if id.tag() != self.tag {
            return Ok(None);
        }
        // One transaction: a server may be recording the result of an attempt meanwhile.
        let _snapshot = self.connection.unchecked_transaction()?;
        self.get_by_key(id.key().cast_signed())
    }

    fn get_by_key(&self, key: i64) -> rusqlite::Result<Option<StoredDelivery>> {
        let sql = format!(
            "SELECT {SUMMARY_COLUMNS}, due_at, coalesce(delivery.event_id, matched.event_id), content.headers, content.body, \
             count, last_at, last_headers, signed.received_at, signed.headers, signed.body \
             FROM delivery JOIN content USING (id) LEFT JOIN repeat USING (id) LEFT JOIN matched USING (id) \
             LEFT JOIN signed USING (id) WHERE delivery.id = ?"
        );
        let stored = self
            .connection
            .prepare_cached(&sql)?
            .query_row([key], |row| self.stored(row))
            .optional()?;
        let Some(mut stored) = stored else {
            return Ok(None);
        };
        stored.attempts = self.rows(
            "SELECT number, started_at, duration, result, detail FROM attempt WHERE delivery_id = ? ORDER BY number",
            vec![Value::from(key)],
            attempt,
        )?;
        Ok(Some(stored))
    }

    pub(super) fn counts(&self) -> rusqlite::Result<Counts> {
        let log_bytes = self.files.log_bytes();
        // One transaction, so that a delivery that changes its state meanwhile is counted once.
        let _snapshot = self.connection.unchecked_transaction()?;
        // Each query reads one small index and nothing else.
        let count = |index: &str, state: State| {
            let state = state.as_str();
            let sql = format!(
                "SELECT count(*), min(id) FROM delivery INDEXED BY {index} WHERE state = '{state}'"
            );
            self.connection.prepare_cached(&sql)?.query_row((), |row| {
                Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
            })
        };
        let (pending, oldest): (u64, Option<i64>) = count("delivery_due", State::Pending)?;
        // Not the time in its id, which is ahead of the clock after that was set back.
        let oldest_pending = self
            .connection
            .prepare_cached("SELECT received_at FROM delivery WHERE id = ?1")?
            .query_row([oldest], |row| row.get(0).map(from_micros))
            .optional()?;
        let (claimed, _) = count("delivery_claimed", State::Claimed)?;
        let (dead_lettered, _) = count("delivery_dead_lettered", State::DeadLettered)?;
        let unusual_log_bytes = Some(log_bytes).filter(|bytes| *bytes > USUAL_WAL_BYTES);
        Ok(Counts {
            pending,
            claimed,
            dead_lettered,
            oldest_pending,
            bytes: prune::bytes_in_use(&self.connection)? + unusual_log_bytes.unwrap_or(0),
            log_bytes,
        })
    }

    pub(super) fn count(&self, query: &Query) -> rusqlite::Result<u64> {
        let (conditions, values) = conditions(query, is_served(&self.path));
        let sql = format!("SELECT count(*) FROM delivery WHERE {conditions}");
        let counts = self.rows(&sql, values, |row| row.get::<_, i64>(0))?;
        Ok(counts.first().copied().unwrap_or(0).cast_unsigned())
    }

    pub(super) fn count_prunable(&self, before: SystemTime) -> rusqlite::Result<u64> {
        prune::count(&self.connection, before)
    }

    /// What a step of pruning leaves out, because a page of it is damaged. The writer must not meet
    /// it: SQLite refuses to write in that transaction from then on.
    pub(super) fn damaged(&self, step: &PruneStep) -> rusqlite::Result<HashSet<i64>> {
        let mut damaged = HashSet::new();
        let mut sound = 0;
        for (id, _) in prune::scan(&self.connection, step)?
            .into_iter()
            .filter(|(_, is_finished)| *is_finished)
        {
            if sound == step.limit {
                break;
            }
            match self.get_by_key(id) {
                Err(error) if is_of_page(&error) => drop(damaged.insert(id)),
                Ok(_) | Err(_) => sound += 1,
            }
        }
        Ok(damaged)
    }

    pub(super) fn stats(&self, attempts_since: SystemTime) -> rusqlite::Result<Stats> {
        let is_served = is_served(&self.path);
        let groups = self.rows(
            "SELECT event_type, state, source, count(*) FROM delivery GROUP BY 1, 2, 3",
            Vec::new(),
            |row| {
                Ok(StatsGroup {
                    event_type: row.get(0)?,
                    state: reported_state(row::named(row, 1)?, is_served),
                    source: row::named(row, 2)?,
                    count: row.get::<_, i64>(3)?.cast_unsigned(),
                })
            },
        )?;
        let attempts = self.rows(
            "SELECT result, count(*) FROM attempt WHERE started_at >= ? GROUP BY 1",
            vec![Value::from(to_micros(attempts_since))],
            |row| Ok((row::named(row, 0)?, row.get::<_, i64>(1)?.cast_unsigned())),
        )?;
        Ok(Stats { groups, attempts })
    }

    pub(super) fn check(&self, level: CheckLevel) -> Result<Vec<IntegrityIssue>, InboxError> {
        check::check(&self.connection, self.tag, level)
            .map_err(|error| cannot("check", &self.path, error))
    }

    pub(super) fn backup(
        &self,
        to: &Path,
        progress: impl FnMut(u64, u64),
    ) -> Result<(), InboxError> {
        let issue = backup::copy(&self.connection, to, progress);
        let issue = issue.map_err(|error| cannot("copy", &self.path, error))?;
        check_undamaged("the copy of inbox", &self.path, issue)
    }

    pub(super) fn drift(&self) -> rusqlite::Result<Vec<DriftCount>> {
        drift::list(&self.connection, self.tag)
    }

    pub(super) fn traffic(
        &self,
        since: SystemTime,
        unit: TrafficUnit,
    ) -> rusqlite::Result<Vec<TrafficCount>> {
        traffic::list(&self.connection, since, unit)
    }

    pub(super) fn bookmark(&self, name: &str) -> rusqlite::Result<Option<String>> {
        let value = Value::from(name.to_owned());
        let sql = "SELECT value FROM bookmark WHERE name = ?";
        Ok(self.rows(sql, vec![value], |row| row.get(0))?.pop())
    }

    /// For each of these the id of the same event, without write access.
    pub(super) fn find(
        &self,
        deliveries: &[NewDelivery],
    ) -> rusqlite::Result<Vec<Option<DeliveryId>>> {
        // One transaction: a server may be appending meanwhile.
        let _snapshot = self.connection.unchecked_transaction()?;
        let last_id = last_id(&self.connection)?;
        let index = match self.dedup_index.take() {
            Some((mut index, known)) if index.buffered() <= RELOAD_AFTER => {
                index.catch_up(&self.connection, known)?;
                index.committed(last_id);
                index
            }
            _ => DedupIndex::load_without_flushes(&self.connection)?,
        };
        let find = |delivery| {
            let found = index.find(&self.connection, delivery)?;
            Ok(found.map(|(id, _)| DeliveryId::new(id.cast_unsigned(), self.tag)))
        };
        let found = deliveries.iter().map(find).collect::<Result<_, _>>();
        self.dedup_index.set(Some((index, last_id)));
        found
    }

    fn stored(&self, row: &Row<'_>) -> rusqlite::Result<StoredDelivery> {
        let mut summary = row::summary(row, self.tag)?;
        summary.state = reported_state(summary.state, is_served(&self.path));
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
        ] = std::array::from_fn(|index| SUMMARY_LEN + index);
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
                    .filter(|due_at| *due_at < BLOCKED)
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
    ) -> rusqlite::Result<Vec<T>> {
        self.connection
            .prepare_cached(sql)?
            .query_map(params_from_iter(values), read)?
            .collect()
    }
}

/// In the file a claimed delivery stays so after its process ended, until another process recovers
/// it.
fn reported_state(state: State, is_served: bool) -> State {
    match state {
        State::Claimed if !is_served => State::Interrupted,
        state => state,
    }
}

/// The condition after WHERE, and its values.
fn conditions(query: &Query, is_served: bool) -> (String, Vec<Value>) {
    let mut conditions = vec!["true"];
    let mut values = Vec::new();
    if let Some(pattern) = query.events.as_ref().map(Pattern::as_str) {
        // A body that is not an event has the empty name.
        let (condition, value) = match pattern.contains('*') {
            false => ("event_type = ?", pattern.to_owned()),
            true => ("ifnull(event_type, '') GLOB ?", glob(pattern)),
        };
        conditions.push(condition);
        values.push(Value::from(value));
    }
    let outcome = query.outcome.map(|outcome| outcome.as_str().to_owned());
    let source = query.source.map(|source| source.as_str().to_owned());
    for (condition, value) in [
        ("event_type = ?", query.event_type.clone()),
        ("subject_id = ?", query.subject_id.clone()),
        ("callback_id = ?", query.callback_id.clone()),
        ("outcome = ?", outcome),
        ("source = ?", source),
    ] {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(Value::from(value));
        }
    }
    if let Some(state) = query.state {
        // Literals, so that the partial indexes by state apply.
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
        // An id is never below its time, so it limits the scan; the time itself decides.
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

/// The pattern as a GLOB of SQLite, in which `?` and `[` are special too.
fn glob(pattern: &str) -> String {
    pattern.replace('[', "[[]").replace('?', "[?]")
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        number: row.get(0)?,
        started_at: from_micros(row.get(1)?),
        duration: Duration::from_micros(row.get::<_, i64>(2)?.cast_unsigned()),
        result: row::named(row, 3)?,
        detail: row.get(4)?,
    })
}

/// So many are sorted in a few milliseconds.
const FEW: i64 = 10_000;

/// A write-ahead log grows so long before it is checkpointed and reused, and does not count as
/// storage in use. A longer one is pinned by a program that reads, and fills the disk.
const USUAL_WAL_BYTES: u64 = 24 * 1024 * 1024;
