//! [`Seen`]: was this event here before?
//!
//! Three places, looked through in this order:
//! 1. `recent`: a map in memory of what came in last;
//! 2. `freezing`: the map before it, sorted, on its way into the table `seen`, a few rows with every commit;
//! 3. `runs`: what stands in the table, each run with a [`Filter`] in memory, so that the table is hardly ever asked in vain.
//!
//! A fingerprint only finds a candidate; the delivery on disk decides. The table needs no random writes: every run is
//! sorted and goes to the end. Memory is bounded: two maps of `run_len`, and the filters of the newest [`MAX_FILTERS`] runs.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use rusqlite::{Connection, OptionalExtension as _, params};

mod run;

use self::run::{Freezing, Run};
use super::filter::Filter;
use crate::sameness::{Digest, Fingerprint, Sameness};

#[derive(Debug)]
pub(super) struct Seen {
    run_len: usize,
    recent: Recent,
    freezing: Option<Freezing>,
    runs: Vec<Run>,
    next_run: i64,
    /// What to undo in `recent` should the transaction fail.
    undo: Vec<(Fingerprint, Option<i64>)>,
    /// Runs that the transaction under way deletes.
    gone: Vec<i64>,
}

type Recent = HashMap<Fingerprint, i64, BuildHasherDefault<Already>>;

impl Seen {
    /// Reads back what an earlier process left, inside the caller's transaction. Costs one pass over what is not in a run
    /// yet, and what is more than one run of that is written into one.
    pub(super) fn load(connection: &Connection, run_len: usize) -> rusqlite::Result<Self> {
        let (mut seen, covered) = Self::load_runs(connection, run_len)?;
        // A run that was not finished is written anew.
        let last_run = seen.runs.last().map_or(0, |run| run.run);
        connection.execute("DELETE FROM seen WHERE run > ?1", [last_run])?;
        seen.take_in(connection, covered, |seen, last_id| {
            if seen.recent.len() >= seen.run_len {
                seen.freeze(last_id);
                seen.write_some(connection, usize::MAX)?;
                seen.committed(last_id);
            }
            Ok(())
        })?;
        Ok(seen)
    }

    /// The same for one that writes no runs, because another process does.
    pub(super) fn load_beside(connection: &Connection) -> rusqlite::Result<Self> {
        let (mut seen, covered) = Self::load_runs(connection, usize::MAX)?;
        seen.take_in(connection, covered, |_, _| Ok(()))?;
        Ok(seen)
    }

    /// Takes in what other processes have added after `known`, inside the transaction under way.
    pub(super) fn catch_up(&mut self, connection: &Connection, known: i64) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(SINCE)?;
        let mut rows = statement.query([known])?;
        while let Some(row) = rows.next()? {
            self.insert(&sameness_of(row, 1)?, row.get(0)?);
        }
        Ok(())
    }

    fn take_in(
        &mut self,
        connection: &Connection,
        covered: i64,
        mut after_each: impl FnMut(&mut Self, i64) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare(SINCE)?;
        let mut rows = statement.query([covered])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            self.insert(&sameness_of(row, 1)?, id);
            self.undo.clear();
            after_each(self, id)?;
        }
        Ok(())
    }

    /// The runs, and up to which delivery they cover everything.
    fn load_runs(connection: &Connection, run_len: usize) -> rusqlite::Result<(Self, i64)> {
        let mut runs = Vec::new();
        let mut covered: i64 = 0;
        let mut statement =
            connection.prepare("SELECT run, last_id, filter FROM seen_run ORDER BY run")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let filter = row.get_ref(2)?.as_blob().ok().and_then(Filter::from_bytes);
            runs.push(Run {
                run: row.get(0)?,
                filter,
            });
            covered = row.get(1)?;
        }
        let mut seen = Self {
            run_len: run_len.max(1),
            recent: Recent::default(),
            freezing: None,
            next_run: runs.last().map_or(1, |run| run.run + 1),
            runs,
            undo: Vec::new(),
            gone: Vec::new(),
        };
        seen.forget_old_filters();
        Ok((seen, covered))
    }

    /// Deletes up to `rows` index rows that only tell of deliveries before `first`, inside the caller's transaction. Gives
    /// whether there is nothing more of that kind.
    pub(super) fn prune(
        &mut self,
        connection: &Connection,
        first: i64,
        rows: usize,
    ) -> rusqlite::Result<bool> {
        let old: Option<i64> = connection
            .prepare_cached("SELECT run FROM seen_run WHERE last_id < ?1 ORDER BY run LIMIT 1")?
            .query_row([first], |row| row.get(0))
            .optional()?;
        let Some(run) = old else {
            return Ok(true);
        };
        let deleted = connection
            .prepare_cached(
                "DELETE FROM seen WHERE run = ?1 AND fingerprint IN \
                 (SELECT fingerprint FROM seen WHERE run = ?1 ORDER BY fingerprint LIMIT ?2)",
            )?
            .execute(params![run, i64::try_from(rows).unwrap_or(i64::MAX)])?;
        if deleted < rows {
            connection.execute("DELETE FROM seen_run WHERE run = ?1", [run])?;
            self.gone.push(run);
        }
        Ok(false)
    }

    /// Whether [`find`](Self::find) has anything to look at; nearly always it has not when the event is new. A
    /// run so old that its filter is not held may know anything.
    pub(super) fn may_know(&self, sameness: &Sameness) -> bool {
        sameness.look_under().into_iter().any(|fingerprint| {
            self.in_memory(fingerprint).is_some()
                || self.runs.iter().any(|run| run.may_hold(fingerprint))
        })
    }

    /// The earlier delivery that is the same event, if there is one.
    pub(super) fn find(
        &self,
        connection: &Connection,
        sameness: &Sameness,
    ) -> rusqlite::Result<Option<i64>> {
        for fingerprint in sameness.look_under() {
            if let Some(id) = self.in_memory(fingerprint)
                && is_same(connection, id, sameness)?
            {
                return Ok(Some(id));
            }
            for run in self
                .runs
                .iter()
                .rev()
                .filter(|run| run.may_hold(fingerprint))
            {
                if let Some(id) = run.get(connection, fingerprint)?
                    && is_same(connection, id, sameness)?
                {
                    return Ok(Some(id));
                }
            }
        }
        Ok(None)
    }

    fn in_memory(&self, fingerprint: Fingerprint) -> Option<i64> {
        let recent = self.recent.get(&fingerprint).copied();
        recent.or_else(|| self.freezing.as_ref()?.get(fingerprint))
    }

    pub(super) fn insert(&mut self, sameness: &Sameness, id: i64) {
        for fingerprint in sameness.file_under() {
            let before = self.recent.insert(fingerprint, id);
            self.undo.push((fingerprint, before));
        }
    }

    /// Whether rows wait for the table, and so whether an idle writer has something to do.
    pub(super) fn is_freezing(&self) -> bool {
        self.freezing.is_some()
    }

    /// Writes up to `rows` waiting rows, inside the caller's transaction.
    pub(super) fn write_some(
        &mut self,
        connection: &Connection,
        rows: usize,
    ) -> rusqlite::Result<()> {
        let Some(freezing) = &mut self.freezing else {
            return Ok(());
        };
        let end = freezing
            .entries
            .len()
            .min(freezing.written.saturating_add(rows));
        let mut insert = connection
            .prepare_cached("INSERT INTO seen (run, fingerprint, id) VALUES (?1, ?2, ?3)")?;
        for (fingerprint, id) in &freezing.entries[freezing.written..end] {
            insert.execute(params![freezing.run, fingerprint.0.cast_signed(), id])?;
        }
        freezing.written = end;
        if freezing.is_written() {
            connection.execute(
                "INSERT INTO seen_run (run, last_id, filter) VALUES (?1, ?2, ?3)",
                params![freezing.run, freezing.last_id, freezing.filter().to_bytes()],
            )?;
        }
        Ok(())
    }

    /// The transaction is on the disk. `last_id` is the newest delivery in it.
    pub(super) fn committed(&mut self, last_id: i64) {
        self.undo.clear();
        let gone = std::mem::take(&mut self.gone);
        self.runs.retain(|run| !gone.contains(&run.run));
        if let Some(freezing) = &mut self.freezing {
            freezing.committed = freezing.written;
        }
        if let Some(freezing) = self.freezing.take_if(|freezing| freezing.is_written()) {
            self.runs.push(Run {
                run: freezing.run,
                filter: Some(freezing.filter()),
            });
            self.forget_old_filters();
        }
        if self.freezing.is_none() && self.recent.len() >= self.run_len {
            self.freeze(last_id);
        }
    }

    /// The transaction came to nothing.
    pub(super) fn rolled_back(&mut self) {
        self.gone.clear();
        while let Some((fingerprint, before)) = self.undo.pop() {
            match before {
                Some(id) => self.recent.insert(fingerprint, id),
                None => self.recent.remove(&fingerprint),
            };
        }
        if let Some(freezing) = &mut self.freezing {
            freezing.written = freezing.committed;
        }
    }

    fn freeze(&mut self, last_id: i64) {
        let run = self.next_run;
        self.next_run += 1;
        let mut entries: Vec<_> = std::mem::take(&mut self.recent).into_iter().collect();
        // As the table orders them: by signed number.
        entries.sort_unstable_by_key(|(fingerprint, _)| fingerprint.0.cast_signed());
        self.freezing = Some(Freezing {
            run,
            last_id,
            entries,
            committed: 0,
            written: 0,
        });
    }

    fn forget_old_filters(&mut self) {
        let old = self.runs.len().saturating_sub(MAX_FILTERS);
        for run in &mut self.runs[..old] {
            run.filter = None;
        }
    }
}

/// Whether the delivery on disk is there, and is the same event.
fn is_same(connection: &Connection, id: i64, sameness: &Sameness) -> rusqlite::Result<bool> {
    let kept = connection
        .prepare_cached("SELECT event_id, digest FROM delivery WHERE id = ?1")?
        .query_row([id], |row| sameness_of(row, 0))
        .optional()?;
    Ok(kept.is_some_and(|kept| kept.is_same(sameness)))
}

fn sameness_of(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Sameness> {
    let digest = row.get(column + 1)?;
    Ok(Sameness::from_parts(row.get(column)?, Digest(digest)))
}

const SINCE: &str = "SELECT id, event_id, digest FROM delivery WHERE id > ?1 ORDER BY id";

/// Fingerprints are parts of SHA-256 already: hashing them again would gain nothing.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// 64 MiB with the default length of a run; older runs are asked on disk.
const MAX_FILTERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// What [`Seen`] has to know, kept in the simplest way there is.
    #[derive(Default)]
    struct Model {
        committed: Vec<(Sameness, i64)>,
        pending: Vec<(Sameness, i64)>,
    }

    struct Rig {
        connection: Connection,
        seen: Seen,
        model: Model,
        last_id: i64,
    }

    impl Rig {
        fn new() -> Self {
            let connection = Connection::open_in_memory().expect("a database");
            connection
                .execute_batch(include_str!("schema_1.sql"))
                .expect("the schema");
            Self {
                seen: Seen::load(&connection, RUN_LEN).expect("nothing to load"),
                connection,
                model: Model::default(),
                last_id: 1_790_000_000_000_000,
            }
        }

        /// Events of three kinds: without an id, with one, and many ids of one digest.
        fn sameness(number: u64) -> Sameness {
            let data = format!(r#""event_type":"x.y","event_data":{{"a":{}}}"#, number / 4);
            let body = match number % 4 {
                0 => format!("{{{data}}}"),
                id => format!(r#"{{"event_id":"{id} of {number}",{data}}}"#),
            };
            Sameness::of(body.as_bytes())
        }

        fn append(&mut self, number: u64) {
            let sameness = Self::sameness(number);
            let known = self.model.committed.iter().chain(&self.model.pending);
            let is_known = known.clone().any(|(kept, _)| kept.is_same(&sameness));
            let found = self.seen.find(&self.connection, &sameness).expect("a look");
            assert_eq!(found.is_some(), is_known, "event {number}");
            if let Some(found) = found {
                let mut known = known;
                assert!(known.any(|(kept, id)| *id == found && kept.is_same(&sameness)));
                return;
            }
            self.last_id += 1;
            self.connection
                .execute(
                    "INSERT INTO delivery (id, received_at, source, event_id, digest, state, due_at, attempts) \
                     VALUES (?1, ?1, 'webhook', ?2, ?3, 'pending', ?1, 0)",
                    params![self.last_id, sameness.event_id(), sameness.digest().0],
                )
                .expect("a row");
            self.seen.insert(&sameness, self.last_id);
            self.model.pending.push((sameness, self.last_id));
        }

        /// Appends in one transaction, of which only some index rows are written with it.
        fn batch(&mut self, numbers: impl Iterator<Item = u64>, rows: usize, commit: bool) {
            self.connection.execute_batch("BEGIN").expect("begin");
            let before = self.last_id;
            numbers.for_each(|number| self.append(number));
            self.seen
                .write_some(&self.connection, rows)
                .expect("index rows");
            if commit {
                self.connection.execute_batch("COMMIT").expect("commit");
                self.seen.committed(self.last_id);
                self.model.committed.append(&mut self.model.pending);
            } else {
                self.connection.execute_batch("ROLLBACK").expect("rollback");
                self.seen.rolled_back();
                self.model.pending.clear();
                self.last_id = before;
            }
        }
    }

    const RUN_LEN: usize = 16;

    #[test]
    fn it_knows_what_was_committed_and_nothing_else_whatever_comes_between() {
        let mut rig = Rig::new();
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut frozen_at_load = 0;
        for _ in 0..600 {
            let numbers: Vec<_> = (0..next(6)).map(|_| next(1500)).collect();
            let (rows, commit) = (next(40) as usize, next(4) > 0);
            rig.batch(numbers.into_iter(), rows, commit);
            if next(20) == 0 {
                // The process ends here, and another takes up what is on the disk.
                frozen_at_load += usize::from(rig.seen.is_freezing());
                rig.seen = Seen::load(&rig.connection, RUN_LEN).expect("a load");
            }
        }
        assert!(rig.seen.runs.len() > 20, "{} runs", rig.seen.runs.len());
        assert!(frozen_at_load > 3, "{frozen_at_load} ends within a run");
        rig.batch(0..1500, 0, true);
    }

    #[test]
    fn runs_without_a_filter_are_asked_on_disk() {
        let mut rig = Rig::new();
        for number in 0..40 {
            rig.batch(number * 4..number * 4 + 4, usize::MAX, true);
        }
        for run in &mut rig.seen.runs {
            run.filter = None;
        }
        rig.batch(0..160, 0, true);
    }
}
