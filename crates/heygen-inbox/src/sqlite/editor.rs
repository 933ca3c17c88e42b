//! [`SqliteEditor`]: changes an inbox beside the server that appends to it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{OptionalExtension as _, params};
use tokio::sync::{Notify, mpsc, watch};

use super::candidate;
use super::file::cannot;
use super::file_id::Difference;
use super::job::{Append, Batch, Job};
use super::store::{NewRow, Store};
use crate::dedup::rule::Link;
use crate::time::to_micros;
use crate::{
    Appended, DeliveryId, Imported, InboxError, InboxErrorKind, NewDelivery, Prune, Pruned,
    Replayed, State,
};

/// Changes an inbox file, also while a server appends to it and hands out what is in it.
///
/// Both take turns by SQLite's own lock, and each takes in what the other has added before it adds anything itself. Every
/// call is one transaction and blocks until it is on the disk; what comes in meanwhile at the server waits for it, so calls
/// should stay small (some hundred deliveries). A server takes notice within a second.
///
/// # Examples
///
/// ```
/// use std::time::SystemTime;
/// use heygen_inbox::{NewDelivery, Source, sqlite::SqliteEditor};
///
/// # let folder = tempfile::tempdir()?;
/// let mut editor = SqliteEditor::open(&folder.path().join("inbox.db"))?;
/// let body = r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"a","msg":"no credit"}}"#;
/// let delivery = NewDelivery::new(SystemTime::now(), Source::Backfill, Vec::new(), body.into());
/// let id = editor.append(&[delivery])?[0].id();
/// assert_eq!(editor.replay(&[id], SystemTime::now())?.pending, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SqliteEditor {
    store: Option<Store>,
    path: PathBuf,
}

impl SqliteEditor {
    /// Opens the inbox at `path`, making it when there is none.
    ///
    /// # Errors
    ///
    /// [`Version`](crate::InboxErrorKind::Version) when a server of another version has it open or it is no inbox,
    /// [`Storage`](crate::InboxErrorKind::Storage) when it cannot be opened, read or written.
    pub fn open(path: &Path) -> Result<Self, InboxError> {
        Ok(Self {
            store: Some(Store::open_beside(path, LOCK_TIMEOUT)?),
            path: path.to_owned(),
        })
    }

    /// Keeps these as a receiver would, all of them or none, and says for each whether it was new.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when they could not be written.
    pub fn append(&mut self, deliveries: &[NewDelivery]) -> Result<Vec<Appended>, InboxError> {
        let rows: Vec<_> = deliveries.iter().cloned().map(NewRow::new).collect();
        self.transact(|store| store.append(&rows))
    }

    /// Says for each under which id the same event is here already, and adds nothing.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the file could not be read.
    pub fn find(
        &mut self,
        deliveries: &[NewDelivery],
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        self.transact(|store| find(store, deliveries))
    }

    /// Keeps these with their past, all of them or none. One that is here already stays as it is.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when they could not be written.
    pub fn import(&mut self, deliveries: &[Imported]) -> Result<Vec<Appended>, InboxError> {
        self.transact(|store| import(store, deliveries))
    }

    /// Makes these due at `now`, whatever became of them before, with as many attempts as a new delivery has.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when it could not be written; nothing was changed then.
    pub fn replay(&mut self, ids: &[DeliveryId], now: SystemTime) -> Result<Replayed, InboxError> {
        self.transact(|store| replay(store, ids, now))
    }

    /// One step of pruning, as [`InboxAdmin::prune`](crate::InboxAdmin::prune).
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when it could not be written; nothing was deleted then.
    pub fn prune(&mut self, step: &Prune) -> Result<Pruned, InboxError> {
        self.transact(|store| store.prune(step))
    }

    /// Keeps how far work that goes on over restarts has come; `None` forgets it.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when it could not be written.
    pub fn set_bookmark(&mut self, name: &str, value: Option<&str>) -> Result<(), InboxError> {
        self.transact(|store| store.set_bookmark(name, value, SystemTime::now()))
    }

    /// Does what is asked until nobody can ask any more or somebody asks to close. Appends that have
    /// gathered share a transaction.
    pub(super) fn run(
        mut self,
        mut queue: mpsc::Receiver<Job>,
        appended: &Notify,
        _ended: watch::Sender<()>,
    ) {
        let mut next = queue.blocking_recv();
        while let Some(job) = next.take() {
            match job {
                Job::Append(first) => {
                    let mut appends = vec![*first];
                    while appends.len() < BATCH {
                        match queue.try_recv() {
                            Ok(Job::Append(more)) => appends.push(*more),
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.append_all(appends, appended);
                }
                Job::Work(mut work) | Job::LateWork(mut work) => {
                    let done = self.transact(|store| work.run(store));
                    work.answer(done);
                }
                Job::Close(reply) => {
                    drop(self);
                    // The asker may be gone; the file is closed all the same.
                    let _ = reply.send(Ok(()));
                    return;
                }
                #[cfg(test)]
                Job::Die => panic!("a fault of the test"),
            }
            if next.is_none() {
                next = queue.blocking_recv();
            }
        }
    }

    fn append_all(&mut self, appends: Vec<Append>, notify: &Notify) {
        let mut batch = Batch {
            appends,
            works: Vec::new(),
        };
        match self.transact(|store| batch.run(store)) {
            Ok(all) => {
                notify.notify_one();
                batch.answer(all);
            }
            Err(error) => batch.refuse(&error),
        }
    }

    fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut Store) -> rusqlite::Result<T>,
    ) -> Result<T, InboxError> {
        let remembered = self.store.as_ref().map_or(0, Store::remembered);
        if remembered > LOOK_ANEW {
            self.let_go();
        }
        // After any failure the file is opened anew: what is remembered of it may not be so.
        let mut store = match self.store.take() {
            Some(store) => store,
            None => Store::open_beside(&self.path, LOCK_TIMEOUT)?,
        };
        if let Some(difference) = store.files().difference() {
            return Err(self.misplaced(store, difference, "nothing was written"));
        }
        let done = catch_unwind(AssertUnwindSafe(|| {
            store.begin()?;
            let done = work(&mut store)?;
            store.commit(0)?;
            Ok(done)
        }));
        let done = done.map_err(|_| {
            let path = self.path.display();
            let message = format!("writing to inbox {path} panicked");
            InboxError::new(InboxErrorKind::Storage, message)
        })?;
        let done = done.map_err(|error| {
            store.roll_back();
            cannot("write to", &self.path, error)
        })?;
        if let Some(difference) = store.files().difference() {
            let what = "what was written last is not in it";
            return Err(self.misplaced(store, difference, what));
        }
        self.store = Some(store);
        Ok(done)
    }
}

impl Drop for SqliteEditor {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl SqliteEditor {
    /// Closes the files, and touches nothing that took their place.
    fn let_go(&mut self) {
        if let Some(store) = self.store.take()
            && store.files().difference().is_some()
        {
            drop(store.into_orphan());
        }
    }

    /// Lets go of files that are no longer found under their names. A server that has them open
    /// copies what they hold.
    fn misplaced(&self, store: Store, difference: Difference, what: &str) -> InboxError {
        drop(store.into_orphan());
        let message = format!(
            "inbox {} {difference} while it was open: {what}",
            self.path.display()
        );
        InboxError::new(InboxErrorKind::Storage, message)
    }
}

pub(super) fn find(
    store: &Store,
    deliveries: &[NewDelivery],
) -> rusqlite::Result<Vec<Option<DeliveryId>>> {
    let found = deliveries.iter().map(|delivery| store.find(delivery));
    found.collect()
}

pub(super) fn import(
    store: &mut Store,
    deliveries: &[Imported],
) -> rusqlite::Result<Vec<Appended>> {
    let import = |imported: &Imported| {
        // Unlike an append's, a duplicate tells of nothing that came: it is not counted.
        if let Some((id, fit)) = store.find_fit(&imported.delivery)? {
            store.link(id, fit, &imported.delivery)?;
            return Ok(Appended::Duplicate(store.id(id)));
        }
        let row = NewRow::new(imported.delivery.clone());
        let appended = store.append_one(&row)?;
        give_past(store, appended.id(), imported)?;
        Ok(appended)
    };
    deliveries.iter().map(import).collect()
}

pub(super) fn replay(
    store: &Store,
    ids: &[DeliveryId],
    now: SystemTime,
) -> rusqlite::Result<Replayed> {
    let mut replayed = Replayed::default();
    for id in ids {
        match replay_one(store, *id, to_micros(now))? {
            Some(State::Claimed | State::Interrupted) => replayed.claimed += 1,
            Some(State::Pending | State::Done | State::Dead) => replayed.pending += 1,
            None => replayed.missing += 1,
        }
    }
    Ok(replayed)
}

fn give_past(store: &Store, id: DeliveryId, imported: &Imported) -> rusqlite::Result<()> {
    let state = imported.begun_state();
    let first_attempt = match imported.is_replayed {
        true => i64::from(imported.handed_out) + 1,
        false => 1,
    };
    let key = id.key().cast_signed();
    store
        .connection()
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
        store.insert_attempt(key, attempt)?;
    }
    if let Some(record) = imported.matched() {
        candidate::store_record(store.connection(), key, &record)?;
    }
    if let Some(post) = imported.signed_delivery() {
        candidate::store(store.connection(), key, Link::Post, &post)?;
    }
    if let Some(last_at) = imported.repeats.last_at {
        store
            .connection()
            .prepare_cached(
                "INSERT INTO repeat (id, count, last_at, last_headers) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                key,
                imported.repeats.count.cast_signed(),
                to_micros(last_at),
                super::row::headers_to_text(&imported.repeats.last_headers)
            ])?;
    }
    Ok(())
}

/// The state it was in before; `None` when it is not there.
fn replay_one(store: &Store, id: DeliveryId, now: i64) -> rusqlite::Result<Option<State>> {
    if id.tag() != store.tag() {
        return Ok(None);
    }
    let key = id.key().cast_signed();
    let state = store
        .connection()
        .prepare_cached("SELECT state FROM delivery WHERE id = ?1")?
        .query_row([key], |row| super::row::state(row, 0))
        .optional()?;
    if matches!(state, Some(State::Pending | State::Done | State::Dead)) {
        store
            .connection()
            .prepare_cached(
                "UPDATE delivery SET state = 'pending', due_at = ?2, first_attempt = attempts + 1, elapsed = 0, uncounted = 0 WHERE id = ?1",
            )?
            .execute([key, now])?;
    }
    Ok(state)
}

/// How many appends share a transaction.
const BATCH: usize = 1024;

/// How long to wait for a turn. A server under full load takes one after the other.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// So many fingerprints are about 20 MiB.
const LOOK_ANEW: usize = 500_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::SqliteReader;
    use crate::{Attempt, AttemptResult, Source};

    fn imported(state: State) -> Imported {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let body = r#"{"event_type":"a.b","event_data":{}}"#.into();
        let mut imported = Imported::new(NewDelivery::new(at, Source::Webhook, Vec::new(), body));
        imported.state = state;
        imported.handed_out = 3;
        imported.attempts = vec![Attempt::new(3, at, Duration::ZERO, AttemptResult::Dead)];
        imported.repeats.count = 2;
        imported.repeats.last_at = Some(at);
        imported
    }

    #[test]
    fn a_past_comes_along_and_importing_again_changes_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let mut editor = SqliteEditor::open(&path).expect("an inbox");
        let past = imported(State::Dead);
        let id = editor
            .import(std::slice::from_ref(&past))
            .expect("imported")[0]
            .id();
        let reader = SqliteReader::open(&path).expect("an inbox");
        let kept = reader.get(id).expect("readable").expect("it is there");
        assert_eq!(
            (kept.summary.state, kept.summary.attempts),
            (State::Dead, 3)
        );
        assert_eq!(
            (&kept.attempts, &kept.repeats),
            (&past.attempts, &past.repeats)
        );
        let again = editor.import(&[past]).expect("imported");
        assert_eq!(again, [Appended::Duplicate(id)]);
        assert_eq!(reader.get(id).expect("readable"), Some(kept));
    }

    #[test]
    fn what_is_replayed_on_import_begins_a_new_round() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let mut editor = SqliteEditor::open(&path).expect("an inbox");
        let mut past = imported(State::Dead);
        past.is_replayed = true;
        editor.import(&[past]).expect("imported");
        let mut store = Store::open_beside(&path, LOCK_TIMEOUT).expect("an inbox");
        store.begin().expect("a transaction");
        let claim = store
            .claim(&crate::ClaimRequest::due(1, SystemTime::now()))
            .expect("a claim");
        let rounds: Vec<_> = claim
            .deliveries
            .iter()
            .map(|claimed| (claimed.first_attempt, claimed.attempt))
            .collect();
        assert_eq!(rounds, [(4, 4)]);
    }

    #[test]
    fn looking_adds_nothing() {
        let folder = tempfile::tempdir().expect("it works");
        let mut editor = SqliteEditor::open(&folder.path().join("inbox.db")).expect("it works");
        let delivery = |id: &str| {
            let body = format!(r#"{{"event_type":"batch.finished","event_data":{{"id":"{id}"}}}}"#);
            NewDelivery::new(
                SystemTime::now(),
                Source::Backfill,
                Vec::new(),
                body.into_bytes().into(),
            )
        };
        let kept = editor.append(&[delivery("a")]).expect("it works")[0].id();
        for _ in 0..2 {
            let found = editor
                .find(&[delivery("b"), delivery("a")])
                .expect("it works");
            assert_eq!(found, [None, Some(kept)]);
        }
    }
}
