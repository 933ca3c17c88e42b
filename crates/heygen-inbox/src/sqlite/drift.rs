//! [`DriftTally`]: counts how events differ from what this version knows, one row for each
//! difference.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::time::{from_micros, to_micros};
use crate::{DeliveryId, Drift, DriftCount, NewDelivery};

/// The counts that the open transaction adds.
#[derive(Debug, Default)]
pub(super) struct DriftTally {
    counts: BTreeMap<Drift, Counted>,
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
            if let Some(counts) = self.counts.get_mut(drift) {
                counts.count += 1;
                counts.last_at = at;
                continue;
            }
            let counts = Counted {
                count: 1,
                first_at: at,
                last_at: at,
                example: id,
            };
            self.counts.insert(drift.clone(), counts);
        }
    }

    /// Writes the counts within the open transaction.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        while let Some((drift, counts)) = self.counts.pop_first() {
            if !add(connection, &drift, &counts, MAX_ROWS)? {
                let others = Drift::and_others(drift.kind);
                add(connection, &others, &counts, i64::MAX)?;
            }
        }
        Ok(())
    }

    pub(super) fn rolled_back(&mut self) {
        self.counts.clear();
    }
}

/// All counts, the last seen first.
pub(super) fn list(connection: &Connection, tag: u32) -> rusqlite::Result<Vec<DriftCount>> {
    connection
        .prepare_cached(
            "SELECT kind, event_type, name, count, first_at, last_at, example FROM drift \
             ORDER BY last_at DESC, kind, event_type, name",
        )?
        .query_map((), |row| {
            Ok(DriftCount {
                drift: Drift {
                    kind: super::row::named(row, 0)?,
                    event_type: row.get(1)?,
                    name: row.get(2)?,
                },
                count: row.get::<_, i64>(3)?.cast_unsigned(),
                first_at: from_micros(row.get(4)?),
                last_at: from_micros(row.get(5)?),
                example: DeliveryId::new(row.get::<_, i64>(6)?.cast_unsigned(), tag),
            })
        })?
        .collect()
}

/// Adds to a row, or inserts one while there are less than `max_rows`; whether it did.
fn add(
    connection: &Connection,
    drift: &Drift,
    counts: &Counted,
    max_rows: i64,
) -> rusqlite::Result<bool> {
    let rows = connection
        .prepare_cached(
            "INSERT INTO drift (kind, event_type, name, count, first_at, last_at, example) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 \
             WHERE EXISTS (SELECT 1 FROM drift WHERE kind = ?1 AND event_type = ?2 AND name = ?3) \
             OR (SELECT count(*) FROM drift) < ?8 \
             ON CONFLICT DO UPDATE SET count = count + excluded.count, last_at = max(last_at, excluded.last_at)",
        )?
        .execute(params![
            drift.kind.as_str(),
            drift.event_type,
            drift.name,
            counts.count,
            counts.first_at,
            counts.last_at,
            counts.example,
            max_rows
        ])?;
    Ok(rows > 0)
}

/// Past so many rows new names are counted together: a sender of ever new names must not fill the
/// file.
const MAX_ROWS: i64 = 1000;
