//! [`TrafficTally`]: counts deliveries and failed attempts, one row for each minute and hour, kind
//! and event.

use std::collections::BTreeMap;
use std::time::SystemTime;

use rusqlite::{Connection, params};

use crate::time::{from_micros, to_micros};
use crate::{TrafficCount, TrafficKind, TrafficUnit};

/// The counts that the open transaction adds.
#[derive(Debug, Default)]
pub(super) struct TrafficTally {
    /// By minute and kind, and then by event.
    counts: BTreeMap<(i64, TrafficKind), BTreeMap<String, i64>>,
    /// The hour of the last write; `None` before the first.
    hour: Option<i64>,
}

impl TrafficTally {
    pub(super) fn count(&mut self, at: SystemTime, kind: TrafficKind, event_type: Option<&str>) {
        let minute = to_micros(TrafficUnit::Minute.start_of(at));
        let event_type = event_type.unwrap_or_default();
        let counts = self.counts.entry((minute, kind)).or_default();
        match counts.get_mut(event_type) {
            Some(count) => *count += 1,
            None => drop(counts.insert(event_type.to_owned(), 1)),
        }
    }

    /// Writes the counts within the open transaction.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        while let Some(((minute, kind), counts)) = self.counts.pop_first() {
            let hour = minute - minute.rem_euclid(HOUR);
            let last = match self.hour {
                Some(last) => last,
                None => newest_hour(connection)?,
            };
            for (event_type, count) in &counts {
                add(connection, MINUTE, minute, kind, event_type, *count)?;
                add(connection, HOUR, hour, kind, event_type, *count)?;
            }
            self.hour = Some(hour);
            // After a leap of the clock, one of its times is wrong: that must not delete the
            // history.
            if (1..=MAX_LEAP).contains(&(hour - last)) {
                delete_old(connection, hour)?;
            }
        }
        Ok(())
    }

    pub(super) fn rolled_back(&mut self) {
        self.counts.clear();
    }
}

/// Adds to a row, or inserts one. Past [`MAX_ROWS`] of one minute or hour new names are counted
/// together: a sender of ever new names must not fill the file.
fn add(
    connection: &Connection,
    span: i64,
    at: i64,
    kind: TrafficKind,
    event_type: &str,
    count: i64,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO traffic (span, at, kind, event_type, count) SELECT ?1, ?2, ?3, ?4, ?5 \
         WHERE EXISTS (SELECT 1 FROM traffic WHERE span = ?1 AND at = ?2 AND kind = ?3 AND event_type = ?4) \
         OR (SELECT count(*) FROM traffic WHERE span = ?1 AND at = ?2) < ?6 \
         ON CONFLICT DO UPDATE SET count = count + excluded.count",
    )?;
    let mut add = |name: &str, max_rows: i64| {
        let (span, kind) = (span / SECOND, kind.as_str());
        statement.execute(params![span, at, kind, name, count, max_rows])
    };
    if add(
        heygen_events::text::truncated(event_type, MAX_NAME),
        MAX_ROWS,
    )? == 0
    {
        add(OTHERS, i64::MAX)?;
    }
    Ok(())
}

fn newest_hour(connection: &Connection) -> rusqlite::Result<i64> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(at) FROM traffic WHERE span = ?1")?
        .query_row([HOUR / SECOND], |row| row.get(0))?;
    Ok(newest.unwrap_or_default())
}

/// Once an hour, deletes counts that are too old to be shown.
fn delete_old(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    for (span, kept) in [(MINUTE, 2 * HOUR), (HOUR, 32 * 24 * HOUR)] {
        connection
            .prepare_cached("DELETE FROM traffic WHERE span = ?1 AND at < ?2")?
            .execute([span / SECOND, now - kept])?;
    }
    Ok(())
}

/// The counts since a time, the oldest first.
pub(super) fn list(
    connection: &Connection,
    since: SystemTime,
    unit: TrafficUnit,
) -> rusqlite::Result<Vec<TrafficCount>> {
    connection
        .prepare_cached(
            "SELECT at, kind, event_type, count FROM traffic WHERE span = ?1 AND at >= ?2 ORDER BY at, kind, event_type",
        )?
        .query_map([unit.span(), to_micros(unit.start_of(since))], |row| {
            let kind = row.get_ref(1)?.as_str()?.parse::<TrafficKind>();
            let name: String = row.get(2)?;
            let count = row.get::<_, i64>(3)?.cast_unsigned();
            let at = from_micros(row.get(0)?);
            Ok(kind.ok().map(|kind| {
                TrafficCount::new(at, kind, Some(name).filter(|name| !name.is_empty()), count)
            }))
        })?
        // A later version may count other kinds.
        .filter_map(Result::transpose)
        .collect()
}

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const MAX_LEAP: i64 = 7 * 24 * HOUR;
const MAX_ROWS: i64 = 300;
const MAX_NAME: usize = 120;
const OTHERS: &str = "(others)";
