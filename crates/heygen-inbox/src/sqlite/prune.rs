//! One step of pruning: a few of the oldest finished deliveries, and of the index rows that only told of such.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::dedup_index::Seen;
use crate::time::to_micros;
use crate::{DeliveryId, PruneReport, PruneStep};

pub(super) fn step(
    connection: &Connection,
    seen: &mut Seen,
    tag: u32,
    step: &PruneStep,
) -> rusqlite::Result<PruneReport> {
    let after = step.after.map_or(0, |after| after.key().cast_signed());
    // A long row of what is not finished is passed over in small steps too.
    let look_at = step.limit.saturating_mul(LOOKED_AT_FOR_ONE);
    // Ids are never below the time. After a clock that was ahead they are far above it for long, and the time itself decides.
    let sql = match ids_run_ahead(connection)? {
        false => {
            "SELECT id, state IN ('acknowledged', 'dead_lettered') FROM delivery WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3"
        }
        true => {
            "SELECT id, state IN ('acknowledged', 'dead_lettered') AND received_at < ?2 FROM delivery WHERE id > ?1 ORDER BY id LIMIT ?3"
        }
    };
    let rows: Vec<(i64, bool)> = connection
        .prepare_cached(sql)?
        .query_map(
            params![
                after,
                to_micros(step.before),
                i64::try_from(look_at).unwrap_or(i64::MAX)
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?
        .collect::<Result<_, _>>()?;
    remember_last_id(connection)?;
    let mut deleted = 0;
    let mut last = after;
    for (id, is_finished) in &rows {
        if deleted == step.limit {
            break;
        }
        last = *id;
        if *is_finished {
            delete(connection, *id)?;
            deleted += 1;
        }
    }
    let is_end_of_rows = rows.len() < look_at && rows.last().is_none_or(|(id, _)| *id == last);
    let is_end_of_index = match is_end_of_rows {
        true => seen.prune(connection, first_id(connection)?, INDEX_ROWS)?,
        false => false,
    };
    let next = DeliveryId::new(last.cast_unsigned(), tag);
    Ok(PruneReport {
        deleted,
        next: (!is_end_of_rows || !is_end_of_index).then_some(next),
        bytes: bytes_in_use(connection)?,
    })
}

/// What the file holds, without the pages that wait to be used again.
pub(super) fn bytes_in_use(connection: &Connection) -> rusqlite::Result<u64> {
    let ask = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let pages = ask("page_count")? - ask("freelist_count")?;
    Ok((pages * ask("page_size")?).cast_unsigned())
}

/// Whether the newest delivery came in long before what its id says.
fn ids_run_ahead(connection: &Connection) -> rusqlite::Result<bool> {
    let newest: Option<(i64, i64)> = connection
        .prepare_cached("SELECT id, received_at FROM delivery ORDER BY id DESC LIMIT 1")?
        .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(newest.is_some_and(|(id, received_at)| id - received_at > AHEAD))
}

/// Should the newest delivery be deleted: no one may write below it.
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

/// An hour, in microseconds.
const AHEAD: i64 = 3_600_000_000;

const LOOKED_AT_FOR_ONE: usize = 10;
const INDEX_ROWS: usize = 2000;
