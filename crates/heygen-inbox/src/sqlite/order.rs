//! In which order deliveries are claimed: those of one subject one at a time, where that is asked for.
//!
//! Order is kept within one source, which says what vouches for a delivery: who holds a callback token can name any subject, and
//! would else hold up what HeyGen signed about it.
//!
//! One that has to wait is set aside when it is met: its time becomes [`WAITS`], so that nobody meets it again until the one
//! before it has ended, which lets it go. So each is set aside once at the most, however many wait. Finding out who is before
//! whom takes an index whose writes are not at its end; it exists only while this order is in use.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Order, Source};

/// What is to be claimed.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) ids: Vec<i64>,
    /// Nothing else is due now.
    pub(super) is_all: bool,
}

impl Due {
    /// Whatever is due, the longest due first.
    pub(super) fn all(connection: &Connection, limit: usize, now: i64) -> rusqlite::Result<Self> {
        let ids: Vec<i64> = connection
            .prepare_cached(
                "SELECT id FROM delivery WHERE state = 'pending' AND due_at <= ?1 ORDER BY due_at, id LIMIT ?2",
            )?
            .query_map([now, as_limit(limit)], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let is_all = ids.len() < limit;
        Ok(Self { ids, is_all })
    }
}

/// The order that the file is prepared for.
pub(super) fn found(connection: &Connection) -> rusqlite::Result<Order> {
    let index: Option<i64> = connection
        .prepare_cached(
            "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = 'delivery_subject'",
        )?
        .query_row((), |row| row.get(0))
        .optional()?;
    Ok(match index {
        Some(_) => Order::Subject,
        None => Order::Due,
    })
}

pub(super) fn prepare(connection: &Connection, order: Order) -> rusqlite::Result<()> {
    match order {
        Order::Subject => connection.execute_batch(
            "CREATE INDEX delivery_subject ON delivery (subject_id, source, id) WHERE state IN ('pending', 'claimed')",
        ),
        Order::Due => end(connection),
    }
}

/// Ends the order of a version that kept it across sources: what was set aside then may wait for a delivery of another source,
/// whose end no longer lets it go.
pub(super) fn upgrade(connection: &Connection) -> rusqlite::Result<()> {
    let is_outdated: Option<i64> = connection
        .prepare_cached(
            "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = 'delivery_subject' AND sql NOT LIKE '%source%'",
        )?
        .query_row((), |row| row.get(0))
        .optional()?;
    match is_outdated {
        Some(_) => end(connection),
        None => Ok(()),
    }
}

fn end(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE delivery SET due_at = received_at WHERE state = 'pending' AND due_at = ?1",
        [WAITS],
    )?;
    connection.execute_batch("DROP INDEX delivery_subject")
}

/// What is due and has nothing of its subject and source before it; what has is set aside.
pub(super) fn due(connection: &Connection, limit: usize, now: i64) -> rusqlite::Result<Due> {
    let mut due = Due::default();
    let mut subjects = Vec::new();
    let mut looked_at = 0;
    while due.ids.len() < limit && looked_at < LOOK_AT {
        // Those taken already are pending still, and stand before all others.
        let candidates: Vec<(i64, Option<String>, String)> = connection
            .prepare_cached(
                "SELECT id, subject_id, source FROM delivery WHERE state = 'pending' AND due_at <= ?1 ORDER BY due_at, id \
                 LIMIT ?2 OFFSET ?3",
            )?
            .query_map(
                [now, as_limit(limit - due.ids.len()), as_limit(due.ids.len())],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?
            .collect::<Result<_, _>>()?;
        if candidates.is_empty() {
            due.is_all = true;
            break;
        }
        looked_at += candidates.len();
        for (id, subject_id, source) in candidates {
            let subject = subject_id.map(|subject_id| (subject_id, source));
            let has_to_wait = match &subject {
                None => false,
                Some(subject) => subjects.contains(subject) || is_behind(connection, id, subject)?,
            };
            if has_to_wait {
                connection
                    .prepare_cached("UPDATE delivery SET due_at = ?2 WHERE id = ?1")?
                    .execute([id, WAITS])?;
            } else {
                due.ids.push(id);
                subjects.extend(subject);
            }
        }
    }
    Ok(due)
}

/// Lets the next of the subject go, now that this one has ended. The first of every source, and not of its own alone: the source of
/// what waited behind it may have become another meanwhile.
pub(super) fn release_next(connection: &Connection, ended: i64, now: i64) -> rusqlite::Result<()> {
    let mut release = connection.prepare_cached(
        "UPDATE delivery SET due_at = ?2 WHERE state = 'pending' AND due_at = ?3 AND id = \
         (SELECT id FROM delivery WHERE subject_id = (SELECT subject_id FROM delivery WHERE id = ?1) AND source = ?4 \
          AND state IN ('pending', 'claimed') ORDER BY id LIMIT 1)",
    )?;
    for source in Source::ALL {
        release.execute(params![ended, now, WAITS, source.as_str()])?;
    }
    Ok(())
}

/// Whether another of the subject and source is being handled, or is older and not ended.
fn is_behind(
    connection: &Connection,
    id: i64,
    (subject_id, source): &(String, String),
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM delivery WHERE subject_id = ?2 AND source = ?3 AND id < ?1 \
                            AND state IN ('pending', 'claimed')) \
             OR EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_claimed WHERE +subject_id = ?2 AND source = ?3 AND id > ?1 \
                        AND state = 'claimed')",
        )?
        .query_row(params![id, subject_id, source], |row| row.get(0))
}

fn as_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The time of what waits for another: none.
pub(super) const WAITS: i64 = i64::MAX;

/// How many are looked at in one transaction, so that appends do not wait for a long row of one subject.
const LOOK_AT: usize = 1000;
