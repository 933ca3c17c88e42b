//! What the file holds when it is opened, and what an ended process left in it.

use std::collections::HashSet;
use std::path::Path;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::claim::{INSERT_ATTEMPT, retime};
use super::data_version;
use crate::sqlite::file::cannot;
use crate::sqlite::order;
use crate::sqlite::seen::Seen;
use crate::time::to_micros;
use crate::{AttemptResult, DeliveryId, InboxError, InboxErrorKind, Order};

/// What one transaction found in the file.
pub(super) struct Found {
    pub(super) seen: Seen,
    pub(super) last_id: i64,
    pub(super) data_version: i64,
}

impl Found {
    pub(super) fn of(connection: &Connection, seen: Seen) -> rusqlite::Result<Self> {
        Ok(Self {
            seen,
            last_id: last_id(connection)?,
            data_version: data_version(connection)?,
        })
    }
}

/// The tag of every id of this inbox; `None` in a file made a moment ago.
pub(in crate::sqlite) fn read_tag(connection: &Connection) -> rusqlite::Result<Option<u32>> {
    connection
        .query_row("SELECT value FROM inbox WHERE name = 'tag'", (), |row| {
            row.get(0)
        })
        .optional()
}

pub(super) fn make_tag(connection: &Connection, path: &Path) -> Result<u32, InboxError> {
    let random = getrandom::u32().map_err(|error| {
        InboxError::new(
            InboxErrorKind::Storage,
            "the system gives no random numbers",
        )
        .with_source(error)
    })?;
    let tag = DeliveryId::new(0, random).tag();
    connection
        .execute("INSERT INTO inbox (name, value) VALUES ('tag', ?1)", [tag])
        .map_err(|error| cannot("prepare", path, error))?;
    Ok(tag)
}

/// Ends the attempts that died with the last process, and reads what was seen.
pub(super) fn take_up(
    connection: &mut Connection,
    run_len: usize,
    in_hand: &HashSet<i64>,
    now: SystemTime,
) -> rusqlite::Result<Found> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let interrupted: Vec<(i64, u32, i64)> = transaction
        .prepare("SELECT id, attempts, coalesce(claimed_at, received_at) FROM delivery WHERE state = 'claimed'")?
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let interrupted = interrupted
        .into_iter()
        .filter(|(id, ..)| !in_hand.contains(id));
    order::upgrade(&transaction)?;
    let order = order::found(&transaction)?;
    for (id, attempt, started_at) in interrupted {
        let result = AttemptResult::Interrupted.as_str();
        transaction.execute(
            INSERT_ATTEMPT,
            params![id, attempt, started_at, 0, result, None::<&str>],
        )?;
        transaction.execute(
            "UPDATE delivery SET state = 'pending', due_at = ?2, claimed_at = NULL, uncounted = uncounted + 1 WHERE id = ?1",
            // When it was claimed, and not now: this process's clock may be ahead.
            params![id, started_at],
        )?;
        if order == Order::Subject {
            order::release_next(&transaction, id, to_micros(now))?;
        }
    }
    if last_id(&transaction)? > to_micros(now) {
        retime(&transaction, to_micros(now))?;
    }
    let seen = Seen::load(&transaction, run_len)?;
    let found = Found::of(&transaction, seen)?;
    transaction.commit()?;
    Ok(found)
}

/// The newest id there ever was, also when its delivery has been pruned: what is written below it would be overlooked by
/// others who have the file open.
pub(super) fn last_id(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "SELECT max(coalesce((SELECT max(id) FROM delivery), 0), \
                        coalesce((SELECT value FROM inbox WHERE name = 'last_id'), 0))",
        )?
        .query_row((), |row| row.get(0))
}
