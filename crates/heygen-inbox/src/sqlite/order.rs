//! Selects deliveries that are due, the longest due first; with [`DispatchOrder::PerSubject`] one
//! of each subject at a time.
//!
//! Order holds within one source: the holder of a callback token can name any subject, and must not
//! delay what HeyGen signed about it.
//!
//! A delivery that has to wait for a predecessor of its subject is blocked when a scan finds it:
//! its due time becomes [`BLOCKED`], and the completion of its predecessor unblocks it. So each is
//! blocked at most once, however many wait. Finding predecessors takes an index with writes in its
//! middle, which exists only while this order is in use.
//!
//! As long as each destination has room for what is due first, the index by due time is enough.
//! Once many deliveries are skipped because their destination is full, an index by event type is
//! created; it is dropped when there is only one destination.

use std::collections::BTreeSet;
use std::mem;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::recent::Recent;
use crate::claim::{RoomLeft, Turn};
use crate::{ClaimRequest, DispatchOrder, Source};

/// A delivery that is due.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct DueDelivery {
    due_at: i64,
    pub(super) id: i64,
    event_type: Option<String>,
    /// Subject and source: order holds within one pair of them.
    subject: Option<(String, String)>,
}

/// What a claim takes.
#[derive(Debug, Default)]
pub(super) struct Selection {
    pub(super) deliveries: Vec<DueDelivery>,
    /// Nothing else that is due now would find room.
    pub(super) is_all: bool,
}

/// Where the last claim stopped among the event types. Each turn has a position of its own, since
/// both may stop in one claim.
#[derive(Debug, Default)]
pub(super) struct TypePosition {
    /// The name to go on after; empty at the beginning.
    after: String,
    /// Destinations without room for all that this round has passed. If one has room at the end,
    /// there may be more for it.
    passed: BTreeSet<usize>,
}

/// The order that the file has an index for.
pub(super) fn current(connection: &Connection) -> rusqlite::Result<DispatchOrder> {
    Ok(match index(connection, "delivery_subject")? {
        Some(_) => DispatchOrder::PerSubject,
        None => DispatchOrder::Unordered,
    })
}

pub(super) fn prepare(connection: &Connection, order: DispatchOrder) -> rusqlite::Result<()> {
    match order {
        DispatchOrder::PerSubject => connection.execute_batch(
            "CREATE INDEX delivery_subject ON delivery (subject_id, source, id) WHERE state IN ('pending', 'claimed')",
        ),
        DispatchOrder::Unordered => drop_subject_index(connection),
    }
}

/// Drops the index of a version whose order held across sources: a delivery blocked then may wait
/// for one of another source, whose completion no longer unblocks it.
pub(super) fn upgrade(connection: &Connection) -> rusqlite::Result<()> {
    match index(connection, "delivery_subject")? {
        Some(sql) if !sql.contains("source") => drop_subject_index(connection),
        Some(_) | None => Ok(()),
    }
}

fn drop_subject_index(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE delivery SET due_at = received_at WHERE state = 'pending' AND due_at = ?1",
        [BLOCKED],
    )?;
    connection.execute_batch("DROP INDEX delivery_subject")
}

/// Whether there is an index by event type.
pub(super) fn has_event_index(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(index(connection, "delivery_event")?.is_some())
}

/// The SQL of an index, if the file has it.
fn index(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub(super) fn drop_event_index(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("DROP INDEX IF EXISTS delivery_event")
}

/// Selects for one turn of a claim.
pub(super) struct Selector<'a> {
    pub(super) connection: &'a Connection,
    pub(super) request: &'a ClaimRequest,
    pub(super) turn: Turn,
    pub(super) now: i64,
    /// The live deliveries, which have a turn of their own.
    pub(super) recent: &'a Recent,
}

impl Selector<'_> {
    /// Takes the room of what it selects from `left`.
    pub(super) fn select(
        &self,
        left: &mut RoomLeft,
        position: &mut TypePosition,
    ) -> rusqlite::Result<Selection> {
        let mut selection = Selection::default();
        if left.total(self.turn) == 0 {
            selection.is_all = true;
            return Ok(selection);
        }
        let (mut scanned, mut skipped) = (0, 0);
        let is_end = self.scan(None, |delivery| {
            scanned += 1;
            let destination = self.request.destination(delivery.event_type.as_deref());
            if left.in_turn(destination, self.turn) == 0 {
                skipped += cost(delivery.event_type.as_deref());
            } else if self.is_selectable(&delivery, &selection)? {
                left.take(destination, false);
                selection.deliveries.push(delivery);
            }
            let has_room = left.total(self.turn) > 0;
            Ok(has_room && scanned < MAX_SCANNED && skipped < MAX_SKIPPED)
        })?;
        selection.is_all = is_end || left.total(self.turn) == 0;
        match selection.is_all || scanned >= MAX_SCANNED {
            true => Ok(selection),
            false => self.select_by_type(left, selection, position),
        }
    }

    /// Goes by event type, which skips deliveries without room. The types are a sender's choice, as
    /// many and as long as it likes: this looks at some, and the next claim goes on from there.
    fn select_by_type(
        &self,
        left: &mut RoomLeft,
        mut selection: Selection,
        position: &mut TypePosition,
    ) -> rusqlite::Result<Selection> {
        self.connection.execute_batch(
            "CREATE INDEX IF NOT EXISTS delivery_event ON delivery (event_type, due_at, id) WHERE state = 'pending'",
        )?;
        let mut found = Vec::new();
        let mut scanned = 0;
        let mut unnamed = [None, Some(String::new())].into_iter();
        let mut after = mem::take(&mut position.after);
        let is_end = loop {
            let (event_type, before) = match unnamed.next() {
                Some(unnamed) => (unnamed, None),
                None => match self.event_type_after(&after)? {
                    Some(next) => {
                        let before = mem::replace(&mut after, next.clone());
                        (Some(next), Some(before))
                    }
                    None => break true,
                },
            };
            scanned += cost(event_type.as_deref());
            let destination = self.request.destination(event_type.as_deref());
            let mut wanted = left.in_turn(destination, self.turn);
            let mut is_inside = false;
            if wanted == 0 {
                position.passed.insert(destination);
            } else {
                let is_end = self.scan(Some(event_type.as_deref()), |delivery| {
                    scanned += cost(delivery.event_type.as_deref());
                    let mut selected = selection.deliveries.iter();
                    if !selected.any(|other| other.id == delivery.id) {
                        // Whether it is blocked is checked later, in due order.
                        wanted -= usize::from(self.request.order == DispatchOrder::Unordered);
                        found.push((delivery, destination));
                    }
                    Ok(wanted > 0 && scanned < MAX_SCANNED)
                })?;
                is_inside = !is_end && wanted > 0;
            }
            if scanned >= MAX_SCANNED {
                position.after = match before {
                    Some(before) if is_inside => before,
                    Some(_) | None => after,
                };
                break false;
            }
        };
        found.sort_unstable();
        let destinations: BTreeSet<usize> = found.iter().map(|(_, to)| *to).collect();
        for (delivery, destination) in found {
            if left.in_turn(destination, self.turn) > 0
                && self.is_selectable(&delivery, &selection)?
            {
                left.take(destination, false);
                selection.deliveries.push(delivery);
            }
        }
        let has_room = |to: &usize| left.in_turn(*to, self.turn) > 0;
        let used_up = destinations.into_iter().filter(|to| !has_room(to));
        position.passed.extend(used_up);
        if is_end {
            selection.is_all = !mem::take(&mut position.passed).iter().any(has_room);
        }
        Ok(selection)
    }

    /// Passes the due deliveries of this turn, of one event type or of all, to `each` until that
    /// returns false. Returns whether it has seen all of them.
    fn scan(
        &self,
        event_type: Option<Option<&str>>,
        mut each: impl FnMut(DueDelivery) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<bool> {
        let mut after = (i64::MIN, i64::MIN);
        loop {
            let batch = self.batch(event_type, after)?;
            let is_last = batch.len() < BATCH;
            for delivery in batch {
                after = (delivery.due_at, delivery.id);
                let is_of_other_turn =
                    self.turn != Turn::Unordered && self.recent.contains(delivery.id);
                if !is_of_other_turn && !each(delivery)? {
                    return Ok(false);
                }
            }
            if is_last {
                return Ok(true);
            }
        }
    }

    /// The next event type of pending deliveries in the order of their names.
    fn event_type_after(&self, name: &str) -> rusqlite::Result<Option<String>> {
        self.connection
            .prepare_cached(
                "SELECT min(event_type) FROM delivery INDEXED BY delivery_event \
                 WHERE state = 'pending' AND event_type > ?1",
            )?
            .query_row([name], |row| row.get(0))
    }

    fn is_selectable(
        &self,
        delivery: &DueDelivery,
        selection: &Selection,
    ) -> rusqlite::Result<bool> {
        let subject = match (self.request.order, &delivery.subject) {
            (DispatchOrder::PerSubject, Some(subject)) => subject,
            (DispatchOrder::PerSubject, None) | (DispatchOrder::Unordered, _) => return Ok(true),
        };
        let mut selected = selection.deliveries.iter();
        let is_blocked = selected.any(|other| other.subject.as_ref() == Some(subject))
            || has_predecessor(self.connection, delivery.id, subject)?;
        block_if(self.connection, delivery.id, is_blocked)
    }

    /// The next due deliveries after a position, of one type or of all.
    fn batch(
        &self,
        event_type: Option<Option<&str>>,
        (due_at, id): (i64, i64),
    ) -> rusqlite::Result<Vec<DueDelivery>> {
        const BATCH_ROWS: i64 = BATCH as i64;
        let (index, is_of_type) = match event_type {
            None => ("delivery_due", "?5 IS NULL"),
            Some(_) => ("delivery_event", "event_type IS ?5"),
        };
        let sql = format!(
            "SELECT id, due_at, event_type, subject_id, source FROM delivery INDEXED BY {index} \
             WHERE state = 'pending' AND {is_of_type} AND due_at <= ?1 AND (due_at, id) > (?2, ?3) \
             ORDER BY due_at, id LIMIT ?4"
        );
        self.connection
            .prepare_cached(&sql)?
            .query_map(
                params![self.now, due_at, id, BATCH_ROWS, event_type.flatten()],
                DueDelivery::read,
            )?
            .collect()
    }
}

impl DueDelivery {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let subject_id: Option<String> = row.get(3)?;
        let source = row.get(4)?;
        Ok(Self {
            id: row.get(0)?,
            due_at: row.get(1)?,
            event_type: row.get(2)?,
            subject: subject_id.map(|subject_id| (subject_id, source)),
        })
    }
}

/// Whether it is pending, was never claimed, and has no predecessor that counts in this order.
/// Blocks it if it has one.
pub(super) fn is_unblocked(
    connection: &Connection,
    id: i64,
    order: DispatchOrder,
) -> rusqlite::Result<bool> {
    let found: Option<(Option<String>, String)> = connection
        .prepare_cached(
            "SELECT subject_id, source FROM delivery WHERE id = ?1 AND state = 'pending' AND attempts < first_attempt",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match (found, order) {
        (Some((Some(subject_id), source)), DispatchOrder::PerSubject) => {
            let is_blocked = has_predecessor(connection, id, &(subject_id, source))?;
            block_if(connection, id, is_blocked)
        }
        (found, _) => Ok(found.is_some()),
    }
}

/// Returns whether it is not blocked.
fn block_if(connection: &Connection, id: i64, is_blocked: bool) -> rusqlite::Result<bool> {
    if is_blocked {
        connection
            .prepare_cached("UPDATE delivery SET due_at = ?2 WHERE id = ?1")?
            .execute([id, BLOCKED])?;
    }
    Ok(!is_blocked)
}

/// Unblocks the next deliveries of the subject after this one was completed. Returns id and event
/// type of those that were never claimed. It unblocks the first of each source, because the source
/// of a blocked delivery may have changed since.
pub(super) fn unblock_next(
    connection: &Connection,
    ended: i64,
    now: i64,
) -> rusqlite::Result<Vec<(i64, Option<String>)>> {
    let mut unblock = connection.prepare_cached(
        "UPDATE delivery SET due_at = ?2 WHERE state = 'pending' AND due_at = ?3 AND id = \
         (SELECT id FROM delivery WHERE subject_id = (SELECT subject_id FROM delivery WHERE id = ?1) AND source = ?4 \
          AND state IN ('pending', 'claimed') ORDER BY id LIMIT 1) \
         RETURNING id, event_type, attempts = 0 AND source IN ('webhook', 'callback')",
    )?;
    let mut unblocked = Vec::new();
    for source in Source::ALL {
        let next = unblock
            .query_row(params![ended, now, BLOCKED, source.as_str()], |row| {
                Ok((row.get::<_, bool>(2)?, (row.get(0)?, row.get(1)?)))
            })
            .optional()?;
        unblocked.extend(next.and_then(|(is_new, next)| is_new.then_some(next)));
    }
    Ok(unblocked)
}

/// Whether another of its subject and source is claimed, or is older and not finished.
fn has_predecessor(
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

/// The due time of a blocked delivery.
pub(super) const BLOCKED: i64 = i64::MAX;

/// How much of a scan a row with this name counts as.
fn cost(event_type: Option<&str>) -> usize {
    1 + event_type.map_or(0, str::len) / ORDINARY_NAME
}

/// Longer than the names of HeyGen's events, in bytes.
const ORDINARY_NAME: usize = 1024;

/// How many are scanned in one transaction, so that appends do not wait long.
const MAX_SCANNED: usize = 1000;

/// How many rows one query reads.
const BATCH: usize = 64;

/// After so many skipped deliveries the index by event type pays off.
const MAX_SKIPPED: usize = 192;
