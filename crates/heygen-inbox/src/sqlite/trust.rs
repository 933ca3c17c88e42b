//! When a file is trusted again after a failure that leaves open what is on the disk, a failed fsync above all.
//!
//! It is opened anew, and then checked, before anything is answered from it:
//! 1. What was answered last and is still to be handed out stands in it, its body as it came: [`Answered`].
//! 2. The log can be brought into the file, and both reach the disk. After an fsync that failed, the system may take for
//!    written what is not; SQLite copies again whatever it has not seen reach the disk, so this makes it good.
//!
//! Both are bounded, however large the file is: so many deliveries, and a log of some MiB. What was answered long before the
//! failure had reached the disk by an fsync of its own; `inbox check` looks at all of it.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension as _};

use super::store::Store;
use super::{SqliteOptions, row};
use crate::dedup::{BodyDigest, DedupKey};
use crate::{DeliveryId, InboxError, InboxErrorKind};

/// What this process knows of the file while it does not have it open.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// What it has claimed and not finished.
    pub(super) in_hand: HashSet<i64>,
    pub(super) answered: Answered,
}

/// The deliveries that were answered last.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// Their ids rise.
    newest: VecDeque<Entry>,
    /// What the transaction under way adds, and what it ends.
    added: Vec<Entry>,
    ended: Vec<i64>,
}

#[derive(Debug)]
struct Entry {
    id: i64,
    digest: BodyDigest,
    /// What is finished may have been pruned, also by another process.
    is_finished: bool,
}

impl Remembered {
    /// What was answered need not be in the file that is opened next.
    pub(super) fn forget_answered(&mut self) {
        self.answered = Answered::default();
    }
}

/// Opens the file anew and checks it.
pub(super) fn reopen(
    path: &Path,
    options: &SqliteOptions,
    remembered: &mut Remembered,
) -> Result<Store, InboxError> {
    let mut store = Store::open(path, options, &remembered.in_hand, SystemTime::now())?;
    let distrust = |what| {
        let message = format!(
            "inbox {} is not trusted after a failure: {what}",
            path.display()
        );
        InboxError::new(InboxErrorKind::Storage, message)
    };
    let missing = remembered
        .answered
        .missing_in(store.connection())
        .map_err(|error| distrust("it cannot be read".to_owned()).with_source(error))?;
    if let Some(id) = missing {
        let id = DeliveryId::new(id.cast_unsigned(), store.tag());
        return Err(distrust(format!(
            "delivery {id} was answered and is not there as it came; `inbox check --full` tells of damage"
        )));
    }
    store.bring_log_in(u64::MAX).map_err(|error| {
        distrust("its log does not reach the disk".to_owned()).with_source(error)
    })?;
    tracing::info!(
        inbox = %path.display(),
        looked_up = remembered.answered.newest.len(),
        "the inbox was opened anew after a failure; what was answered last is in it"
    );
    store.go_on_from(std::mem::take(&mut remembered.answered));
    Ok(store)
}

impl Answered {
    pub(super) fn add(&mut self, id: i64, digest: BodyDigest) {
        self.added.push(Entry {
            id,
            digest,
            is_finished: false,
        });
    }

    pub(super) fn end(&mut self, id: i64) {
        self.ended.push(id);
    }

    pub(super) fn committed(&mut self) {
        self.newest.extend(self.added.drain(..));
        let too_many = self.newest.len().saturating_sub(MOST);
        self.newest.drain(..too_many);
        for id in self.ended.drain(..) {
            if let Ok(place) = self.newest.binary_search_by_key(&id, |entry| entry.id) {
                self.newest[place].is_finished = true;
            }
        }
    }

    pub(super) fn rolled_back(&mut self) {
        self.added.clear();
        self.ended.clear();
    }

    /// The newest that does not stand in the file as it was answered.
    fn missing_in(&self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        let mut select = connection
            .prepare("SELECT source, body FROM delivery JOIN content USING (id) WHERE id = ?1")?;
        for entry in self.newest.iter().rev() {
            let kept = select
                .query_row([entry.id], |row| {
                    row::source(row, 0)?;
                    Ok(DedupKey::of(row.get_ref(1)?.as_blob()?).body())
                })
                .optional()?;
            let is_there = kept.map_or(entry.is_finished, |digest| digest == entry.digest);
            if !is_there {
                return Ok(Some(entry.id));
            }
        }
        Ok(None)
    }
}

/// So many are looked up: as many as share one commit at the most.
const MOST: usize = 1024;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::sqlite::store::NewRow;
    use crate::{AttemptResult, ClaimRequest, Completion, NewDelivery, Source};

    struct Rig {
        _folder: TempDir,
        path: PathBuf,
        store: Option<Store>,
    }

    impl Rig {
        /// Three deliveries, the first of which is done.
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("inbox.db");
            let options = SqliteOptions::default();
            let now = SystemTime::now();
            let mut store = Store::open(&path, &options, &HashSet::new(), now).expect("an inbox");
            store.begin().expect("begin");
            for number in 1..=3 {
                let body = format!(r#"{{"event_type":"a.b","event_data":{{"n":{number}}}}}"#);
                let delivery = NewDelivery::new(now, Source::Webhook, Vec::new(), body.into());
                let row = NewRow::new(delivery);
                store.append_one(&row).expect("appended");
            }
            let claim = store.claim(&ClaimRequest::due(1, SystemTime::now()));
            let claimed = claim.expect("a claim").deliveries.remove(0);
            let done = Completion::new(&claimed, now, Duration::ZERO, AttemptResult::Done);
            store.complete(&done).expect("an end");
            store.commit(0).expect("commit");
            Self {
                _folder: folder,
                path,
                store: Some(store),
            }
        }

        /// What becomes of the file between two openings, and what the second says.
        #[track_caller]
        fn check(damage: &str, expected: Result<(), &str>) {
            let mut rig = Self::new();
            let store = rig.store.take().expect("a store");
            let mut remembered = store.into_remembered();
            let other = Connection::open(&rig.path).expect("the file");
            other.execute_batch(damage).expect("done to it");
            let options = SqliteOptions::default();
            for _ in 0..2 {
                match (reopen(&rig.path, &options, &mut remembered), expected) {
                    (Ok(store), Ok(())) => remembered = store.into_remembered(),
                    (Err(error), Err(text)) => {
                        assert!(error.to_string().contains(text), "{error}");
                    }
                    (found, expected) => panic!("{found:?} instead of {expected:?} for {damage}"),
                }
                assert_eq!(remembered.answered.newest.len(), 3, "{damage}");
            }
        }
    }

    #[test]
    fn what_was_answered_must_be_there_as_it_came_before_the_file_is_trusted_again() {
        let third = "(SELECT max(id) FROM delivery)";
        let first = "(SELECT min(id) FROM delivery)";
        let missing = Err("was answered and is not there as it came");
        Rig::check("", Ok(()));
        Rig::check(
            &format!("UPDATE content SET body = x'00' WHERE id = {third}"),
            missing,
        );
        Rig::check(
            &format!(
                "DELETE FROM content WHERE id = {third}; DELETE FROM delivery WHERE id = {third}"
            ),
            missing,
        );
        Rig::check(
            &format!("UPDATE delivery SET source = 'elsewhere' WHERE id = {third}"),
            Err("it cannot be read"),
        );
        // It was done: somebody may have pruned it.
        Rig::check(
            &format!(
                "DELETE FROM attempt; DELETE FROM content WHERE id = {first}; DELETE FROM delivery WHERE id = {first}"
            ),
            Ok(()),
        );
    }

    #[test]
    fn only_the_newest_are_remembered_and_nothing_that_was_rolled_back() {
        let mut answered = Answered::default();
        let most = i64::try_from(MOST).expect("a small number");
        for id in 0..most + 10 {
            answered.add(id, BodyDigest([0; 32]));
            match id {
                7 => answered.rolled_back(),
                _ => answered.committed(),
            }
        }
        assert_eq!(answered.newest.len(), MOST);
        assert_eq!(answered.newest.front().map(|entry| entry.id), Some(10));
    }
}
