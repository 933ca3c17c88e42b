//! [`Freezing`]: a run of fingerprints on its way into the table. [`Run`]: one that stands there.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::sameness::Fingerprint;
use crate::sqlite::filter::Filter;

#[derive(Debug)]
pub(super) struct Freezing {
    pub(super) run: i64,
    pub(super) last_id: i64,
    pub(super) entries: Vec<(Fingerprint, i64)>,
    pub(super) committed: usize,
    pub(super) written: usize,
}

impl Freezing {
    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<i64> {
        let order = |entry: &(Fingerprint, i64)| entry.0.0.cast_signed();
        let place = self
            .entries
            .binary_search_by_key(&fingerprint.0.cast_signed(), order)
            .ok()?;
        Some(self.entries[place].1)
    }

    pub(super) fn is_written(&self) -> bool {
        self.written == self.entries.len()
    }

    pub(super) fn filter(&self) -> Filter {
        Filter::of(self.entries.iter().map(|(fingerprint, _)| *fingerprint))
    }
}

#[derive(Debug)]
pub(super) struct Run {
    pub(super) run: i64,
    pub(super) filter: Option<Filter>,
}

impl Run {
    pub(super) fn may_hold(&self, fingerprint: Fingerprint) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| filter.may_hold(fingerprint))
    }

    pub(super) fn get(
        &self,
        connection: &Connection,
        fingerprint: Fingerprint,
    ) -> rusqlite::Result<Option<i64>> {
        connection
            .prepare_cached("SELECT id FROM seen WHERE run = ?1 AND fingerprint = ?2")?
            .query_row(params![self.run, fingerprint.0.cast_signed()], |row| {
                row.get(0)
            })
            .optional()
    }
}
