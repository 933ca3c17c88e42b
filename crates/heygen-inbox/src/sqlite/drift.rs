//! [`DriftTally`]: counts in what events differ from what this version knows, a row for each thing.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::time::{from_micros, to_micros};
use crate::{DeliveryId, Drift, DriftCount, NewDelivery};

/// What the transaction under way adds.
#[derive(Debug, Default)]
pub(super) struct DriftTally {
    counted: BTreeMap<Drift, Counted>,
}

#[derive(Debug)]
struct Counted {
    count: i64,
    first_at: i64,
    last_at: i64,
    example: i64,
}

impl DriftTally {
    pub(super) fn count(&mut self, delivery: &NewDelivery, id: i64) {
        let at = to_micros(delivery.received_at());
        for drift in delivery.drift() {
            if let Some(counted) = self.counted.get_mut(drift) {
                counted.count += 1;
                counted.last_at = at;
                continue;
            }
            let counted = Counted {
                count: 1,
                first_at: at,
                last_at: at,
                example: id,
            };
            self.counted.insert(drift.clone(), counted);
        }
    }

    /// Writes it with the rest of the transaction. Should that come to nothing, so does this.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        while let Some((drift, counted)) = self.counted.pop_first() {
            if add(connection, &drift, &counted)? {
                continue;
            }
            let rows: i64 =
                connection.query_row("SELECT count(*) FROM drift", (), |row| row.get(0))?;
            let others = Drift::and_others(drift.kind);
            match rows < MAX_ROWS {
                true => insert(connection, &drift, &counted)?,
                false if add(connection, &others, &counted)? => {}
                false => insert(connection, &others, &counted)?,
            }
        }
        Ok(())
    }

    pub(super) fn rolled_back(&mut self) {
        self.counted.clear();
    }
}

/// Everything that was counted, what came in last first.
pub(super) fn list(connection: &Connection, tag: u32) -> rusqlite::Result<Vec<DriftCount>> {
    connection
        .prepare_cached(
            "SELECT kind, event_type, name, count, first_at, last_at, example FROM drift \
             ORDER BY last_at DESC, kind, event_type, name",
        )?
        .query_map((), |row| {
            let kind = super::row::drift_kind(row, 0)?;
            Ok(DriftCount {
                drift: Drift::from_parts(kind, row.get(1)?, row.get(2)?),
                count: row.get::<_, i64>(3)?.cast_unsigned(),
                first_at: from_micros(row.get(4)?),
                last_at: from_micros(row.get(5)?),
                example: DeliveryId::new(row.get::<_, i64>(6)?.cast_unsigned(), tag),
            })
        })?
        .collect()
}

/// Whether there was a row to add to.
fn add(connection: &Connection, drift: &Drift, counted: &Counted) -> rusqlite::Result<bool> {
    let rows = connection
        .prepare_cached(
            "UPDATE drift SET count = count + ?4, last_at = max(last_at, ?5) \
             WHERE kind = ?1 AND event_type = ?2 AND name = ?3",
        )?
        .execute(params![
            drift.kind.as_str(),
            drift.event_type,
            drift.name,
            counted.count,
            counted.last_at
        ])?;
    Ok(rows > 0)
}

fn insert(connection: &Connection, drift: &Drift, counted: &Counted) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO drift (kind, event_type, name, count, first_at, last_at, example) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            drift.kind.as_str(),
            drift.event_type,
            drift.name,
            counted.count,
            counted.first_at,
            counted.last_at,
            counted.example
        ])?;
    Ok(())
}

/// Past this many names, new ones are counted together: a sender of ever new ones must not fill the file.
const MAX_ROWS: i64 = 1000;
