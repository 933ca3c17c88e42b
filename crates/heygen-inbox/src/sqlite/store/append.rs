//! Appending: what is new gets its rows, what was here before is counted.

use rusqlite::{Connection, Statement, ToSql, params};

use super::Store;
use crate::dedup::rule::Fit;
use crate::sqlite::{candidate, row};
use crate::time::to_micros;
use crate::{Appended, NewDelivery, TrafficKind};

/// A delivery, and what of its rows can be computed before it stands in the writer's queue.
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
    /// Says for each of them under which id the event is kept, and whether it is new. Of two that are the same event the
    /// first is.
    pub(in crate::sqlite) fn append<'a>(
        &mut self,
        rows: impl IntoIterator<Item = &'a NewRow>,
    ) -> rusqlite::Result<Vec<Appended>> {
        let mut waiting = Vec::with_capacity(ROWS_AT_ONCE);
        let appended = rows
            .into_iter()
            .map(|row| {
                let appended = self.take_in(row, &mut waiting)?;
                // What is imported came in elsewhere, and at another time.
                if matches!(appended, Appended::New(_)) {
                    self.count_traffic(TrafficKind::Accepted, &row.delivery);
                }
                Ok::<_, rusqlite::Error>(appended)
            })
            .collect::<Result<_, _>>()?;
        self.inserts.write(&self.connection, &mut waiting)?;
        Ok(appended)
    }

    pub(in crate::sqlite) fn append_one(&mut self, row: &NewRow) -> rusqlite::Result<Appended> {
        let mut waiting = Vec::new();
        let appended = self.take_in(row, &mut waiting)?;
        self.inserts.write(&self.connection, &mut waiting)?;
        Ok(appended)
    }

    /// Counts what was here before. What is new gets its id, and waits to be written together with others.
    fn take_in<'a>(
        &mut self,
        row: &'a NewRow,
        waiting: &mut Vec<(i64, &'a NewRow)>,
    ) -> rusqlite::Result<Appended> {
        if let Some((id, fit)) = self.find_kept(row, waiting)? {
            if row.delivery.source().is_received() {
                self.count_repeat(id, row)?;
                self.count_traffic(TrafficKind::Duplicate, &row.delivery);
            }
            self.link(id, fit, &row.delivery)?;
            return Ok(Appended::Duplicate(self.id(id)));
        }
        let id = to_micros(row.delivery.received_at()).max(self.last_id + 1);
        self.last_id = id;
        self.seen.insert(row.delivery.filed_under(), id);
        self.drift.count(&row.delivery, id);
        if row.delivery.source().is_received() {
            let event_type = row.delivery.label().event_type.as_deref();
            self.recent.add(event_type, id.cast_unsigned());
        }
        waiting.push((id, row));
        if waiting.len() == ROWS_AT_ONCE {
            self.inserts.write(&self.connection, waiting)?;
        }
        Ok(Appended::New(self.id(id)))
    }

    /// The earlier delivery that is the same event. It may be one that still waits to be written.
    fn find_kept(
        &self,
        row: &NewRow,
        waiting: &mut Vec<(i64, &NewRow)>,
    ) -> rusqlite::Result<Option<(i64, Fit)>> {
        if !self.seen.may_know(&row.delivery) {
            return Ok(None);
        }
        self.inserts.write(&self.connection, waiting)?;
        self.seen.find(&self.connection, &row.delivery)
    }

    /// Stores with a delivery what one adds that is the same event.
    pub(in crate::sqlite) fn link(
        &self,
        id: i64,
        fit: Fit,
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

    fn count_repeat(&self, id: i64, row: &NewRow) -> rusqlite::Result<()> {
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

/// The statements that write [`ROWS_AT_ONCE`] deliveries, and one. For a row of many SQLite does half of what it does for a
/// row alone.
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

    /// Writes the rows, and forgets them.
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
        // OR FAIL: should one row not go in, the whole transaction is rolled back, so that SQLite need not be ready to take
        // back this statement alone.
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

    /// As many rows as it is made for.
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

/// Gives the row of that number its values.
fn bind(statement: &mut Statement<'_>, row: usize, values: &[&dyn ToSql]) -> rusqlite::Result<()> {
    let first = row * values.len() + 1;
    for (column, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(first + column, value)?;
    }
    Ok(())
}

/// Few enough that a batch of a dozen gains by it too.
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

    /// However many share a transaction: each has rows of its own, and what came twice has one.
    #[test]
    fn every_number_of_deliveries_is_written_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let (options, now) = (SqliteOptions::default(), SystemTime::now());
        let mut store = Store::open(&path, &options, &HashSet::new(), now).expect("an inbox");
        let mut number = 0;
        for len in 1..=2 * ROWS_AT_ONCE + 2 {
            let mut rows: Vec<_> = (number..number + len).map(row).collect();
            // The same again: of this transaction, where it may still wait to be written, and of the first.
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
                let kept: (Vec<u8>, i64) = store
                    .connection
                    .query_row(
                        "SELECT body, received_at FROM delivery JOIN content USING (id) WHERE id = ?1",
                        [key],
                        |row| Ok((row.get(0)?, row.get(1)?)),
                    )
                    .expect("its rows");
                let expected = to_micros(row.delivery.received_at());
                assert_eq!(kept, (row.delivery.body().to_vec(), expected));
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
