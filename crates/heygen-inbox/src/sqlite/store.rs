//! [`Store`]: the statements of the writer, run inside its transaction.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, params};

mod append;
mod claim;
mod edit;
mod open;

pub(super) use append::NewRow;
pub(super) use open::{last_id, read_tag};

use append::Inserts;
use claim::{DueTimeScan, InFlight};
use open::{Loaded, find_or_create_tag, recover};

use super::checkpoint::{Wal, WalWarning};
use super::dedup_index::DedupIndex;
use super::drift::DriftTally;
use super::file::{cannot, open_beside, open_for_writing};
use super::file_id::OpenFiles;
use super::options::SqliteOptions;
use super::order::{self, TypePosition};
use super::prune;
use super::recent::Recent;
use super::rescue::Orphan;
use super::traffic::TrafficTally;
use crate::dedup::rule::Match;
use crate::time::to_micros;
use crate::{DeliveryId, DispatchOrder, InboxError, NewDelivery, PruneReport, PruneStep};

#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    pub(super) files: OpenFiles,
    inserts: Inserts,
    pub(super) dedup_index: DedupIndex,
    tag: u32,
    /// The newest delivery, including the open transaction.
    pub(super) last_id: i64,
    last_committed_id: i64,
    in_flight: InFlight,
    pub(super) wal: Wal,
    drift: DriftTally,
    traffic: TrafficTally,
    /// The order that the file has an index for.
    order: DispatchOrder,
    has_event_index: bool,
    /// Of the backlog that goes first, and of the other turns.
    type_positions: [TypePosition; 2],
    recent: Recent,
    /// Deliveries whose content is on a damaged page. SQLite refuses to write in a transaction that
    /// met one, so the next claim dead-letters them.
    damaged: HashSet<i64>,
    due_time_scan: DueTimeScan,
    /// Changes when another process has written to the file.
    data_version: i64,
    /// The time of the last claim.
    latest: i64,
}

/// State of the process that outlives a [`Store`], for the next one.
#[derive(Debug, Default)]
pub(super) struct ClosedState {
    /// Deliveries that it has claimed and not completed, with the number of the attempt.
    pub(super) in_flight: HashSet<(i64, u32)>,
    /// Deliveries whose content is on a damaged page.
    pub(super) damaged: HashSet<i64>,
    /// The newest delivery that was acknowledged to its sender; 0 when the file need not hold it.
    pub(super) last_id: i64,
}

impl Store {
    /// Opens the file. A delivery that is claimed there for an attempt that is not `in_flight` was
    /// interrupted by the end of its process, and is pending again.
    pub(super) fn open(
        path: &Path,
        options: &SqliteOptions,
        in_flight: &HashSet<(i64, u32)>,
        now: SystemTime,
    ) -> Result<Self, InboxError> {
        let mut connection = open_for_writing(path, options.lock_timeout)?;
        let failed = |error| cannot("open", path, error);
        let tag = find_or_create_tag(&connection, path)?;
        let loaded = recover(&mut connection, options.run_len, in_flight, now).map_err(failed)?;
        let files = OpenFiles::of(path)?;
        let mut store = Self::over(connection, files, loaded, tag).map_err(failed)?;
        store.in_flight.attempts.clone_from(in_flight);
        store.wal.watch(&mut store.connection).map_err(failed)?;
        Ok(store)
    }

    /// Opens the file of an inbox that another process may serve.
    pub(super) fn open_beside(path: &Path, lock_timeout: Duration) -> Result<Self, InboxError> {
        let mut connection = open_beside(path, lock_timeout)?;
        let failed = |error| cannot("open", path, error);
        let tag = find_or_create_tag(&connection, path)?;
        let loaded = connection
            .transaction()
            .and_then(|transaction| {
                Loaded::of(
                    &transaction,
                    DedupIndex::load_without_flushes(&transaction)?,
                )
            })
            .map_err(failed)?;
        Self::over(connection, OpenFiles::of(path)?, loaded, tag).map_err(failed)
    }

    fn over(
        connection: Connection,
        files: OpenFiles,
        loaded: Loaded,
        tag: u32,
    ) -> rusqlite::Result<Self> {
        let order = order::current(&connection)?;
        let has_event_index = order::has_event_index(&connection)?;
        Ok(Self {
            connection,
            files,
            inserts: Inserts::new(),
            dedup_index: loaded.dedup_index,
            tag,
            last_id: loaded.last_id,
            last_committed_id: loaded.last_id,
            in_flight: InFlight::default(),
            wal: Wal::default(),
            drift: DriftTally::default(),
            traffic: TrafficTally::default(),
            order,
            has_event_index,
            type_positions: Default::default(),
            recent: Recent::default(),
            damaged: HashSet::new(),
            due_time_scan: DueTimeScan::default(),
            data_version: loaded.data_version,
            latest: 0,
        })
    }

    /// Begins a transaction, and reads what other processes have appended since the last one.
    pub(super) fn begin(&mut self) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute(())?;
        if data_version(&self.connection)? != self.data_version {
            self.dedup_index.catch_up(&self.connection, self.last_id)?;
            self.last_id = last_id(&self.connection)?.max(self.last_id);
            self.order = order::current(&self.connection)?;
        }
        Ok(())
    }

    /// Adds up to `index_rows` waiting rows of the deduplication index and the counts to the
    /// transaction, and commits.
    pub(super) fn commit(&mut self, index_rows: usize) -> rusqlite::Result<()> {
        self.write_waiting(index_rows)?;
        let data_version = data_version(&self.connection)?;
        self.connection.prepare_cached("COMMIT")?.execute(())?;
        self.data_version = data_version;
        self.last_committed_id = self.last_id;
        self.dedup_index.committed(self.last_id);
        self.in_flight.committed();
        Ok(())
    }

    pub(super) fn write_waiting(&mut self, index_rows: usize) -> rusqlite::Result<()> {
        self.dedup_index.write_some(&self.connection, index_rows)?;
        self.drift.write(&self.connection)?;
        self.traffic.write(&self.connection)
    }

    pub(super) fn roll_back(&mut self) {
        if !self.connection.is_autocommit() {
            // If this fails too, SQLite rolls back when the connection is closed.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.last_id = self.last_committed_id;
        self.dedup_index.rolled_back();
        self.in_flight.rolled_back();
        self.drift.rolled_back();
        self.traffic.rolled_back();
        // Creating or dropping an index may have been rolled back.
        self.order = order::current(&self.connection).unwrap_or(self.order);
        self.has_event_index = order::has_event_index(&self.connection).unwrap_or(true);
    }

    /// The files, which are closed when that is dropped, and the state for the next store.
    pub(super) fn into_parts(self) -> (Orphan, ClosedState) {
        let closed_state = ClosedState {
            in_flight: self.in_flight.attempts,
            damaged: self.damaged,
            last_id: self.last_committed_id,
        };
        (Orphan::new(self.connection, self.files), closed_state)
    }

    /// Checkpoints, as far as readers allow. Returns a warning when the log stays long.
    pub(super) fn checkpoint(&mut self) -> rusqlite::Result<Option<WalWarning>> {
        self.wal.checkpoint(&self.connection)
    }

    /// Checkpoints and truncates the log; for an idle writer.
    pub(super) fn truncate_wal(&mut self) -> rusqlite::Result<Option<WalWarning>> {
        let bytes = self.files.log_bytes();
        self.wal.truncate(&self.connection, bytes, Instant::now())
    }

    /// The stored delivery that this is a duplicate of.
    pub(super) fn find(&self, delivery: &NewDelivery) -> rusqlite::Result<Option<(i64, Match)>> {
        self.dedup_index.find(&self.connection, delivery)
    }

    /// Writes a row, so that the commit has to reach the disk.
    pub(super) fn touch(&self) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO inbox (name, value) VALUES ('ready', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1",
            )?
            .execute(())?;
        Ok(())
    }

    pub(super) fn prune(
        &mut self,
        step: &PruneStep,
        damaged: &HashSet<i64>,
    ) -> rusqlite::Result<PruneReport> {
        let index = &mut self.dedup_index;
        let mut pruned = prune::step(&self.connection, index, damaged, self.tag, step)?;
        // The rest of the log is checkpointed soon, or holds pages that are counted already.
        pruned.bytes += self.wal.pinned_bytes();
        Ok(pruned)
    }

    pub(super) fn set_bookmark(
        &self,
        name: &str,
        value: Option<&str>,
        now: SystemTime,
    ) -> rusqlite::Result<()> {
        match value {
            Some(value) => self.connection.execute(
                "INSERT OR REPLACE INTO bookmark (name, value, set_at) VALUES (?1, ?2, ?3)",
                params![name, value, to_micros(now)],
            ),
            None => self
                .connection
                .execute("DELETE FROM bookmark WHERE name = ?1", [name]),
        }?;
        Ok(())
    }

    /// Checkpoints, as far as readers allow, and closes the file.
    pub(super) fn close(mut self) -> Result<(), rusqlite::Error> {
        self.checkpoint()?;
        self.connection.close().map_err(|(_, error)| error)
    }

    pub(super) fn id(&self, key: i64) -> DeliveryId {
        DeliveryId::new(key.cast_unsigned(), self.tag)
    }
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("PRAGMA data_version")?
        .query_row((), |row| row.get(0))
}

fn key(id: DeliveryId) -> i64 {
    id.key().cast_signed()
}
