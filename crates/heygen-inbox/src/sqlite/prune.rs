//! One step of pruning: a few of the oldest finished deliveries, and of the index rows that only told of such.

use rusqlite::{Connection, params};

use super::seen::Seen;
use crate::time::to_micros;
use crate::{DeliveryId, Prune, Pruned};

pub(super) fn step(
    connection: &Connection,
    seen: &mut Seen,
    tag: u32,
    step: &Prune,
) -> rusqlite::Result<Pruned> {
    let after = step.after.map_or(0, |after| after.key().cast_signed());
    // A long row of what is not finished is passed over in small steps too.
    let look_at = step.limit.saturating_mul(LOOKED_AT_FOR_ONE);
    let rows: Vec<(i64, bool)> = connection
        .prepare_cached(
            "SELECT id, state IN ('done', 'dead') FROM delivery WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3",
        )?
        .query_map(
            params![
                after,
                to_micros(step.before),
                i64::try_from(look_at).unwrap_or(i64::MAX)
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?
        .collect::<Result<_, _>>()?;
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
    Ok(Pruned {
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

fn delete(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    for table in [
        "DELETE FROM attempt WHERE delivery_id = ?1",
        "DELETE FROM repeat WHERE id = ?1",
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

const LOOKED_AT_FOR_ONE: usize = 10;
const INDEX_ROWS: usize = 2000;
