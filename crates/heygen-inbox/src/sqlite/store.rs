//! [`Store`]: the statements, each run inside the writer's transaction.

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
use claim::{InHand, Times};
use open::{Found, make_tag, take_up};

use super::checkpoint::{Log, Stuck};
use super::dedup_index::Seen;
use super::drift::DriftTally;
use super::file::{cannot, open_beside, open_for_writing};
use super::file_id::OpenFiles;
use super::options::SqliteOptions;
use super::order;
use super::prune;
use super::rescue::Orphan;
use super::traffic::TrafficTally;
use crate::dedup::rule::Fit;
use crate::recent::Recent;
use crate::time::to_micros;
use crate::{DeliveryId, DispatchOrder, InboxError, NewDelivery, PruneReport, PruneStep};

#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    files: OpenFiles,
    inserts: Inserts,
    seen: Seen,
    tag: u32,
    last_id: i64,
    last_committed_id: i64,
    in_hand: InHand,
    log: Log,
    drift: DriftTally,
    traffic: TrafficTally,
    /// What the file is prepared for.
    order: DispatchOrder,
    has_event_index: bool,
    recent: Recent,
    times: Times,
    /// Changes when another process has written to the file.
    data_version: i64,
    /// The time that was told last.
    latest: i64,
}

/// What a process knows of the file while it does not have it open.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// What it has claimed and not finished.
    pub(super) in_hand: HashSet<i64>,
    /// The newest delivery that was answered; 0 where the file need not hold it.
    pub(super) last_id: i64,
}

impl Store {
    /// Opens the file. What is claimed there and not `in_hand` was so when its process ended, and is pending again.
    pub(super) fn open(
        path: &Path,
        options: &SqliteOptions,
        in_hand: &HashSet<i64>,
        now: SystemTime,
    ) -> Result<Self, InboxError> {
        let mut connection = open_for_writing(path, options.lock_timeout)?;
        let failed = |error| cannot("open", path, error);
        let tag = match read_tag(&connection).map_err(failed)? {
            Some(tag) => tag,
            None => make_tag(&connection, path)?,
        };
        let found = take_up(&mut connection, options.run_len, in_hand, now).map_err(failed)?;
        let files = OpenFiles::of(path)?;
        let mut store = Self::over(connection, files, found, tag).map_err(failed)?;
        store.in_hand.ids.clone_from(in_hand);
        store.log.watch(&mut store.connection).map_err(failed)?;
        Ok(store)
    }

    /// Opens the file beside another process, which may be appending to it and dispatching from it.
    pub(super) fn open_beside(path: &Path, lock_timeout: Duration) -> Result<Self, InboxError> {
        let mut connection = open_beside(path, lock_timeout)?;
        let failed = |error| cannot("open", path, error);
        let tag = match read_tag(&connection).map_err(failed)? {
            Some(tag) => tag,
            None => make_tag(&connection, path)?,
        };
        let found = connection
            .transaction()
            .and_then(|transaction| Found::of(&transaction, Seen::load_beside(&transaction)?))
            .map_err(failed)?;
        Self::over(connection, OpenFiles::of(path)?, found, tag).map_err(failed)
    }

    fn over(
        connection: Connection,
        files: OpenFiles,
        found: Found,
        tag: u32,
    ) -> rusqlite::Result<Self> {
        let Found {
            seen,
            last_id,
            data_version,
        } = found;
        let order = order::found(&connection)?;
        let has_event_index = order::has_event_index(&connection)?;
        Ok(Self {
            connection,
            files,
            inserts: Inserts::new(),
            seen,
            tag,
            last_id,
            last_committed_id: last_id,
            in_hand: InHand::default(),
            log: Log::default(),
            drift: DriftTally::default(),
            traffic: TrafficTally::default(),
            order,
            has_event_index,
            recent: Recent::default(),
            times: Times::default(),
            data_version,
            latest: 0,
        })
    }

    /// Begins a transaction, and takes in what other processes have appended since the last.
    pub(super) fn begin(&mut self) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute(())?;
        if data_version(&self.connection)? != self.data_version {
            self.seen.catch_up(&self.connection, self.last_id)?;
            self.last_id = last_id(&self.connection)?.max(self.last_id);
            self.order = order::found(&self.connection)?;
        }
        Ok(())
    }

    /// Writes up to `index_rows` waiting rows of the deduplication index along with what the transaction holds, and commits.
    pub(super) fn commit(&mut self, index_rows: usize) -> rusqlite::Result<()> {
        self.seen.write_some(&self.connection, index_rows)?;
        self.drift.write(&self.connection)?;
        self.traffic.write(&self.connection)?;
        let data_version = data_version(&self.connection)?;
        self.connection.prepare_cached("COMMIT")?.execute(())?;
        self.data_version = data_version;
        self.last_committed_id = self.last_id;
        self.seen.committed(self.last_id);
        self.in_hand.committed();
        Ok(())
    }

    pub(super) fn roll_back(&mut self) {
        if !self.connection.is_autocommit() {
            // Should this fail too, SQLite rolls back when the connection is closed.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.last_id = self.last_committed_id;
        self.seen.rolled_back();
        self.in_hand.rolled_back();
        self.drift.rolled_back();
        self.traffic.rolled_back();
        // Whether an index was made or dropped in vain: what is there decides.
        self.order = order::found(&self.connection).unwrap_or(self.order);
        self.has_event_index = order::has_event_index(&self.connection).unwrap_or(true);
    }

    /// Gives up the file, and tells what must outlast that.
    pub(super) fn into_remembered(self) -> Remembered {
        Remembered {
            in_hand: self.in_hand.ids,
            last_id: self.last_committed_id,
        }
    }

    /// The same, for files that are no longer found under their names.
    pub(super) fn into_orphan(self) -> (Orphan, Remembered) {
        let orphan = Orphan::new(self.connection, self.files);
        let remembered = Remembered {
            in_hand: self.in_hand.ids,
            last_id: self.last_committed_id,
        };
        (orphan, remembered)
    }

    /// The files that it has open.
    pub(super) fn files(&self) -> &OpenFiles {
        &self.files
    }

    pub(super) fn has_long_log(&self) -> bool {
        self.log.is_long()
    }

    /// Brings the log into the file, as far as readers allow. Gives a log that is to be told: it
    /// stays above `warn_bytes`.
    pub(super) fn bring_log_in(&mut self, warn_bytes: u64) -> rusqlite::Result<Option<Stuck>> {
        self.log.bring_in(&self.connection, warn_bytes)
    }

    /// The same while nothing is to be written, and gives the room of the log back.
    pub(super) fn shrink_log(&mut self, warn_bytes: u64) -> rusqlite::Result<Option<Stuck>> {
        let bytes = self.files.log_bytes();
        self.log
            .shrink(&self.connection, bytes, warn_bytes, Instant::now())
    }

    /// The newest delivery, also of the transaction under way.
    pub(super) fn last_id(&self) -> i64 {
        self.last_id
    }

    /// How many fingerprints are held in memory.
    pub(super) fn remembered(&self) -> usize {
        self.seen.remembered()
    }

    pub(super) fn has_index_rows_waiting(&self) -> bool {
        self.seen.is_freezing()
    }

    /// The same event, where it is here already, and how it fits.
    pub(super) fn find(&self, delivery: &NewDelivery) -> rusqlite::Result<Option<(i64, Fit)>> {
        self.seen.find(&self.connection, delivery)
    }

    /// Writes something, so that the commit has to reach the disk.
    pub(super) fn touch(&self) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO inbox (name, value) VALUES ('ready', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1",
            )?
            .execute(())?;
        Ok(())
    }

    pub(super) fn prune(&mut self, step: &PruneStep) -> rusqlite::Result<PruneReport> {
        let mut pruned = prune::step(&self.connection, &mut self.seen, self.tag, step)?;
        // The rest of the log is brought in soon, or stands for pages that are counted already.
        pruned.bytes += self.log.held_bytes();
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

    /// Brings the file itself up to date with its write-ahead log, as far as readers allow, and closes it.
    pub(super) fn close(mut self) -> Result<(), rusqlite::Error> {
        self.bring_log_in(u64::MAX)?;
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Appended, Source};

    fn delivery(filling: usize) -> NewDelivery {
        let body = format!(
            r#"{{"event_type":"x.y","event_data":"{}"}}"#,
            "x".repeat(filling)
        );
        NewDelivery::new(
            SystemTime::now(),
            Source::Webhook,
            Vec::new(),
            Bytes::from(body),
        )
    }

    fn append(store: &mut Store, deliveries: &[NewDelivery]) -> rusqlite::Result<Vec<Appended>> {
        store.begin()?;
        let rows: Vec<_> = deliveries.iter().cloned().map(NewRow::new).collect();
        let appended = store.append(&rows)?;
        store.commit(usize::MAX)?;
        Ok(appended)
    }

    #[test]
    fn what_a_full_disk_refused_is_new_when_it_comes_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let options = SqliteOptions::default();
        let mut store =
            Store::open(&path, &options, &HashSet::new(), SystemTime::now()).expect("an inbox");
        let kept = append(&mut store, &[delivery(1)]).expect("room for one");
        let set_pages = |store: &Store, pages: i64| {
            store
                .connection
                .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
                .expect("a limit");
        };
        // A limit below what is used means: no page more than there is.
        set_pages(&store, 1);
        for _ in 0..3 {
            // The first would fit; it goes with the one that does not.
            let failed = append(&mut store, &[delivery(2), delivery(1), delivery(100_000)]);
            let code = failed.expect_err("no room").sqlite_error_code();
            assert_eq!(code, Some(rusqlite::ErrorCode::DiskFull));
            store.roll_back();
            assert_eq!(store.last_id(), key(kept[0].id()));
        }
        set_pages(&store, 1_000_000);
        let appended = append(
            &mut store,
            &[delivery(2), delivery(1), delivery(100_000), delivery(2)],
        );
        let appended = appended.expect("room again");
        let is_new: Vec<_> = appended
            .iter()
            .map(|appended| matches!(appended, Appended::New(_)))
            .collect();
        assert_eq!(is_new, [true, false, true, false]);
        assert_eq!(appended[1].id(), kept[0].id());
        assert_eq!(appended[3].id(), appended[0].id());
    }
}
