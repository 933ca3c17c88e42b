//! What the file holds when it is opened, and what an ended process left in it.

use std::collections::HashSet;
use std::path::Path;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::claim::{INSERT_ATTEMPT, retime};
use super::{Remembered, Store, data_version};
use crate::sqlite::dedup_index::Seen;
use crate::sqlite::file::cannot;
use crate::sqlite::options::SqliteOptions;
use crate::sqlite::order;
use crate::time::to_micros;
use crate::{AttemptOutcome, DeliveryId, DispatchOrder, InboxError, InboxErrorKind};

impl Store {
    /// Opens the file again after a failure that leaves open what is on the disk, a failed fsync above all, or after it was
    /// not in its place.
    ///
    /// What was answered had reached the disk by an fsync of its own, so no more is looked for than the newest of it. What an
    /// fsync that failed left in the memory of the system alone, SQLite writes again when the log goes into the file: nothing
    /// is answered before that.
    pub(in crate::sqlite) fn reopen(
        path: &Path,
        options: &SqliteOptions,
        remembered: &Remembered,
    ) -> Result<Self, InboxError> {
        let mut store = Self::open(path, options, &remembered.in_hand, SystemTime::now())?;
        let distrust = |what: &str| {
            let message = format!(
                "inbox {} is not trusted after a failure: {what}",
                path.display()
            );
            InboxError::new(InboxErrorKind::Storage, message)
        };
        if store.last_id < remembered.last_id {
            return Err(distrust("what was answered last is not in it"));
        }
        store
            .bring_log_in(u64::MAX)
            .map_err(|error| distrust("its log does not reach the disk").with_source(error))?;
        tracing::info!(inbox = %path.display(), "the inbox was opened again after a failure");
        Ok(store)
    }
}

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
    let claimed: Vec<i64> = transaction
        .prepare("SELECT id FROM delivery WHERE state = 'claimed'")?
        .query_map((), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    order::upgrade(&transaction)?;
    let order = order::found(&transaction)?;
    for id in claimed.into_iter().filter(|id| !in_hand.contains(id)) {
        interrupt(&transaction, id)?;
        if order == DispatchOrder::PerSubject {
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

/// Records that the attempt at a claimed delivery ended with its process; the delivery is pending again.
pub(super) fn interrupt(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    let (attempt, started_at): (u32, i64) = connection
        .prepare_cached(
            "SELECT attempts, coalesce(claimed_at, received_at) FROM delivery WHERE id = ?1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let result = AttemptOutcome::Interrupted.as_str();
    connection.prepare_cached(INSERT_ATTEMPT)?.execute(params![
        id,
        attempt,
        started_at,
        0,
        result,
        None::<&str>
    ])?;
    connection
        .prepare_cached(
            "UPDATE delivery SET state = 'pending', due_at = ?2, claimed_at = NULL, uncounted = uncounted + 1 WHERE id = ?1",
        )?
        // When it was claimed, and not now: this process's clock may be ahead.
        .execute([id, started_at])?;
    Ok(())
}

/// The newest id there ever was, also when its delivery has been pruned: what is written below it would be overlooked by
/// others who have the file open.
pub(in crate::sqlite) fn last_id(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "SELECT max(coalesce((SELECT max(id) FROM delivery), 0), \
                        coalesce((SELECT value FROM inbox WHERE name = 'last_id'), 0))",
        )?
        .query_row((), |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::store::NewRow;
    use crate::{NewDelivery, Source};

    /// What becomes of a file with three deliveries between two openings, and what the second says.
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
        // What comes to nothing was not answered.
        store.begin().expect("begin");
        let other = NewDelivery::new(now, Source::Webhook, Vec::new(), "other".into());
        store.append_one(&NewRow::new(other)).expect("appended");
        store.roll_back();
        let remembered = store.into_remembered();
        let other = Connection::open(&path).expect("the file");
        other.execute_batch(damage).expect("done to it");
        for _ in 0..2 {
            let reopened = Store::reopen(&path, &options, &remembered).map(drop);
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
        check(&delete("max"), Err("what was answered last is not in it"));
        check(&format!("{prune}; {}", delete("max")), Ok(()));
    }
}
