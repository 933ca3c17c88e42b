//! What is done to an inbox beside receiving and dispatching: looking up, importing, replaying.

use rusqlite::{OptionalExtension as _, params};

use super::{NewRow, Store, key};
use crate::dedup::rule::Link;
use crate::sqlite::{candidate, row};
use crate::time::to_micros;
use crate::{Appended, DeliveryId, Imported, NewDelivery, ReplayReport, State};

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
            // Unlike an append's, a duplicate tells of nothing that came: it is not counted.
            if let Some((id, fit)) = self.find(&imported.delivery)? {
                self.link(id, fit, &imported.delivery)?;
                return Ok(Appended::Duplicate(self.id(id)));
            }
            let appended = self.append_one(&NewRow::new(imported.delivery.clone()))?;
            let key = key(appended.id());
            // It came in elsewhere, whenever that was.
            self.recent.remove(key.cast_unsigned());
            self.give_past(key, imported)?;
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
            match self.replay_one(*id, now)? {
                Some(State::Claimed | State::Interrupted) => replayed.claimed += 1,
                Some(State::Pending | State::Acknowledged | State::DeadLettered) => {
                    replayed.pending += 1;
                }
                None => replayed.missing += 1,
            }
        }
        Ok(replayed)
    }

    fn give_past(&self, key: i64, imported: &Imported) -> rusqlite::Result<()> {
        let state = imported.begun_state();
        let first_attempt = match imported.is_replayed {
            true => i64::from(imported.handed_out) + 1,
            false => 1,
        };
        self.connection
            .prepare_cached(
                "UPDATE delivery SET state = ?2, attempts = ?3, first_attempt = ?4 WHERE id = ?1",
            )?
            .execute(params![
                key,
                state.as_str(),
                imported.handed_out,
                first_attempt
            ])?;
        for attempt in &imported.attempts {
            self.insert_attempt(key, attempt)?;
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

    /// The state it was in before; `None` when it is not there.
    fn replay_one(&self, id: DeliveryId, now: i64) -> rusqlite::Result<Option<State>> {
        if id.tag() != self.tag {
            return Ok(None);
        }
        let key = key(id);
        let state = self
            .connection
            .prepare_cached("SELECT state FROM delivery WHERE id = ?1")?
            .query_row([key], |row| row::state(row, 0))
            .optional()?;
        if matches!(
            state,
            Some(State::Pending | State::Acknowledged | State::DeadLettered)
        ) {
            self.connection
                .prepare_cached(
                    "UPDATE delivery SET state = 'pending', due_at = ?2, first_attempt = attempts + 1, elapsed = 0, uncounted = 0 WHERE id = ?1",
                )?
                .execute([key, now])?;
        }
        Ok(state)
    }
}
