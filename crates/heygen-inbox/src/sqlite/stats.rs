//! [`Stats`]: what an inbox holds, counted in one pass over it.

use std::time::SystemTime;

use rusqlite::Connection;

use super::row;
use crate::time::to_micros;
use crate::{AttemptResult, Source, State};

/// What an inbox holds, by several criteria. Counting goes through all of it once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// How many deliveries there are of each event name, state and source that occurs; `None` for bodies that could not be
    /// read as an event.
    pub groups: Vec<StatsGroup>,
    /// How the handings-out ended that began at the asked time or later.
    pub attempts: Vec<(AttemptResult, u64)>,
}

/// How many deliveries have these three in common.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StatsGroup {
    /// The event name; `None` when the body could not be read as an event.
    pub event_type: Option<String>,
    /// How far the handing-out is.
    pub state: State,
    /// Which way they came in.
    pub source: Source,
    /// How many.
    pub count: u64,
}

pub(super) fn stats(
    connection: &Connection,
    attempts_since: SystemTime,
) -> rusqlite::Result<Stats> {
    let groups = connection
        .prepare("SELECT event_type, state, source, count(*) FROM delivery GROUP BY 1, 2, 3")?
        .query_map((), |found| {
            Ok(StatsGroup {
                event_type: found.get(0)?,
                state: row::state(found, 1)?,
                source: row::source(found, 2)?,
                count: found.get::<_, i64>(3)?.cast_unsigned(),
            })
        })?
        .collect::<Result<_, _>>()?;
    let attempts = connection
        .prepare("SELECT result, count(*) FROM attempt WHERE started_at >= ?1 GROUP BY 1")?
        .query_map([to_micros(attempts_since)], |found| {
            Ok((
                row::attempt_result(found, 0)?,
                found.get::<_, i64>(1)?.cast_unsigned(),
            ))
        })?
        .collect::<Result<_, _>>()?;
    Ok(Stats { groups, attempts })
}
