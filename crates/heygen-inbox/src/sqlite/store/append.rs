//! Appends: new deliveries are inserted, duplicates counted.

use rusqlite::{Connection, Statement, ToSql, params};

use super::Store;
use crate::dedup::rule::Match;
use crate::id::key_time;
use crate::sqlite::{candidate, row};
use crate::time::to_micros;
use crate::{Appended, NewDelivery, TrafficKind};

/// A delivery, with what can be computed before it enters the writer's queue.
#[derive(Debug)]
pub(in crate::sqlite) struct NewRow {
    delivery: NewDelivery,
    headers: String,
}

impl NewRow {
    pub(in crate::sqlite) fn new(delivery: NewDelivery) -> Self {
        Self {
            headers: row::headers_to_text(delivery.headers()),
            delivery,
        }
    }
}

impl Store {
    /// Returns for each the id under which the event is stored, and whether it is new.
    pub(in crate::sqlite) fn append<'a>(
        &mut self,
        rows: impl IntoIterator<Item = &'a NewRow>,
    ) -> rusqlite::Result<Vec<Appended>> {
        let mut pending_rows = Vec::with_capacity(ROWS_AT_ONCE);
        let appended = rows
            .into_iter()
            .map(|row| {
                let appended = self.append_row(row, &mut pending_rows)?;
                // Imports are no traffic: they were received elsewhere and earlier.
                if matches!(appended, Appended::New(_)) {
                    self.count_traffic(TrafficKind::Accepted, &row.delivery);
                }
                Ok::<_, rusqlite::Error>(appended)
            })
            .collect::<Result<_, _>>()?;
        self.inserts.write(&self.connection, &mut pending_rows)?;
        Ok(appended)
    }

    pub(in crate::sqlite) fn append_one(&mut self, row: &NewRow) -> rusqlite::Result<Appended> {
        let mut pending_rows = Vec::new();
        let appended = self.append_row(row, &mut pending_rows)?;
        self.inserts.write(&self.connection, &mut pending_rows)?;
        Ok(appended)
    }

    /// Counts a duplicate. A new delivery gets its id, and waits in `pending_rows` to be inserted
    /// together with others.
    fn append_row<'a>(
        &mut self,
        row: &'a NewRow,
        pending_rows: &mut Vec<(i64, &'a NewRow)>,
    ) -> rusqlite::Result<Appended> {
        if let Some((id, fit)) = self.find_duplicate(row, pending_rows)? {
            if row.delivery.source().is_received() {
                self.count_redelivery(id, row)?;
                self.count_traffic(TrafficKind::Duplicate, &row.delivery);
            }
            self.link(id, fit, &row.delivery)?;
            return Ok(Appended::Duplicate(self.id(id)));
        }
        let id = key_time(row.delivery.received_at()).max(self.last_id + 1);
        self.last_id = id;
        self.dedup_index
            .insert(row.delivery.index_fingerprints(), id);
        self.drift.count(&row.delivery, id);
        if row.delivery.source().is_received() {
            let event_type = row.delivery.label().event_type.as_deref();
            self.recent.add(event_type, id);
        }
        pending_rows.push((id, row));
        if pending_rows.len() == ROWS_AT_ONCE {
            self.inserts.write(&self.connection, pending_rows)?;
        }
        Ok(Appended::New(self.id(id)))
    }

    /// The delivery that this is a duplicate of, also one that waits in `pending_rows`.
    fn find_duplicate(
        &self,
        row: &NewRow,
        pending_rows: &mut Vec<(i64, &NewRow)>,
    ) -> rusqlite::Result<Option<(i64, Match)>> {
        if !self.dedup_index.may_contain(&row.delivery) {
            return Ok(None);
        }
        self.inserts.write(&self.connection, pending_rows)?;
        self.dedup_index.find(&self.connection, &row.delivery)
    }

    /// Stores the second form of an event with the delivery that is its first.
    pub(in crate::sqlite) fn link(
        &self,
        id: i64,
        fit: Match,
        delivery: &NewDelivery,
    ) -> rusqlite::Result<()> {
        match fit.link {
            Some(link) => candidate::store(&self.connection, id, link, delivery),
            None => Ok(()),
        }
    }

    fn count_traffic(&mut self, kind: TrafficKind, delivery: &NewDelivery) {
        let event_type = delivery.label().event_type.as_deref();
        self.traffic.count(delivery.received_at(), kind, event_type);
    }

    fn count_redelivery(&self, id: i64, row: &NewRow) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO repeat (id, count, last_at, last_headers) VALUES (?1, 1, ?2, ?3) ON CONFLICT (id) \
                 DO UPDATE SET count = count + 1, last_at = excluded.last_at, last_headers = excluded.last_headers",
            )?
            .execute(params![
                id,
                to_micros(row.delivery.received_at()),
                row.headers
            ])?;
        Ok(())
    }
}

/// The statements that insert [`ROWS_AT_ONCE`] deliveries, and one. Of many rows in one statement,
/// each costs SQLite half as much as a row alone.
#[derive(Debug)]
pub(super) struct Inserts {
    many: Insert,
    one: Insert,
}

#[derive(Debug)]
struct Insert {
    delivery: String,
    content: String,
}

impl Inserts {
    pub(super) fn new() -> Self {
        Self {
            many: Insert::of(ROWS_AT_ONCE),
            one: Insert::of(1),
        }
    }

    /// Inserts the rows, and clears them.
    fn write(
        &self,
        connection: &Connection,
        rows: &mut Vec<(i64, &NewRow)>,
    ) -> rusqlite::Result<()> {
        let (many, rest) = rows.as_chunks::<ROWS_AT_ONCE>();
        for rows in many {
            self.many.write(connection, rows)?;
        }
        for row in rest {
            self.one.write(connection, std::slice::from_ref(row))?;
        }
        rows.clear();
        Ok(())
    }
}

impl Insert {
    fn of(rows: usize) -> Self {
        let values = |row: &str| vec![row; rows].join(", ");
        // OR FAIL: if one row fails, the whole transaction is rolled back, so SQLite need not
        // prepare to roll back this statement alone.
        Self {
            delivery: format!(
                "INSERT OR FAIL INTO delivery (id, received_at, due_at, source, event_type, subject_id, callback_id, outcome, \
                 event_id, digest, body_digest, state, attempts) VALUES {}",
                values("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', 0)")
            ),
            content: format!(
                "INSERT OR FAIL INTO content (id, headers, body) VALUES {}",
                values("(?, ?, ?)")
            ),
        }
    }

    /// Inserts exactly as many rows as the statement has.
    fn write(&self, connection: &Connection, rows: &[(i64, &NewRow)]) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(&self.delivery)?;
        for (number, (id, row)) in rows.iter().enumerate() {
            let label = row.delivery.label();
            let key = row.delivery.dedup_key();
            let digest = key.event_digest().map(|digest| digest.0);
            let received_at = to_micros(row.delivery.received_at());
            let values: [&dyn ToSql; 11] = [
                id,
                &received_at,
                &received_at,
                &row.delivery.source().as_str(),
                &label.event_type,
                &label.subject_id,
                &label.callback_id,
                &label.outcome.map(|outcome| outcome.as_str()),
                &key.event_id(),
                &digest.as_ref().map_or(&[][..], |digest| &digest[..]),
                &key.body().0,
            ];
            bind(&mut statement, number, &values)?;
        }
        statement.raw_execute()?;
        let mut statement = connection.prepare_cached(&self.content)?;
        for (number, (id, row)) in rows.iter().enumerate() {
            let values: [&dyn ToSql; 3] = [id, &row.headers, &row.delivery.body().as_ref()];
            bind(&mut statement, number, &values)?;
        }
        statement.raw_execute()?;
        Ok(())
    }
}

/// Binds the values of one row.
fn bind(statement: &mut Statement<'_>, row: usize, values: &[&dyn ToSql]) -> rusqlite::Result<()> {
    let first = row * values.len() + 1;
    for (column, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(first + column, value)?;
    }
    Ok(())
}

/// Small enough that a batch of a dozen benefits too.
const ROWS_AT_ONCE: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::SystemTime;

    use bytes::Bytes;

    use super::*;
    use crate::Source;
    use crate::sqlite::options::SqliteOptions;

    fn row(number: usize) -> NewRow {
        let body = format!(r#"{{"event_type":"x.y","event_data":{number}}}"#);
        let (source, headers) = (Source::Webhook, Vec::new());
        NewRow::new(NewDelivery::new(
            SystemTime::now(),
            source,
            headers,
            Bytes::from(body),
        ))
    }

    /// However many share a transaction: each is stored once.
    #[test]
    fn batches_of_every_size_are_stored_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let (options, now) = (SqliteOptions::default(), SystemTime::now());
        let mut store = Store::open(&path, &options, &HashSet::new(), now).expect("an inbox");
        let mut number = 0;
        for len in 1..=2 * ROWS_AT_ONCE + 2 {
            let mut rows: Vec<_> = (number..number + len).map(row).collect();
            // Duplicates: of this transaction, which may still wait to be inserted, and of the
            // first.
            rows.extend([row(number), row(number + len - 1), row(0)]);
            store.begin().expect("a transaction");
            let appended = store.append(&rows).expect("room");
            store.commit(0).expect("a commit");
            let (new, known) = appended.split_at(len);
            assert!(new.iter().all(|new| matches!(new, Appended::New(_))));
            let first = [new[0].id(), new[len - 1].id()].map(Appended::Duplicate);
            assert_eq!(known[..2], first, "{len}");
            assert!(matches!(known[2], Appended::Duplicate(_)));
            for (row, appended) in rows.iter().zip(new) {
                let key = appended.id().key().cast_signed();
                let stored: (Vec<u8>, i64) = store
                    .connection
                    .query_row(
                        "SELECT body, received_at FROM delivery JOIN content USING (id) WHERE id = ?1",
                        [key],
                        |row| Ok((row.get(0)?, row.get(1)?)),
                    )
                    .expect("its rows");
                let expected = to_micros(row.delivery.received_at());
                assert_eq!(stored, (row.delivery.body().to_vec(), expected));
            }
            number += len;
        }
        let count: i64 = store
            .connection
            .query_row("SELECT count(*) FROM content", (), |row| row.get(0))
            .expect("a count");
        assert_eq!(usize::try_from(count), Ok(number));
    }
}
