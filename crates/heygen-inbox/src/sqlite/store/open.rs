//! Loads the state of the file when it is opened, and recovers what an ended process had claimed.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::claim::{insert_attempt, reset_due_times};
use super::{ClosedState, Store, data_version};
use crate::sqlite::dedup_index::DedupIndex;
use crate::sqlite::file::cannot;
use crate::sqlite::options::SqliteOptions;
use crate::sqlite::order;
use crate::time::{from_micros, to_micros};
use crate::{Attempt, AttemptOutcome, DeliveryId, DispatchOrder, InboxError, InboxErrorKind};

impl Store {
    /// Opens the file again after a failure that may have left it in an unknown state, above all a
    /// failed fsync, or after its files were moved.
    ///
    /// Every acknowledged delivery had reached the disk by a successful fsync, so only the newest
    /// of them is looked up. Pages that a failed fsync left in the page cache alone are written
    /// again by the checkpoint: nothing is acknowledged before that.
    pub(in crate::sqlite) fn reopen(
        path: &Path,
        options: &SqliteOptions,
        closed_state: &ClosedState,
    ) -> Result<Self, InboxError> {
        let mut store = Self::open(path, options, &closed_state.in_flight, SystemTime::now())?;
        let distrust = |what: &str| {
            let message = format!(
                "inbox {} is not trusted after a failure: {what}",
                path.display()
            );
            InboxError::new(InboxErrorKind::Storage, message)
        };
        store.damaged.clone_from(&closed_state.damaged);
        if store.last_id < closed_state.last_id {
            return Err(distrust("the newest acknowledged delivery is not in it"));
        }
        store
            .checkpoint()
            .map_err(|error| distrust("its log does not reach the disk").with_source(error))?;
        Ok(store)
    }

    /// Leaves a random gap before the next id while ids run ahead of the clock. The file may be an
    /// older copy, whose next ids were given to other deliveries before: applications that
    /// deduplicate by id would drop the new ones. Otherwise the time keeps ids apart. The gap is
    /// seconds, so that ids do not run further ahead with each start.
    pub(in crate::sqlite) fn leave_gap_in_ids(
        &mut self,
        now: SystemTime,
    ) -> Result<(), InboxError> {
        if self.last_id <= to_micros(now) {
            return Ok(());
        }
        // Copies of one file are restored too, hence the random part.
        let gap = MIN_GAP + i64::from(random()? % MAX_RANDOM_GAP);
        let last_id = self.last_id + gap;
        let set = |store: &mut Self| {
            store.begin()?;
            store.connection.execute(
                "INSERT INTO inbox (name, value) VALUES ('last_id', ?1) \
                 ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
                [last_id],
            )?;
            store.last_id = store.last_id.max(last_id);
            store.commit(0)
        };
        set(self).map_err(|error| cannot("prepare", self.files.path(), error))
    }
}

/// The state of the file, as one transaction loaded it.
pub(super) struct Loaded {
    pub(super) dedup_index: DedupIndex,
    pub(super) last_id: i64,
    pub(super) data_version: i64,
}

impl Loaded {
    pub(super) fn of(connection: &Connection, dedup_index: DedupIndex) -> rusqlite::Result<Self> {
        Ok(Self {
            dedup_index,
            last_id: last_id(connection)?,
            data_version: data_version(connection)?,
        })
    }
}

/// The tag of every id of this inbox; `None` in a file that was just created.
pub(in crate::sqlite) fn read_tag(connection: &Connection) -> rusqlite::Result<Option<u32>> {
    connection
        .query_row("SELECT value FROM inbox WHERE name = 'tag'", (), |row| {
            row.get(0)
        })
        .optional()
}

pub(super) fn find_or_create_tag(connection: &Connection, path: &Path) -> Result<u32, InboxError> {
    let failed = |error| cannot("prepare", path, error);
    if let Some(tag) = read_tag(connection).map_err(failed)? {
        return Ok(tag);
    }
    let tag = DeliveryId::new(0, random()?).tag();
    connection
        .execute("INSERT INTO inbox (name, value) VALUES ('tag', ?1)", [tag])
        .map_err(failed)?;
    Ok(tag)
}

fn random() -> Result<u32, InboxError> {
    getrandom::u32().map_err(|error| {
        let message = "the system provides no random numbers";
        InboxError::new(InboxErrorKind::Storage, message).with_source(error)
    })
}

/// Records attempts that the end of their process interrupted, and loads the state.
pub(super) fn recover(
    connection: &mut Connection,
    run_len: usize,
    in_flight: &HashSet<(i64, u32)>,
    now: SystemTime,
) -> rusqlite::Result<Loaded> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // In a file that was restored from a backup, the attempt of the backup is claimed, which no one
    // completes.
    let claimed: Vec<(i64, u32)> = transaction
        .prepare("SELECT id, attempts FROM delivery WHERE state = 'claimed'")?
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    order::upgrade(&transaction)?;
    let order = order::current(&transaction)?;
    for (id, _) in claimed
        .into_iter()
        .filter(|claimed| !in_flight.contains(claimed))
    {
        interrupt(&transaction, id)?;
        if order == DispatchOrder::PerSubject {
            order::unblock_next(&transaction, id, to_micros(now))?;
        }
    }
    if last_id(&transaction)? > to_micros(now) {
        reset_due_times(&transaction, to_micros(now))?;
    }
    let dedup_index = DedupIndex::load(&transaction, run_len)?;
    let loaded = Loaded::of(&transaction, dedup_index)?;
    transaction.commit()?;
    Ok(loaded)
}

/// Records that the end of its process interrupted the attempt at a claimed delivery, which is
/// pending again.
pub(super) fn interrupt(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    let (attempt, started_at): (u32, i64) = connection
        .prepare_cached(
            "SELECT attempts, coalesce(claimed_at, received_at) FROM delivery WHERE id = ?1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let started = from_micros(started_at);
    let interrupted = Attempt::new(
        attempt,
        started,
        Duration::ZERO,
        AttemptOutcome::Interrupted,
    );
    insert_attempt(connection, id, &interrupted)?;
    connection
        .prepare_cached(
            "UPDATE delivery SET state = 'pending', due_at = ?2, claimed_at = NULL, uncounted = uncounted + 1 WHERE id = ?1",
        )?
        // The time of the claim and not now, because the clock may be ahead.
        .execute([id, started_at])?;
    Ok(())
}

/// The newest id ever given, even if its delivery has been pruned: other processes would miss a
/// delivery with a lower id.
pub(in crate::sqlite) fn last_id(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "SELECT max(coalesce((SELECT max(id) FROM delivery), 0), \
                        coalesce((SELECT value FROM inbox WHERE name = 'last_id'), 0))",
        )?
        .query_row((), |row| row.get(0))
}

/// How many ids a gap skips at least: more than were given since the backup, as a rule.
const MIN_GAP: i64 = 1_000_000;
const MAX_RANDOM_GAP: u32 = 9_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::store::NewRow;
    use crate::{NewDelivery, Source};

    /// Damages a file with three deliveries while it is closed, and opens it again.
    #[track_caller]
    fn check(damage: &str, expected: Result<(), &str>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let (options, now) = (SqliteOptions::default(), SystemTime::now());
        let mut store = Store::open(&path, &options, &HashSet::new(), now).expect("an inbox");
        store.begin().expect("begin");
        for number in 1..=3 {
            let body = format!(r#"{{"event_type":"a.b","event_data":{{"n":{number}}}}}"#);
            let delivery = NewDelivery::new(now, Source::Webhook, Vec::new(), body.into());
            store.append_one(&NewRow::new(delivery)).expect("appended");
        }
        store.commit(0).expect("commit");
        // A delivery that was rolled back was not acknowledged.
        store.begin().expect("begin");
        let other = NewDelivery::new(now, Source::Webhook, Vec::new(), "other".into());
        store.append_one(&NewRow::new(other)).expect("appended");
        store.roll_back();
        let (_, closed_state) = store.into_parts();
        let other = Connection::open(&path).expect("the file");
        other.execute_batch(damage).expect("done to it");
        for _ in 0..2 {
            let reopened = Store::reopen(&path, &options, &closed_state).map(drop);
            match (reopened, expected) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
                (found, expected) => panic!("{found:?} instead of {expected:?} for {damage}"),
            }
        }
    }

    #[test]
    fn file_without_the_newest_answered_delivery_is_not_trusted_again() {
        let delete = |id: &str| {
            format!(
                "DELETE FROM content WHERE id = (SELECT {id}(id) FROM delivery); \
                 DELETE FROM delivery WHERE id = (SELECT {id}(id) FROM delivery)"
            )
        };
        let prune = "INSERT INTO inbox (name, value) SELECT 'last_id', max(id) FROM delivery";
        check("", Ok(()));
        check(&delete("min"), Ok(()));
        check(
            &delete("max"),
            Err("the newest acknowledged delivery is not in it"),
        );
        check(&format!("{prune}; {}", delete("max")), Ok(()));
    }
}
