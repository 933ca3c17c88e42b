//! [`Flush`]: a run of fingerprints while it is written to the table. [`Run`]: a complete one.
//!
//! Runs of schema version 2 are in the table `seen`, all others in `fingerprint`.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::bloom_filter::BloomFilter;
use crate::dedup::index::Fingerprint;

#[derive(Debug)]
pub(super) struct Flush {
    run: i64,
    last_id: i64,
    /// In the order of the table: by signed number.
    entries: Vec<(Fingerprint, i64)>,
    committed: usize,
    written: usize,
}

impl Flush {
    pub(super) fn new(run: i64, last_id: i64, mut entries: Vec<(Fingerprint, i64)>) -> Self {
        entries.sort_unstable_by_key(|(fingerprint, id)| (fingerprint.0.cast_signed(), *id));
        Self {
            run,
            last_id,
            entries,
            committed: 0,
            written: 0,
        }
    }

    /// All deliveries of a fingerprint.
    pub(super) fn get(&self, fingerprint: Fingerprint) -> impl Iterator<Item = i64> {
        let number = fingerprint.0.cast_signed();
        let from = self
            .entries
            .partition_point(|(entry, _)| entry.0.cast_signed() < number);
        self.entries[from..]
            .iter()
            .take_while(move |(entry, _)| *entry == fingerprint)
            .map(|(_, id)| *id)
    }

    /// Writes up to `rows` rows, inside the caller's transaction, and after the last of them that
    /// the run is complete.
    pub(super) fn write_some(
        &mut self,
        connection: &Connection,
        rows: usize,
    ) -> rusqlite::Result<()> {
        let end = self.entries.len().min(self.written.saturating_add(rows));
        let mut insert = connection
            .prepare_cached("INSERT INTO fingerprint (run, fingerprint, id) VALUES (?1, ?2, ?3)")?;
        for (fingerprint, id) in &self.entries[self.written..end] {
            insert.execute(params![self.run, fingerprint.0.cast_signed(), id])?;
        }
        self.written = end;
        if self.is_written() {
            connection.execute(
                "INSERT INTO seen_run (run, last_id, filter, version) VALUES (?1, ?2, ?3, 3)",
                params![self.run, self.last_id, self.filter().to_bytes()],
            )?;
        }
        Ok(())
    }

    pub(super) fn committed(&mut self) {
        self.committed = self.written;
    }

    pub(super) fn rolled_back(&mut self) {
        self.written = self.committed;
    }

    pub(super) fn is_written(&self) -> bool {
        self.written == self.entries.len()
    }

    pub(super) fn into_run(self) -> Run {
        Run {
            run: self.run,
            last_id: self.last_id,
            filter: Some(self.filter()),
        }
    }

    fn filter(&self) -> BloomFilter {
        BloomFilter::of(self.entries.iter().map(|(fingerprint, _)| *fingerprint))
    }
}

#[derive(Debug)]
pub(super) struct Run {
    pub(super) run: i64,
    /// The newest delivery that is in this run or one before it.
    pub(super) last_id: i64,
    pub(super) filter: Option<BloomFilter>,
}

impl Run {
    pub(super) fn load_all(connection: &Connection) -> rusqlite::Result<Vec<Self>> {
        connection
            .prepare("SELECT run, last_id, filter FROM seen_run ORDER BY run")?
            .query_map((), |row| {
                Ok(Self {
                    run: row.get(0)?,
                    last_id: row.get(1)?,
                    filter: row
                        .get_ref(2)?
                        .as_blob()
                        .ok()
                        .and_then(BloomFilter::from_bytes),
                })
            })?
            .collect()
    }

    pub(super) fn may_contain(&self, fingerprint: Fingerprint) -> bool {
        let filter = self.filter.as_ref();
        filter.is_none_or(|filter| filter.may_contain(fingerprint))
    }

    /// Adds all deliveries of a fingerprint.
    pub(super) fn get(
        &self,
        connection: &Connection,
        fingerprint: Fingerprint,
        found: &mut Vec<i64>,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "SELECT id FROM fingerprint WHERE run = ?1 AND fingerprint = ?2 \
             UNION ALL SELECT id FROM seen WHERE run = ?1 AND fingerprint = ?2",
        )?;
        let mut rows = statement.query(params![self.run, fingerprint.0.cast_signed()])?;
        while let Some(row) = rows.next()? {
            found.push(row.get(0)?);
        }
        Ok(())
    }

    /// Deletes up to `rows` rows of the oldest run that only holds deliveries before `first`.
    /// Returns which run that is, and whether all of it is deleted.
    pub(super) fn prune(
        connection: &Connection,
        first: i64,
        rows: usize,
    ) -> rusqlite::Result<Option<(i64, bool)>> {
        let oldest = "SELECT run FROM seen_run WHERE last_id < ?1 ORDER BY run LIMIT 1";
        let old: Option<i64> = connection
            .prepare_cached(oldest)?
            .query_row([first], |row| row.get(0))
            .optional()?;
        let Some(run) = old else {
            return Ok(None);
        };
        let limit = i64::try_from(rows).unwrap_or(i64::MAX);
        let mut deleted = 0;
        for table in ["seen", "fingerprint"] {
            let delete = format!(
                "DELETE FROM {table} WHERE run = ?1 AND (fingerprint, id) IN \
                 (SELECT fingerprint, id FROM {table} WHERE run = ?1 ORDER BY fingerprint, id LIMIT ?2)"
            );
            deleted += connection
                .prepare_cached(&delete)?
                .execute(params![run, limit])?;
        }
        let is_gone = deleted < rows;
        if is_gone {
            connection.execute("DELETE FROM seen_run WHERE run = ?1", [run])?;
        }
        Ok(Some((run, is_gone)))
    }
}
