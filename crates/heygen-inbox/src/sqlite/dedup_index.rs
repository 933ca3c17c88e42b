//! [`DedupIndex`]: finds stored deliveries by fingerprint.
//!
//! A log-structured index of three levels, which a lookup searches together:
//! 1. `recent`: a map in memory of the newest fingerprints;
//! 2. `flush`: the map before it, sorted, while it is written to the table `fingerprint`, a few
//!    rows with every commit;
//! 3. `runs`: the sorted runs in the table, each with a [`BloomFilter`](bloom_filter::BloomFilter)
//!    in memory, so that nearly every query of the table finds something.
//!
//! A fingerprint only finds candidates; the stored delivery decides. The table needs no random
//! writes: every run is sorted and appended. Memory is bounded: two maps of `run_len`, and the
//! filters of the newest [`MAX_FILTERS`] runs.
//!
//! Runs of schema version 2 stay in the table `seen` and are queried by the fingerprints of that
//! version.

use rusqlite::{Connection, Row};

mod bloom_filter;
mod run;

use self::run::{Flush, Run};
use super::{candidate, row};
use crate::NewDelivery;
use crate::dedup::fingerprint;
use crate::dedup::index::{Fingerprint, Index};
use crate::dedup::rule::{BestMatch, Match};
use crate::dedup::{BodyDigest, v2};

#[derive(Debug)]
pub(super) struct DedupIndex {
    run_len: usize,
    recent: Index<i64>,
    flush: Option<Flush>,
    runs: Vec<Run>,
    next_run: i64,
    /// Whether schema version 2 wrote to the file.
    has_v2: bool,
    /// What to remove from `recent` if the transaction fails.
    undo: Vec<(Fingerprint, i64)>,
    /// Runs that the open transaction deletes.
    deleted_runs: Vec<i64>,
}

impl DedupIndex {
    /// Loads the index, inside the caller's transaction. Reads all deliveries that are in no run
    /// yet, and writes each full run of them.
    pub(super) fn load(connection: &Connection, run_len: usize) -> rusqlite::Result<Self> {
        let mut index = Self::load_runs(connection, run_len)?;
        // An incomplete run is written again.
        let last_run = index.runs.last().map_or(0, |run| run.run);
        connection.execute("DELETE FROM seen WHERE run > ?1", [last_run])?;
        connection.execute("DELETE FROM fingerprint WHERE run > ?1", [last_run])?;
        index.load_deliveries(connection)?;
        Ok(index)
    }

    /// For a process that writes no runs, because another does.
    pub(super) fn load_without_flushes(connection: &Connection) -> rusqlite::Result<Self> {
        let mut index = Self::load_runs(connection, usize::MAX)?;
        index.load_deliveries(connection)?;
        Ok(index)
    }

    /// Reads what other processes have added after `known`, inside the open transaction.
    pub(super) fn catch_up(&mut self, connection: &Connection, known: i64) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(SINCE)?;
        let mut rows = statement.query([known])?;
        while let Some(row) = rows.next()? {
            self.insert(index_fingerprints(row)?.into_iter(), row.get(0)?);
        }
        Ok(())
    }

    /// Reads the deliveries that are in no run yet.
    fn load_deliveries(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let covered = self.runs.last().map_or(0, |run| run.last_id);
        let mut statement = connection.prepare(SINCE)?;
        let mut rows = statement.query([covered])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            self.insert(index_fingerprints(row)?.into_iter(), id);
            self.undo.clear();
            if self.recent.len() >= self.run_len {
                self.start_flush(id);
                self.write_some(connection, usize::MAX)?;
                self.committed(id);
            }
        }
        Ok(())
    }

    fn load_runs(connection: &Connection, run_len: usize) -> rusqlite::Result<Self> {
        let sql = "SELECT EXISTS (SELECT 1 FROM inbox WHERE name = 'version_2_to' AND value > 0)";
        let runs = Run::load_all(connection)?;
        let mut index = Self {
            run_len: run_len.max(1),
            recent: Index::default(),
            flush: None,
            next_run: runs.last().map_or(1, |run| run.run + 1),
            runs,
            has_v2: connection.query_row(sql, (), |row| row.get(0))?,
            undo: Vec::new(),
            deleted_runs: Vec::new(),
        };
        index.drop_old_filters();
        Ok(index)
    }

    /// Deletes up to `rows` index rows of runs that only hold deliveries before `first`, inside the
    /// caller's transaction. Returns whether there are no more of them.
    pub(super) fn prune(
        &mut self,
        connection: &Connection,
        first: i64,
        rows: usize,
    ) -> rusqlite::Result<bool> {
        let Some((run, is_gone)) = Run::prune(connection, first, rows)? else {
            return Ok(true);
        };
        self.deleted_runs.extend(is_gone.then_some(run));
        Ok(false)
    }

    /// Whether [`find`](Self::find) has any candidates; nearly always false for a new event. A run
    /// so old that its filter is not in memory may contain anything.
    pub(super) fn may_contain(&self, delivery: &NewDelivery) -> bool {
        let mut looked_up = self.lookup_fingerprints(delivery);
        looked_up.any(|fingerprint| {
            self.recent.contains(fingerprint)
                || self
                    .flush
                    .as_ref()
                    .is_some_and(|flush| flush.get(fingerprint).next().is_some())
                || self.runs.iter().any(|run| run.may_contain(fingerprint))
        })
    }

    /// The stored delivery that this is a duplicate of.
    pub(super) fn find(
        &self,
        connection: &Connection,
        delivery: &NewDelivery,
    ) -> rusqlite::Result<Option<(i64, Match)>> {
        let mut best = BestMatch::new();
        for id in self.candidates(connection, delivery)? {
            if let Some(stored) = candidate::read(connection, id, delivery.source())?
                && best.consider(delivery, id, &stored)
            {
                break;
            }
        }
        Ok(best.into_match())
    }

    /// Deliveries that may be the same event, the newest first.
    fn candidates(
        &self,
        connection: &Connection,
        delivery: &NewDelivery,
    ) -> rusqlite::Result<Vec<i64>> {
        let mut found = Vec::new();
        for fingerprint in self.lookup_fingerprints(delivery) {
            found.extend(self.recent.get(fingerprint));
            if let Some(flush) = &self.flush {
                found.extend(flush.get(fingerprint));
            }
            for run in &self.runs {
                if run.may_contain(fingerprint) {
                    run.get(connection, fingerprint, &mut found)?;
                }
            }
        }
        found.sort_unstable_by(|left, right| right.cmp(left));
        found.dedup();
        Ok(found)
    }

    fn lookup_fingerprints(
        &self,
        delivery: &NewDelivery,
    ) -> impl Iterator<Item = Fingerprint> + use<> {
        let (source, key) = (delivery.source(), delivery.dedup_key());
        let v2 = self.has_v2.then(|| v2::lookup_fingerprints(source, key));
        delivery
            .lookup_fingerprints()
            .chain(v2.into_iter().flatten())
    }

    pub(super) fn insert(&mut self, fingerprints: impl Iterator<Item = Fingerprint>, id: i64) {
        for fingerprint in fingerprints {
            self.recent.insert(fingerprint, id);
            self.undo.push((fingerprint, id));
        }
    }

    /// Whether index rows wait to be written, by an idle writer too.
    pub(super) fn is_flushing(&self) -> bool {
        self.flush.is_some()
    }

    /// Writes up to `rows` waiting rows, inside the caller's transaction.
    pub(super) fn write_some(
        &mut self,
        connection: &Connection,
        rows: usize,
    ) -> rusqlite::Result<()> {
        match &mut self.flush {
            Some(flush) => flush.write_some(connection, rows),
            None => Ok(()),
        }
    }

    /// The transaction was committed. `last_id` is the newest delivery in it.
    pub(super) fn committed(&mut self, last_id: i64) {
        self.undo.clear();
        let deleted_runs = std::mem::take(&mut self.deleted_runs);
        self.runs.retain(|run| !deleted_runs.contains(&run.run));
        if let Some(flush) = &mut self.flush {
            flush.committed();
        }
        if let Some(flush) = self.flush.take_if(|flush| flush.is_written()) {
            self.runs.push(flush.into_run());
            self.drop_old_filters();
        }
        if self.flush.is_none() && self.recent.len() >= self.run_len {
            self.start_flush(last_id);
        }
    }

    /// How many fingerprints are held in memory.
    pub(super) fn buffered(&self) -> usize {
        self.recent.len()
    }

    /// The transaction was rolled back.
    pub(super) fn rolled_back(&mut self) {
        self.deleted_runs.clear();
        while let Some((fingerprint, id)) = self.undo.pop() {
            self.recent.remove(fingerprint, id);
        }
        if let Some(flush) = &mut self.flush {
            flush.rolled_back();
        }
    }

    fn start_flush(&mut self, last_id: i64) {
        let run = self.next_run;
        self.next_run += 1;
        let entries = std::mem::take(&mut self.recent).into_entries();
        self.flush = Some(Flush::new(run, last_id, entries));
    }

    fn drop_old_filters(&mut self) {
        let old = self.runs.len().saturating_sub(MAX_FILTERS);
        for run in &mut self.runs[..old] {
            run.filter = None;
        }
    }
}

/// The fingerprints of a row of [`SINCE`], by the rules of the version that wrote it.
fn index_fingerprints(row: &Row<'_>) -> rusqlite::Result<Vec<Fingerprint>> {
    let digest = row.get_ref(3)?.as_blob()?;
    let digest = digest.try_into().ok().map(v2::Digest);
    let body = row.get_ref(4)?.as_blob_or_null()?;
    Ok(match (body, digest) {
        (None, Some(digest)) => {
            v2::index_fingerprints(row.get_ref(2)?.as_str_or_null()?, digest).collect()
        }
        (Some(body), event) => match (row::named(row, 1), body.try_into()) {
            (Ok(source), Ok(body)) => {
                fingerprint::index_fingerprints(source, BodyDigest(body), event).collect()
            }
            // Damage, which a check reports: a duplicate of it is delivered again.
            _ => Vec::new(),
        },
        (None, None) => Vec::new(),
    })
}

const SINCE: &str =
    "SELECT id, source, event_id, digest, body_digest FROM delivery WHERE id > ?1 ORDER BY id";

/// 64 MiB with the default length of a run; older runs are queried without a filter.
const MAX_FILTERS: usize = 64;

/// A process that writes no runs loads the index again past so many fingerprints in memory: about
/// 20 MiB.
pub(super) const RELOAD_AFTER: usize = 500_000;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::{Duration, SystemTime};

    use tempfile::TempDir;

    use super::*;
    use crate::dedup::rule::{Candidate, Link};
    use crate::sqlite::options::SqliteOptions;
    use crate::sqlite::store::{NewRow, Store};
    use crate::{Appended, Source};

    /// The model: all that is stored, the newest last.
    type Model = Vec<(i64, Candidate)>;

    struct Rig {
        folder: TempDir,
        store: Store,
        model: Model,
        committed: Model,
        found: [u32; 3],
    }

    fn open(folder: &TempDir) -> Store {
        let options = SqliteOptions::default().with_run_len(RUN_LEN);
        let path = folder.path().join("inbox.db");
        Store::open(&path, &options, &HashSet::new(), SystemTime::now()).expect("an inbox")
    }

    impl Rig {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            Self {
                store: open(&folder),
                folder,
                model: Model::new(),
                committed: Model::new(),
                found: [0; 3],
            }
        }

        /// Deliveries of all sources about the same events, some of which name a job, each with
        /// several bodies.
        fn delivery(number: u64, minutes: u64) -> NewDelivery {
            let source = Source::ALL[(number % 4) as usize];
            let (subject, shape) = (number / 16, (number / 4) % 4);
            let key = if subject % 2 == 0 {
                "video_id"
            } else {
                "group_id"
            };
            let data = format!(r#""event_type":"x.y","event_data":{{"{key}":{subject}}}"#);
            let body = match shape {
                0 => format!("{{{data}}}"),
                1 => format!(r#"{{"event_id":"{subject}",{data}}}"#),
                2 => format!(r#"{{"event_id":"other {subject}",{data}}}"#),
                _ => format!(r#"{{"n":{subject},{data}}}"#),
            };
            let received_at = SystemTime::UNIX_EPOCH + START + Duration::from_secs(60 * minutes);
            NewDelivery::new(received_at, source, Vec::new(), body.into())
        }

        fn append(&mut self, delivery: &NewDelivery) {
            let mut best = BestMatch::new();
            for (id, stored) in self.model.iter().rev() {
                if best.consider(delivery, *id, stored) {
                    break;
                }
            }
            let expected = best.into_match();
            let found = self.store.find(delivery).expect("a lookup");
            assert_eq!(found, expected, "{delivery:?}");
            let row = NewRow::new(delivery.clone());
            let appended = self.store.append([&row]).expect("appended")[0];
            let Some((id, fit)) = found else {
                assert!(matches!(appended, Appended::New(_)));
                let key = appended.id().key().cast_signed();
                self.model.push((key, Candidate::of(delivery)));
                return;
            };
            assert_eq!(appended, Appended::Duplicate(self.store.id(id)));
            self.found[0] += 1;
            let Some(link) = fit.link else {
                return;
            };
            let stored = self.model.iter_mut().find(|(known, _)| *known == id);
            let (_, stored) = stored.expect("it is there");
            match link {
                Link::Record => stored.matched = Some(delivery.record_identity()),
                Link::Post => stored.signed = Some(delivery.dedup_key().body()),
            }
            self.found[1 + usize::from(link == Link::Post)] += 1;
        }

        /// Appends in one transaction, which writes some of the waiting index rows.
        fn batch(&mut self, deliveries: &[NewDelivery], rows: usize, commit: bool) {
            self.store.begin().expect("begin");
            deliveries.iter().for_each(|delivery| self.append(delivery));
            if commit {
                self.store.commit(rows).expect("commit");
                self.committed.clone_from(&self.model);
            } else {
                self.store.write_waiting(rows).expect("index rows");
                self.store.roll_back();
                self.model.clone_from(&self.committed);
            }
        }
    }

    const RUN_LEN: usize = 16;
    const START: Duration = Duration::from_secs(1_790_000_000);

    #[test]
    fn index_agrees_with_a_model_over_commits_rollbacks_and_restarts() {
        let mut rig = Rig::new();
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut flushes_at_load = 0;
        for minutes in 0..600 {
            let deliveries: Vec<_> = (0..next(6))
                .map(|_| Rig::delivery(next(640), minutes))
                .collect();
            let (rows, commit) = (next(40) as usize, next(4) > 0);
            rig.batch(&deliveries, rows, commit);
            if next(20) == 0 {
                // The process ends here, and another loads the index from the disk.
                flushes_at_load += usize::from(rig.store.dedup_index.is_flushing());
                rig.store = open(&rig.folder);
            }
        }
        let runs = rig.store.dedup_index.runs.len();
        assert!(runs > 20, "{runs} runs");
        assert!(flushes_at_load > 3, "{flushes_at_load} ends within a run");
        assert!(rig.found.iter().all(|count| *count > 3), "{:?}", rig.found);
        let all: Vec<_> = (0..640).map(|number| Rig::delivery(number, 600)).collect();
        rig.batch(&all, 0, true);
    }
}
