//! Changes other than appends and dispatch: import, replay, dead-letter and delete.

use std::time::{Duration, SystemTime};

use rusqlite::{OptionalExtension as _, params};

use super::claim::insert_attempt;
use super::open::interrupt;
use super::{NewRow, Store, key};
use crate::admin::DEAD_LETTERED_BY_HAND;
use crate::dedup::rule::Link;
use crate::sqlite::lock::is_served;
use crate::sqlite::{candidate, prune, row};
use crate::time::to_micros;
use crate::{
    Appended, AttemptOutcome, Claim, Completion, DeadLetterReport, DeleteReport, DeliveryId,
    DispatchOrder, Imported, NewDelivery, ReplayReport, State,
};

impl Store {
    pub(in crate::sqlite) fn find_all(
        &self,
        deliveries: &[NewDelivery],
    ) -> rusqlite::Result<Vec<Option<DeliveryId>>> {
        let find = |delivery| Ok(self.find(delivery)?.map(|(id, _)| self.id(id)));
        deliveries.iter().map(find).collect()
    }

    pub(in crate::sqlite) fn import(
        &mut self,
        deliveries: &[Imported],
    ) -> rusqlite::Result<Vec<Appended>> {
        let import = |imported: &Imported| {
            // Unlike that of an append, this duplicate was not received: it is not counted.
            if let Some((id, fit)) = self.find(&imported.delivery)? {
                self.link(id, fit, &imported.delivery)?;
                return Ok(Appended::Duplicate(self.id(id)));
            }
            let appended = self.append_one(&NewRow::new(imported.delivery.clone()))?;
            let key = key(appended.id());
            // It was received elsewhere, so it is not live.
            self.recent.remove(key);
            self.store_history(key, imported)?;
            Ok(appended)
        };
        deliveries.iter().map(import).collect()
    }

    pub(in crate::sqlite) fn replay(
        &self,
        ids: &[DeliveryId],
        now: i64,
    ) -> rusqlite::Result<ReplayReport> {
        let mut replayed = ReplayReport::default();
        for id in ids {
            replayed.add(self.replay_one(*id, now)?);
        }
        Ok(replayed)
    }

    pub(in crate::sqlite) fn dead_letter(
        &mut self,
        ids: &[DeliveryId],
        now: SystemTime,
    ) -> rusqlite::Result<DeadLetterReport> {
        let mut report = DeadLetterReport::default();
        for id in ids {
            let state = self.state_to_change(*id)?;
            if state == Some(State::Pending) {
                self.dead_letter_one(key(*id), now)?;
            }
            report.add(state);
        }
        Ok(report)
    }

    fn dead_letter_one(&mut self, id: i64, now: SystemTime) -> rusqlite::Result<()> {
        let mut claim = Claim::default();
        // It dead-letters an unreadable delivery itself.
        self.claim_into(&mut claim, id, to_micros(now), false)?;
        for claimed in &claim.deliveries {
            let result = AttemptOutcome::DeadLettered;
            let completion = Completion::new(claimed, now, Duration::ZERO, result);
            self.complete(&completion.detail(Some(DEAD_LETTERED_BY_HAND.to_owned())))?;
        }
        Ok(())
    }

    pub(in crate::sqlite) fn delete(
        &mut self,
        ids: &[DeliveryId],
        now: SystemTime,
    ) -> rusqlite::Result<DeleteReport> {
        let mut report = DeleteReport::default();
        prune::remember_last_id(&self.connection)?;
        for id in ids {
            let state = self.state_to_change(*id)?;
            report.add(state);
            if matches!(state, None | Some(State::Claimed | State::Interrupted)) {
                continue;
            }
            let key = key(*id);
            self.recent.remove(key);
            if state == Some(State::Pending) && self.order == DispatchOrder::PerSubject {
                self.connection
                    .prepare_cached("UPDATE delivery SET state = 'dead_lettered' WHERE id = ?1")?
                    .execute([key])?;
                self.unblock_next(key, to_micros(now))?;
            }
            prune::delete(&self.connection, key)?;
        }
        Ok(report)
    }

    /// The state of a delivery that is to be changed; `None` when it is missing. If its process
    /// ended while it was claimed, it is made pending, as the next start would.
    fn state_to_change(&self, id: DeliveryId) -> rusqlite::Result<Option<State>> {
        if id.tag() != self.tag {
            return Ok(None);
        }
        let state = self
            .connection
            .prepare_cached("SELECT state FROM delivery WHERE id = ?1")?
            .query_row([key(id)], |row| row::named(row, 0))
            .optional()?;
        if state == Some(State::Claimed) && !is_served(self.files.path()) {
            interrupt(&self.connection, key(id))?;
            return Ok(Some(State::Pending));
        }
        Ok(state)
    }

    fn store_history(&self, key: i64, imported: &Imported) -> rusqlite::Result<()> {
        let state = imported.initial_state();
        let first_attempt = match imported.is_replayed {
            true => i64::from(imported.attempt_count) + 1,
            false => 1,
        };
        self.connection
            .prepare_cached(
                "UPDATE delivery SET state = ?2, attempts = ?3, first_attempt = ?4 WHERE id = ?1",
            )?
            .execute(params![
                key,
                state.as_str(),
                imported.attempt_count,
                first_attempt
            ])?;
        for attempt in &imported.attempts {
            insert_attempt(&self.connection, key, attempt)?;
        }
        if let Some(record) = imported.matched() {
            candidate::store_record(&self.connection, key, &record)?;
        }
        if let Some(post) = imported.signed_delivery() {
            candidate::store(&self.connection, key, Link::Post, &post)?;
        }
        if let Some(last_at) = imported.redeliveries.last_at {
            self.connection
                .prepare_cached(
                    "INSERT INTO repeat (id, count, last_at, last_headers) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    key,
                    imported.redeliveries.count.cast_signed(),
                    to_micros(last_at),
                    row::headers_to_text(&imported.redeliveries.last_headers)
                ])?;
        }
        Ok(())
    }

    /// Returns the state before; `None` when it is missing.
    fn replay_one(&self, id: DeliveryId, now: i64) -> rusqlite::Result<Option<State>> {
        let state = self.state_to_change(id)?;
        if matches!(
            state,
            Some(State::Pending | State::Acknowledged | State::DeadLettered)
        ) {
            self.connection
                .prepare_cached(
                    "UPDATE delivery SET state = 'pending', due_at = ?2, first_attempt = attempts + 1, elapsed = 0, uncounted = 0 WHERE id = ?1",
                )?
                .execute([key(id), now])?;
        }
        Ok(state)
    }
}
