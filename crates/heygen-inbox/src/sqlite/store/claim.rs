//! Dispatch: claims, deliveries in flight, and completions.

use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::types::Type;
use rusqlite::{Connection, Error, OptionalExtension as _, Row, params};

use super::{Store, key};
use crate::admin::DISPATCH_PAUSED;
use crate::claim::{RoomLeft, Turn};
use crate::sqlite::error::is_of_page;
use crate::sqlite::{order, row};
use crate::time::{from_micros, is_set_back, to_micros};
use crate::{
    Attempt, AttemptOutcome, Claim, ClaimRequest, ClaimedDelivery, Completion, DispatchOrder,
    TrafficKind,
};

/// What this process has claimed and not completed yet.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    pub(super) attempts: HashSet<(i64, u32)>,
    /// What the open transaction adds (`true`) and removes, in that order: a released attempt may be
    /// claimed again in the same transaction, under the same number.
    changes: Vec<((i64, u32), bool)>,
}

impl Store {
    /// Claims what there is room for, live deliveries and backlog by turns, or what is due longest.
    pub(in crate::sqlite) fn claim(&mut self, request: &ClaimRequest) -> rusqlite::Result<Claim> {
        if request.turns() == [Turn::Unordered] {
            return self.claim_in_turns(request);
        }
        let now = to_micros(request.now);
        self.due_time_scan.run(&self.connection, now)?;
        if request.room.len() == 1 && self.has_event_index {
            order::drop_event_index(&self.connection)?;
            self.has_event_index = false;
        }
        let claim = self.claim_in_turns(request)?;
        if request.room.len() > 1 && !self.has_event_index {
            self.has_event_index = order::has_event_index(&self.connection)?;
        }
        Ok(claim)
    }

    fn claim_in_turns(&mut self, request: &ClaimRequest) -> rusqlite::Result<Claim> {
        if self.is_paused()? {
            return Ok(Claim::paused());
        }
        let now = to_micros(request.now);
        if is_set_back(self.latest, now) {
            reset_due_times(&self.connection, now)?;
        }
        self.latest = now;
        if request.order != self.order {
            order::prepare(&self.connection, request.order)?;
            self.order = request.order;
        }
        let mut claim = Claim::default();
        let mut left = RoomLeft::of(request);
        let mut is_all = true;
        for turn in request.turns() {
            if *turn == Turn::Live {
                self.claim_live(request, &mut left, &mut claim)?;
                continue;
            }
            let [first, other] = &mut self.type_positions;
            let position = match turn {
                Turn::BacklogFirst => first,
                Turn::Live | Turn::Backlog | Turn::Unordered => other,
            };
            let selection = order::Selector {
                connection: &self.connection,
                request,
                turn: *turn,
                now,
                recent: &self.recent,
            }
            .select(&mut left, position)?;
            // The last turn decides: it has room for all that an earlier one has not reached, and
            // their rounds through the event types may never end in the same claim.
            is_all = selection.is_all;
            for delivery in selection.deliveries {
                self.claim_into(&mut claim, delivery.id, now, false)?;
            }
        }
        claim.next_due = match is_all {
            true if claim.len() < request.limit() => self.next_due(now)?,
            false if claim.len() < request.limit() => Some(request.now),
            true | false => None,
        };
        Ok(claim)
    }

    /// Reads it in the claim's transaction, because another process may have paused dispatch.
    fn is_paused(&self) -> rusqlite::Result<bool> {
        self.connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM bookmark WHERE name = ?1)")?
            .query_row([DISPATCH_PAUSED], |row| row.get(0))
    }

    /// Claims recent deliveries, whatever their due times.
    fn claim_live(
        &mut self,
        request: &ClaimRequest,
        left: &mut RoomLeft,
        claim: &mut Claim,
    ) -> rusqlite::Result<()> {
        let now = to_micros(request.now);
        while let Some((event_type, id)) = self.recent.take(|event_type| {
            let destination = request.destination(event_type);
            left.in_turn(destination, Turn::Live) > 0
        }) {
            if order::is_unblocked(&self.connection, id, request.order)? {
                left.take(request.destination(event_type.as_deref()), true);
                self.claim_into(claim, id, now, true)?;
            }
        }
        Ok(())
    }

    pub(super) fn claim_into(
        &mut self,
        claim: &mut Claim,
        id: i64,
        now: i64,
        is_live: bool,
    ) -> rusqlite::Result<()> {
        match self.claim_one(id, now) {
            Ok(mut claimed) => {
                claimed.is_live = is_live;
                claim.deliveries.push(claimed);
            }
            Err(error) if is_row_error(&error) => self.dead_letter_unreadable(id, now, &error)?,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn claim_one(&mut self, id: i64, now: i64) -> rusqlite::Result<ClaimedDelivery> {
        self.recent.remove(id);
        self.connection
            .prepare_cached(
                "UPDATE delivery SET state = 'claimed', attempts = attempts + 1, claimed_at = ?2 WHERE id = ?1",
            )?
            .execute([id, now])?;
        if self.damaged.contains(&id) {
            let error = "a page of it is damaged".into();
            return Err(Error::FromSqlConversionFailure(6, Type::Blob, error));
        }
        let read = self
            .connection
            .prepare_cached(
                "SELECT id, received_at, source, first_attempt, attempts, headers, body, elapsed, due_at, event_type, uncounted \
                 FROM delivery JOIN content USING (id) WHERE id = ?1",
            )?
            .query_row([id], |row| self.claimed(row));
        if read.as_ref().is_err_and(is_of_page) {
            self.damaged.insert(id);
        }
        let mut claimed = read?;
        self.in_flight.changes.push(((id, claimed.attempt), true));
        if claimed.attempt > claimed.first_attempt {
            claimed.interrupted = self
                .connection
                .prepare_cached(
                    "SELECT count(*) FROM attempt WHERE delivery_id = ?1 AND number >= ?2 AND result = 'interrupted'",
                )?
                .query_row(params![id, claimed.first_attempt], |row| row.get(0))?;
        }
        Ok(claimed)
    }

    /// An unreadable row must not block all other deliveries for good.
    fn dead_letter_unreadable(
        &mut self,
        id: i64,
        now: i64,
        error: &rusqlite::Error,
    ) -> rusqlite::Result<()> {
        tracing::error!(
            delivery = %self.id(id),
            %error,
            "a delivery cannot be read and is dead-lettered; the file may be damaged"
        );
        self.connection
            .prepare_cached(
                "UPDATE delivery SET state = 'dead_lettered', claimed_at = NULL WHERE id = ?1",
            )?
            .execute([id])?;
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO attempt (delivery_id, number, started_at, duration, result, detail) \
                 SELECT id, min(attempts, 4294967295), ?2, 0, 'dead_lettered', ?3 FROM delivery WHERE id = ?1",
            )?
            .execute(params![id, now, format!("the inbox cannot read it: {error}")])?;
        self.unblock_next(id, now)
    }

    /// In order by subject, unblocks the deliveries that wait for this one.
    pub(super) fn unblock_next(&mut self, ended: i64, now: i64) -> rusqlite::Result<()> {
        if self.order == DispatchOrder::Unordered {
            return Ok(());
        }
        for (id, event_type) in order::unblock_next(&self.connection, ended, now)? {
            self.recent.put_back(event_type.as_deref(), id);
        }
        Ok(())
    }

    /// A completion that comes late, after the delivery was dispatched again, is recorded; the
    /// state of the delivery stays, unless the late result is an acknowledgement.
    pub(in crate::sqlite) fn complete(&mut self, completion: &Completion) -> rusqlite::Result<()> {
        if completion.id.tag() != self.tag {
            return Ok(());
        }
        let id = key(completion.id);
        if completion.is_released {
            return self.release(id, completion);
        }
        self.connection
            .prepare_cached(
                "UPDATE delivery SET state = ?2, due_at = ?3, claimed_at = NULL, elapsed = ?5, uncounted = uncounted + ?6 \
                 WHERE id = ?1 AND (?2 = 'acknowledged' OR (state = 'claimed' AND attempts = ?4))",
            )?
            .execute(params![
                id,
                completion.result.state().as_str(),
                to_micros(completion.due_at).min(order::BLOCKED - 1),
                completion.attempt,
                micros(completion.elapsed),
                !completion.is_counted || completion.result == AttemptOutcome::Interrupted,
            ])?;
        let ended_at = completion.started_at.checked_add(completion.duration);
        let ended_at = ended_at.unwrap_or(completion.started_at);
        if completion.result != AttemptOutcome::Acknowledged {
            let event_type = self.event_type(id)?;
            let kind = TrafficKind::FailedAttempt;
            self.traffic.count(ended_at, kind, event_type.as_deref());
        }
        insert_attempt(&self.connection, id, &completion.to_attempt())?;
        self.in_flight
            .changes
            .push(((id, completion.attempt), false));
        self.unblock_next(id, to_micros(ended_at))
    }

    fn event_type(&self, id: i64) -> rusqlite::Result<Option<String>> {
        let found = self
            .connection
            .prepare_cached("SELECT event_type FROM delivery WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        Ok(found.flatten())
    }

    /// Undoes the claim.
    fn release(&mut self, id: i64, completion: &Completion) -> rusqlite::Result<()> {
        let was_new: Option<(bool, Option<String>)> = self
            .connection
            .prepare_cached(
                "UPDATE delivery SET state = 'pending', due_at = ?2, claimed_at = NULL, elapsed = ?4, attempts = attempts - 1 \
                 WHERE id = ?1 AND state = 'claimed' AND attempts = ?3 \
                 RETURNING attempts = 0 AND source IN ('webhook', 'callback'), event_type",
            )?
            .query_row(
                params![
                    id,
                    to_micros(completion.due_at).min(order::BLOCKED - 1),
                    completion.attempt,
                    micros(completion.elapsed),
                ],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        self.in_flight
            .changes
            .push(((id, completion.attempt), false));
        if let Some((true, event_type)) = was_new {
            self.recent.put_back(event_type.as_deref(), id);
        }
        // The delivery that it blocks may be older, and would then wait for nothing.
        self.unblock_next(id, to_micros(completion.due_at))
    }

    fn claimed(&self, row: &Row<'_>) -> rusqlite::Result<ClaimedDelivery> {
        let elapsed: i64 = row.get(7)?;
        Ok(ClaimedDelivery {
            id: self.id(row.get(0)?),
            received_at: from_micros(row.get(1)?),
            source: row::named(row, 2)?,
            first_attempt: row.get(3)?,
            attempt: row.get(4)?,
            uncounted: row.get(10)?,
            interrupted: 0,
            elapsed: Duration::from_micros(elapsed.try_into().unwrap_or(0)),
            due_at: from_micros(row.get(8)?),
            is_live: false,
            event_type: row.get(9)?,
            headers: row::headers(row, 5)?,
            body: row.get::<_, Vec<u8>>(6)?.into(),
        })
    }

    /// The earliest due time in the future.
    fn next_due(&self, now: i64) -> rusqlite::Result<Option<SystemTime>> {
        let due_at: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT min(due_at) FROM delivery WHERE state = 'pending' AND due_at > ?1",
            )?
            .query_row([now], |row| row.get(0))?;
        Ok(due_at
            .filter(|due_at| *due_at < order::BLOCKED)
            .map(from_micros))
    }
}

/// Scans pending deliveries in small steps for wrong due times: the clock was set forward and back
/// between two claims, so that none noticed; or someone deleted with another program what a blocked
/// delivery waits for.
#[derive(Debug, Default)]
pub(super) struct DueTimeScan {
    scanned_at: Option<Instant>,
    /// Due time and id of the last row of the last scan; `None` at the beginning.
    after: Option<(i64, i64)>,
}

impl DueTimeScan {
    fn run(&mut self, connection: &Connection, now: i64) -> rusqlite::Result<()> {
        if self
            .scanned_at
            .is_some_and(|at| at.elapsed() < SCAN_INTERVAL)
        {
            return Ok(());
        }
        self.scanned_at = Some(Instant::now());
        let future = (now, i64::MAX);
        let from = self.after.map_or(future, |after| after.max(future));
        let rows: Vec<(i64, i64, bool)> = connection
            .prepare_cached(&format!(
                "SELECT due_at, id, CASE due_at WHEN ?2 THEN {WAITS_FOR_NOTHING} ELSE {HAS_WRONG_DUE_TIME} END \
                 FROM delivery INDEXED BY delivery_due \
                 WHERE state = 'pending' AND (due_at, id) > (?3, ?4) ORDER BY due_at, id LIMIT ?5"
            ))?
            .query_map(
                params![now, order::BLOCKED, from.0, from.1, SCAN_ROWS],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?
            .collect::<Result<_, _>>()?;
        let last = rows.last().filter(|_| rows.len() as i64 == SCAN_ROWS);
        self.after = last.map(|(due_at, id, _)| (*due_at, *id));
        for (_, id, _) in rows.iter().filter(|(.., is_wrong)| *is_wrong) {
            connection
                .prepare_cached("UPDATE delivery SET due_at = ?2 WHERE id = ?1")?
                .execute([*id, now])?;
        }
        Ok(())
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// The content of the row is at fault, not the file.
fn is_row_error(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code().is_none()
}

impl InFlight {
    pub(super) fn committed(&mut self) {
        for (attempt, is_claimed) in self.changes.drain(..) {
            match is_claimed {
                true => self.attempts.insert(attempt),
                false => self.attempts.remove(&attempt),
            };
        }
    }

    pub(super) fn rolled_back(&mut self) {
        self.changes.clear();
    }
}

/// After the clock was set back: makes due what has a wrong due time.
pub(super) fn reset_due_times(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!(
            "UPDATE delivery SET due_at = ?1 WHERE state = 'pending' AND due_at > ?1 AND due_at < ?2 AND {HAS_WRONG_DUE_TIME}"
        ))?
        .execute([now, order::BLOCKED])?;
    Ok(())
}

/// Whether a due time after `?1`, which is now, was set by a wrong clock: there was no attempt yet,
/// or the last one started in the future.
const HAS_WRONG_DUE_TIME: &str = "(attempts < first_attempt OR \
     EXISTS (SELECT 1 FROM attempt WHERE delivery_id = delivery.id AND number = attempts AND started_at > ?1))";

/// Whether no older delivery of its subject is left, whose completion would unblock a blocked one.
const WAITS_FOR_NOTHING: &str = "NOT EXISTS (SELECT 1 FROM delivery AS older \
     WHERE older.subject_id = delivery.subject_id AND older.source = delivery.source AND older.id < delivery.id \
     AND older.state IN ('pending', 'claimed'))";

/// Ten thousand rows in five seconds.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
const SCAN_ROWS: i64 = 2000;

/// If an attempt is completed twice, the last result counts. Nothing is recorded of a deleted
/// delivery.
pub(super) fn insert_attempt(
    connection: &Connection,
    id: i64,
    attempt: &Attempt,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO attempt (delivery_id, number, started_at, duration, result, detail) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM delivery WHERE id = ?1)",
        )?
        .execute(params![
            id,
            attempt.number,
            to_micros(attempt.started_at),
            micros(attempt.duration),
            attempt.result.as_str(),
            attempt.detail,
        ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::options::SqliteOptions;
    use crate::sqlite::store::NewRow;
    use crate::{NewDelivery, Source};

    /// The transaction that releases it may claim it again, under the same number.
    #[test]
    fn released_delivery_that_is_claimed_at_once_is_in_flight() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, options) = (folder.path().join("inbox.db"), SqliteOptions::default());
        let now = SystemTime::now();
        let mut store = Store::open(&path, &options, &HashSet::new(), now).expect("an inbox");
        let delivery = NewDelivery::new(now, Source::Webhook, Vec::new(), "a".into());
        let claim = |store: &mut Store| {
            let claim = store.claim(&ClaimRequest::due(1, now)).expect("a claim");
            claim.deliveries.into_iter().next().expect("it is due")
        };
        store.begin().expect("a transaction");
        store.append_one(&NewRow::new(delivery)).expect("appended");
        let first = claim(&mut store);
        store.commit(0).expect("a commit");
        store.begin().expect("a transaction");
        let released = Completion::released(&first, now);
        store.complete(&released).expect("released");
        let again = claim(&mut store);
        assert_eq!((again.id, again.attempt), (first.id, 1));
        store.commit(0).expect("a commit");
        let in_flight = HashSet::from([(key(first.id), 1)]);
        assert_eq!(store.in_flight.attempts, in_flight);

        // So it stays claimed when the file is opened again after a failure.
        let (_, closed_state) = store.into_parts();
        let store = Store::reopen(&path, &options, &closed_state).expect("the inbox");
        assert_eq!(store.in_flight.attempts, in_flight);
        let state: String = store
            .connection
            .query_row("SELECT state FROM delivery", (), |row| row.get(0))
            .expect("a state");
        assert_eq!(state, "claimed");
    }
}
