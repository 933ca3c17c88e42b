//! [`Freezing`]: a run of fingerprints on its way into the table. [`Run`]: one that stands there.

use rusqlite::{Connection, params};

use super::Version;
use crate::dedup::Fingerprint;
use crate::sqlite::filter::Filter;

#[derive(Debug)]
pub(super) struct Freezing {
    pub(super) run: i64,
    pub(super) last_id: i64,
    pub(super) holds_v2: bool,
    pub(super) entries: Vec<(Fingerprint, i64)>,
    pub(super) committed: usize,
    pub(super) written: usize,
}

impl Freezing {
    /// All of a fingerprint.
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
    /// Which version wrote it, and so in which table it stands.
    pub(super) version: Version,
    /// Up to which delivery it and those before it reach.
    pub(super) last_id: i64,
    /// Whether deliveries of version 2 may be in it, under that version's fingerprints.
    pub(super) holds_v2: bool,
    pub(super) filter: Option<Filter>,
}

impl Run {
    pub(super) fn may_hold(&self, fingerprint: Fingerprint, of: Version) -> bool {
        let is_asked = match of {
            Version::V2 => self.holds_v2,
            Version::V3 => self.version == Version::V3,
        };
        is_asked
            && self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.may_hold(fingerprint))
    }

    /// Adds all of a fingerprint.
    pub(super) fn get(
        &self,
        connection: &Connection,
        fingerprint: Fingerprint,
        found: &mut Vec<i64>,
    ) -> rusqlite::Result<()> {
        let sql = match self.version {
            Version::V2 => "SELECT id FROM seen WHERE run = ?1 AND fingerprint = ?2",
            Version::V3 => "SELECT id FROM fingerprint WHERE run = ?1 AND fingerprint = ?2",
        };
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![self.run, fingerprint.0.cast_signed()])?;
        while let Some(row) = rows.next()? {
            found.push(row.get(0)?);
        }
        Ok(())
    }
}
