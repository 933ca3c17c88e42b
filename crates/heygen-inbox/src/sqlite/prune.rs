//! One step of pruning: deletes a few of the oldest finished deliveries, or index rows of deleted
//! ones.

use std::collections::HashSet;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::dedup_index::DedupIndex;
use crate::time::to_micros;
use crate::{DeliveryId, PruneReport, PruneStep};

pub(super) fn step(
    connection: &Connection,
    dedup_index: &mut DedupIndex,
    damaged: &HashSet<i64>,
    tag: u32,
    step: &PruneStep,
) -> rusqlite::Result<PruneReport> {
    let after = step.after.map_or(0, |after| after.key().cast_signed());
    let rows = scan(connection, step)?;
    remember_last_id(connection)?;
    let id_of = |key: i64| DeliveryId::new(key.cast_unsigned(), tag);
    let (mut deleted, mut kept) = (0, Vec::new());
    let mut last = after;
    for (id, is_finished) in &rows {
        if deleted == step.limit {
            break;
        }
        last = *id;
        if !is_finished {
            continue;
        }
        if damaged.contains(id) {
            kept.push(id_of(*id));
            continue;
        }
        delete(connection, *id)?;
        deleted += 1;
    }
    let is_end_of_rows =
        rows.len() < scan_limit(step) && rows.last().is_none_or(|(id, _)| *id == last);
    let is_end_of_index = match is_end_of_rows {
        true => dedup_index.prune(connection, first_id(connection)?, INDEX_ROWS)?,
        false => false,
    };
    Ok(PruneReport {
        deleted,
        damaged: kept,
        next: (!is_end_of_rows || !is_end_of_index).then_some(id_of(last)),
        bytes: bytes_in_use(connection)?,
    })
}

/// The next deliveries, and whether each may be deleted.
pub(super) fn scan(
    connection: &Connection,
    step: &PruneStep,
) -> rusqlite::Result<Vec<(i64, bool)>> {
    let (in_range, is_old) = old(connection)?;
    connection
        .prepare_cached(&format!(
            "SELECT id, {IS_FINISHED} AND {is_old} FROM delivery WHERE id > ?1 AND {in_range} ORDER BY id LIMIT ?3"
        ))?
        .query_map(
            params![
                step.after.map_or(0, |after| after.key().cast_signed()),
                to_micros(step.before),
                i64::try_from(scan_limit(step)).unwrap_or(i64::MAX)
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?
        .collect()
}

/// Many unfinished deliveries are skipped in small steps too.
fn scan_limit(step: &PruneStep) -> usize {
    step.limit.saturating_mul(SCANNED_PER_DELETION)
}

/// How many deliveries all steps together delete.
pub(super) fn count(connection: &Connection, before: SystemTime) -> rusqlite::Result<u64> {
    let (in_range, is_old) = old(connection)?;
    let sql = format!(
        "SELECT count(*) FROM delivery WHERE id > ?1 AND {in_range} AND {IS_FINISHED} AND {is_old}"
    );
    let count = connection.query_row(&sql, [0, to_micros(before)], |row| row.get::<_, i64>(0))?;
    Ok(count.cast_unsigned())
}

/// Which deliveries are older than `?2`: those of a range of ids that meet a condition. An id is
/// never below its time, except past the year 2540, where only a wrong clock is. After a clock was
/// ahead, ids stay far above the time, so the time itself decides.
fn old(connection: &Connection) -> rusqlite::Result<(&'static str, &'static str)> {
    Ok(match ids_run_ahead(connection)? {
        false => ("id < ?2", "true"),
        true => ("true", "received_at < ?2"),
    })
}

/// The size of the file without its free pages.
pub(super) fn bytes_in_use(connection: &Connection) -> rusqlite::Result<u64> {
    let ask = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let pages = ask("page_count")? - ask("freelist_count")?;
    Ok((pages * ask("page_size")?).cast_unsigned())
}

/// Whether the newest delivery was received long before the time in its id.
fn ids_run_ahead(connection: &Connection) -> rusqlite::Result<bool> {
    let newest: Option<(i64, i64)> = connection
        .prepare_cached("SELECT id, received_at FROM delivery ORDER BY id DESC LIMIT 1")?
        .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(newest.is_some_and(|(id, received_at)| id - received_at > MAX_CLOCK_LEAD))
}

/// Called before the newest delivery may be deleted: no process may reuse its id or a lower one.
pub(super) fn remember_last_id(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO inbox (name, value) SELECT 'last_id', max(id) FROM delivery HAVING max(id) IS NOT NULL \
             ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        )?
        .execute(())?;
    Ok(())
}

pub(super) fn delete(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    for table in [
        "DELETE FROM attempt WHERE delivery_id = ?1",
        "DELETE FROM repeat WHERE id = ?1",
        "DELETE FROM matched WHERE id = ?1",
        "DELETE FROM signed WHERE id = ?1",
        "DELETE FROM content WHERE id = ?1",
        "DELETE FROM delivery WHERE id = ?1",
    ] {
        connection.prepare_cached(table)?.execute([id])?;
    }
    Ok(())
}

fn first_id(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT coalesce(min(id), 9223372036854775807) FROM delivery")?
        .query_row((), |row| row.get(0))
}

const IS_FINISHED: &str = "state IN ('acknowledged', 'dead_lettered')";

/// A minute, in microseconds: more than the gap that a start leaves. So long a delivery may stay
/// after its time.
const MAX_CLOCK_LEAD: i64 = 60_000_000;

const SCANNED_PER_DELETION: usize = 10;
const INDEX_ROWS: usize = 2000;
