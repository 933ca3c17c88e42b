//! How many requests were rejected over time, also those that made room for others or were too many to be recorded.

use std::collections::BTreeMap;
use std::time::SystemTime;

use rusqlite::{Connection, params};

use crate::TrafficUnit;
use crate::time::{from_micros, to_micros};

/// Adds these to the counts of their minutes and hours, and forgets what is too old to be shown.
pub(super) fn add(
    connection: &Connection,
    rejected: impl IntoIterator<Item = (SystemTime, u64)>,
) -> rusqlite::Result<()> {
    let mut counts = BTreeMap::<_, u64>::new();
    for (at, count) in rejected {
        for unit in [TrafficUnit::Minute, TrafficUnit::Hour] {
            *counts
                .entry((unit.span(), to_micros(unit.start_of(at))))
                .or_default() += count;
        }
    }
    for ((span, at), count) in counts {
        connection
            .prepare_cached(
                "INSERT INTO traffic (span, at, count) VALUES (?1, ?2, ?3) \
                 ON CONFLICT DO UPDATE SET count = count + excluded.count",
            )?
            .execute(params![span, at, count.cast_signed()])?;
        // As many rows as a chart has bars, and some more: a clock that leaps deletes few.
        connection
            .prepare_cached(
                "DELETE FROM traffic WHERE span = ?1 AND at NOT IN (SELECT at FROM traffic WHERE span = ?1 ORDER BY at DESC LIMIT ?2)",
            )?
            .execute(params![span, MAX_ROWS])?;
    }
    Ok(())
}

/// What was counted since a time, the oldest first.
pub(super) fn list(
    connection: &Connection,
    since: SystemTime,
    unit: TrafficUnit,
) -> rusqlite::Result<Vec<(SystemTime, u64)>> {
    connection
        .prepare_cached("SELECT at, count FROM traffic WHERE span = ?1 AND at >= ?2 ORDER BY at")?
        .query_map([unit.span(), to_micros(unit.start_of(since))], |row| {
            Ok((
                from_micros(row.get(0)?),
                row.get::<_, i64>(1)?.cast_unsigned(),
            ))
        })?
        .collect()
}

/// More than the hours of 31 days.
const MAX_ROWS: i64 = 800;
