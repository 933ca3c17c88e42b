//! Counts deliveries and attempts in one pass over the inbox.

use std::time::SystemTime;

use rusqlite::Connection;

use super::row;
use crate::time::to_micros;
use crate::{Stats, StatsGroup};

pub(super) fn stats(
    connection: &Connection,
    attempts_since: SystemTime,
) -> rusqlite::Result<Stats> {
    let groups = connection
        .prepare("SELECT event_type, state, source, count(*) FROM delivery GROUP BY 1, 2, 3")?
        .query_map((), |found| {
            Ok(StatsGroup {
                event_type: found.get(0)?,
                state: row::named(found, 1)?,
                source: row::named(found, 2)?,
                count: found.get::<_, i64>(3)?.cast_unsigned(),
            })
        })?
        .collect::<Result<_, _>>()?;
    let attempts = connection
        .prepare("SELECT result, count(*) FROM attempt WHERE started_at >= ?1 GROUP BY 1")?
        .query_map([to_micros(attempts_since)], |found| {
            Ok((
                row::named(found, 0)?,
                found.get::<_, i64>(1)?.cast_unsigned(),
            ))
        })?
        .collect::<Result<_, _>>()?;
    Ok(Stats { groups, attempts })
}
