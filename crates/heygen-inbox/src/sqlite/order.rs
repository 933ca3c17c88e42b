//! What is due, the longest due first; those of one subject one at a time, where that is asked for.
//!
//! Order is kept within one source, which says what vouches for a delivery: who holds a callback token can name any subject, and
//! would else hold up what HeyGen signed about it.
//!
//! One that has to wait for another of its subject is set aside when it is met: its time becomes [`WAITS`], so that no claim meets it
//! again until the one before it has ended, which lets it go. So each is set aside once at the most, however many wait. Finding out
//! who is before whom takes an index whose writes are not at its end; it exists only while this order is in use.
//!
//! The same goes for destinations: as long as each has room for what is due first, one index for all of them is enough. Once one has
//! none left and much waits for it, an index by event type leads past that; it goes again when there is one destination alone.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::claim::{RoomLeft, Turn};
use crate::{ClaimRequest, DispatchOrder, Source};

/// Something that is due.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Candidate {
    due_at: i64,
    pub(super) id: i64,
    event_type: Option<String>,
    /// What it is about, and its source: what order is kept within.
    subject: Option<(String, String)>,
}

/// What is to be claimed.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) chosen: Vec<Candidate>,
    /// Nothing else is due now that there is room for.
    pub(super) is_all: bool,
}

/// The order that the file is prepared for.
pub(super) fn found(connection: &Connection) -> rusqlite::Result<DispatchOrder> {
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
        DispatchOrder::Unordered => end(connection),
    }
}

/// Ends the order of a version that kept it across sources: what was set aside then may wait for a delivery of another source,
/// whose end no longer lets it go.
pub(super) fn upgrade(connection: &Connection) -> rusqlite::Result<()> {
    match index(connection, "delivery_subject")? {
        Some(sql) if !sql.contains("source") => end(connection),
        Some(_) | None => Ok(()),
    }
}

fn end(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE delivery SET due_at = received_at WHERE state = 'pending' AND due_at = ?1",
        [WAITS],
    )?;
    connection.execute_batch("DROP INDEX delivery_subject")
}

/// Whether there is an index by event type.
pub(super) fn has_event_index(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(index(connection, "delivery_event")?.is_some())
}

/// The SQL of an index, where the file has it.
fn index(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub(super) fn drop_event_index(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("DROP INDEX IF EXISTS delivery_event")
}

/// One turn of a request: what is due, as far as there is room for it.
pub(super) struct Choice<'a> {
    pub(super) connection: &'a Connection,
    pub(super) request: &'a ClaimRequest,
    pub(super) turn: Turn,
    pub(super) now: i64,
    /// Who says of an id that it is of another turn.
    pub(super) is_of_other_turn: &'a dyn Fn(i64) -> bool,
}

impl Choice<'_> {
    /// Takes the room it needs from `left`.
    pub(super) fn choose(&self, left: &mut RoomLeft) -> rusqlite::Result<Due> {
        let mut due = Due::default();
        let (mut after, mut looked_at, mut passed) = (START, 0, 0);
        while left.total(self.turn) > 0 {
            if looked_at >= LOOK_AT {
                return Ok(due);
            }
            if passed >= MANY_PASSED {
                return self.choose_by_type(left, due);
            }
            let batch = self.batch(None, after)?;
            let is_last = batch.len() < BATCH;
            for candidate in batch {
                after = (candidate.due_at, candidate.id);
                if (self.is_of_other_turn)(candidate.id) {
                    continue;
                }
                looked_at += 1;
                let destination = self.request.destination(candidate.event_type.as_deref());
                if left.in_turn(destination, self.turn) == 0 {
                    passed += 1;
                } else if self.is_to_be_chosen(&candidate, &due)? {
                    left.take(destination, false);
                    due.chosen.push(candidate);
                }
            }
            if is_last {
                due.is_all = true;
                return Ok(due);
            }
        }
        due.is_all = true;
        Ok(due)
    }

    /// The same past all that there is no room for.
    fn choose_by_type(&self, left: &mut RoomLeft, mut due: Due) -> rusqlite::Result<Due> {
        self.connection.execute_batch(
            "CREATE INDEX IF NOT EXISTS delivery_event ON delivery (event_type, due_at, id) WHERE state = 'pending'",
        )?;
        let mut found = Vec::new();
        let mut looked_at = 0;
        due.is_all = true;
        for event_type in self.event_types()? {
            let destination = self.request.destination(event_type.as_deref());
            let mut wanted = left.in_turn(destination, self.turn);
            let mut after = START;
            while wanted > 0 {
                if looked_at >= LOOK_AT {
                    due.is_all = false;
                    break;
                }
                let batch = self.batch(Some(event_type.as_deref()), after)?;
                let is_last = batch.len() < BATCH;
                for candidate in batch {
                    after = (candidate.due_at, candidate.id);
                    if (self.is_of_other_turn)(candidate.id) {
                        continue;
                    }
                    looked_at += 1;
                    let is_known = due.chosen.iter().any(|chosen| chosen.id == candidate.id);
                    if wanted > 0 && !is_known {
                        // Whether it has to wait for another shows when it is its turn.
                        wanted -= usize::from(self.request.order == DispatchOrder::Unordered);
                        found.push((candidate, destination));
                    }
                }
                if is_last {
                    break;
                }
            }
        }
        found.sort_unstable();
        for (candidate, destination) in found {
            if left.in_turn(destination, self.turn) > 0 && self.is_to_be_chosen(&candidate, &due)? {
                left.take(destination, false);
                due.chosen.push(candidate);
            }
        }
        Ok(due)
    }

    /// The types of what is pending, each found by a step in the index.
    fn event_types(&self) -> rusqlite::Result<Vec<Option<String>>> {
        let mut found = vec![None, Some(String::new())];
        let mut last: Option<String> = None;
        loop {
            let next: Option<String> = self
                .connection
                .prepare_cached(
                    "SELECT min(event_type) FROM delivery INDEXED BY delivery_event \
                     WHERE state = 'pending' AND event_type > ?1",
                )?
                .query_row([last.as_deref().unwrap_or("")], |row| row.get(0))?;
            match next {
                Some(event_type) => last = Some(event_type.clone()),
                None => return Ok(found),
            }
            found.push(last.clone());
        }
    }

    fn is_to_be_chosen(&self, candidate: &Candidate, due: &Due) -> rusqlite::Result<bool> {
        let subject = match (self.request.order, &candidate.subject) {
            (DispatchOrder::PerSubject, Some(subject)) => subject,
            (DispatchOrder::PerSubject, None) | (DispatchOrder::Unordered, _) => return Ok(true),
        };
        let mut chosen = due.chosen.iter();
        let has_to_wait = chosen.any(|chosen| chosen.subject.as_ref() == Some(subject))
            || is_behind(self.connection, candidate.id, subject)?;
        if has_to_wait {
            set_aside(self.connection, candidate.id)?;
        }
        Ok(!has_to_wait)
    }

    /// What is due after a place, of one type or of all.
    fn batch(
        &self,
        event_type: Option<Option<&str>>,
        (due_at, id): (i64, i64),
    ) -> rusqlite::Result<Vec<Candidate>> {
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
                Candidate::read,
            )?
            .collect()
    }
}

impl Candidate {
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

/// Whether it is pending, was never claimed, and nothing of its subject and source is before it, where that counts. Who has to wait is
/// set aside.
pub(super) fn is_free(
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
            let has_to_wait = is_behind(connection, id, &(subject_id, source))?;
            if has_to_wait {
                set_aside(connection, id)?;
            }
            Ok(!has_to_wait)
        }
        (found, _) => Ok(found.is_some()),
    }
}

fn set_aside(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE delivery SET due_at = ?2 WHERE id = ?1")?
        .execute([id, WAITS])?;
    Ok(())
}

/// Lets the next of the subject go, now that this one has ended; tells which those are, and their types, where they were never
/// claimed. The first of every source, and not of its own alone: the source of what waited behind it may have become another meanwhile.
pub(super) fn release_next(
    connection: &Connection,
    ended: i64,
    now: i64,
) -> rusqlite::Result<Vec<(i64, Option<String>)>> {
    let mut release = connection.prepare_cached(
        "UPDATE delivery SET due_at = ?2 WHERE state = 'pending' AND due_at = ?3 AND id = \
         (SELECT id FROM delivery WHERE subject_id = (SELECT subject_id FROM delivery WHERE id = ?1) AND source = ?4 \
          AND state IN ('pending', 'claimed') ORDER BY id LIMIT 1) \
         RETURNING id, event_type, attempts = 0 AND source IN ('webhook', 'callback')",
    )?;
    let mut released = Vec::new();
    for source in Source::ALL {
        let next = release
            .query_row(params![ended, now, WAITS, source.as_str()], |row| {
                Ok((row.get::<_, bool>(2)?, (row.get(0)?, row.get(1)?)))
            })
            .optional()?;
        released.extend(next.and_then(|(is_new, next)| is_new.then_some(next)));
    }
    Ok(released)
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

/// The time of what waits for another: none.
pub(super) const WAITS: i64 = i64::MAX;

/// How many are looked at in one transaction, so that appends do not wait for a long row of one subject.
const LOOK_AT: usize = 1000;

/// How many are read at a time.
const BATCH: usize = 64;

/// After so many for which there is no room it pays to go by event type.
const MANY_PASSED: usize = 192;

/// Before everything that is due.
const START: (i64, i64) = (i64::MIN, i64::MIN);
