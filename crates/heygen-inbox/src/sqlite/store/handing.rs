//! Handing out: what is claimed, what is in hand, how it ended.

use std::collections::HashSet;
use std::time::SystemTime;

use rusqlite::{Connection, Row, params};

use super::{Store, key};
use crate::sqlite::order::{self, Due};
use crate::sqlite::row;
use crate::time::{from_micros, is_set_back, to_micros};
use crate::{Attempt, AttemptResult, Claim, Claimed, Finish, Order, State};

/// What this process has claimed and not finished yet.
#[derive(Debug, Default)]
pub(super) struct InHand {
    pub(super) ids: HashSet<i64>,
    /// What the transaction under way adds and takes away.
    pub(super) claimed: Vec<i64>,
    finished: Vec<i64>,
}

impl Store {
    pub(in crate::sqlite) fn claim(
        &mut self,
        limit: usize,
        now: SystemTime,
        order: Order,
    ) -> rusqlite::Result<Claim> {
        let now = to_micros(now);
        if is_set_back(self.latest, now) {
            retime(&self.connection, now)?;
        }
        self.latest = now;
        if order != self.order {
            order::prepare(&self.connection, order)?;
            self.order = order;
        }
        let due = match order {
            Order::Due => Due::all(&self.connection, limit, now)?,
            Order::Subject => order::due(&self.connection, limit, now)?,
        };
        let mut claim = Claim::default();
        for id in due.ids {
            match self.take(id, now) {
                Ok(claimed) => claim.deliveries.push(claimed),
                Err(error) if is_of_the_row(&error) => self.give_up(id, now, &error)?,
                Err(error) => return Err(error),
            }
        }
        claim.next_due = match due.is_all {
            true => self.next_due()?,
            false if claim.deliveries.len() < limit => Some(from_micros(now)),
            false => None,
        };
        Ok(claim)
    }

    fn take(&mut self, id: i64, now: i64) -> rusqlite::Result<Claimed> {
        self.connection
            .prepare_cached(
                "UPDATE delivery SET state = 'claimed', attempts = attempts + 1, claimed_at = ?2 WHERE id = ?1",
            )?
            .execute([id, now])?;
        self.in_hand.claimed.push(id);
        self.connection
            .prepare_cached(
                "SELECT id, received_at, source, first_attempt, attempts, headers, body \
                 FROM delivery JOIN content USING (id) WHERE id = ?1",
            )?
            .query_row([id], |row| self.claimed(row))
    }

    /// A row that cannot be read must not hold up all the others, today and for ever.
    fn give_up(&mut self, id: i64, now: i64, error: &rusqlite::Error) -> rusqlite::Result<()> {
        tracing::error!(
            delivery = %self.id(id),
            %error,
            "a delivery cannot be read and is given up; `inbox check` tells of damage"
        );
        self.connection
            .prepare_cached("UPDATE delivery SET state = 'dead', claimed_at = NULL WHERE id = ?1")?
            .execute([id])?;
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO attempt (delivery_id, number, started_at, duration, result, detail) \
                 SELECT id, min(attempts, 4294967295), ?2, 0, 'dead', ?3 FROM delivery WHERE id = ?1",
            )?
            .execute(params![id, now, format!("the inbox cannot read it: {error}")])?;
        self.in_hand.finished.push(id);
        self.answered.end(id);
        if self.order == Order::Subject {
            order::release_next(&self.connection, id, now)?;
        }
        Ok(())
    }

    /// An end that comes late, after the delivery was handed out anew, is recorded; what became of the delivery meanwhile
    /// stays, unless the late word is done.
    pub(in crate::sqlite) fn finish(&mut self, finish: &Finish) -> rusqlite::Result<()> {
        if finish.id.tag() != self.tag {
            return Ok(());
        }
        let id = key(finish.id);
        let state = match finish.result {
            AttemptResult::Done => State::Done,
            AttemptResult::Dead => State::Dead,
            AttemptResult::Retry | AttemptResult::Interrupted => State::Pending,
        };
        self.connection
            .prepare_cached(
                "UPDATE delivery SET state = ?2, due_at = ?3, claimed_at = NULL \
                 WHERE id = ?1 AND (?2 = 'done' OR (state = 'claimed' AND attempts = ?4))",
            )?
            .execute(params![
                id,
                state.as_str(),
                to_micros(finish.due_at).min(order::WAITS - 1),
                finish.attempt
            ])?;
        let attempt = Attempt {
            number: finish.attempt,
            started_at: finish.started_at,
            duration: finish.duration,
            result: finish.result,
            detail: finish.detail.clone(),
        };
        self.insert_attempt(id, &attempt)?;
        self.in_hand.finished.push(id);
        if matches!(state, State::Done | State::Dead) {
            self.answered.end(id);
        }
        if self.order == Order::Subject {
            let ended_at = finish
                .started_at
                .checked_add(finish.duration)
                .unwrap_or(finish.started_at);
            order::release_next(&self.connection, id, to_micros(ended_at))?;
        }
        Ok(())
    }

    pub(in crate::sqlite) fn insert_attempt(
        &self,
        id: i64,
        attempt: &Attempt,
    ) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(INSERT_ATTEMPT)?
            .execute(params![
                id,
                attempt.number,
                to_micros(attempt.started_at),
                i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX),
                attempt.result.as_str(),
                attempt.detail,
            ])?;
        Ok(())
    }

    fn claimed(&self, row: &Row<'_>) -> rusqlite::Result<Claimed> {
        Ok(Claimed::new(
            self.id(row.get(0)?),
            from_micros(row.get(1)?),
            row::source(row, 2)?,
            (row.get(3)?, row.get(4)?),
            row::headers(row, 5)?,
            row.get::<_, Vec<u8>>(6)?.into(),
        ))
    }

    fn next_due(&self) -> rusqlite::Result<Option<SystemTime>> {
        let due_at: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(due_at) FROM delivery WHERE state = 'pending'")?
            .query_row((), |row| row.get(0))?;
        Ok(due_at
            .filter(|due_at| *due_at < order::WAITS)
            .map(from_micros))
    }
}

/// What stands in the row is at fault, not the file.
fn is_of_the_row(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code().is_none()
}

impl InHand {
    pub(super) fn committed(&mut self) {
        self.ids.extend(self.claimed.drain(..));
        for id in self.finished.drain(..) {
            self.ids.remove(&id);
        }
    }

    pub(super) fn rolled_back(&mut self) {
        self.claimed.clear();
        self.finished.clear();
    }
}

/// The clock was set back: what would only be due when it is where it was, and did not ask for that, is due now.
pub(super) fn retime(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE delivery SET due_at = ?1 WHERE state = 'pending' AND due_at > ?1 AND due_at < ?2 AND \
             (attempts < first_attempt OR \
              EXISTS (SELECT 1 FROM attempt WHERE delivery_id = delivery.id AND number = attempts AND started_at > ?1))",
        )?
        .execute([now, order::WAITS])?;
    Ok(())
}

// An attempt ends once; should its end be told twice, the last word counts. Of a delivery that is gone nothing is recorded.
pub(super) const INSERT_ATTEMPT: &str = "INSERT OR REPLACE INTO attempt (delivery_id, number, started_at, duration, result, detail) \
     SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM delivery WHERE id = ?1)";
