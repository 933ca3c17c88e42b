//! [`Store`]: the file while it is written, and what is displaced to make room.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Transaction, params};

use super::file::{cannot, open_for_writing};
use super::options::{RingOptions, Room};
use super::request::NewRejected;
use crate::InboxError;
use crate::sqlite::file_id::OpenFiles;
use crate::sqlite::rescue::leave_files;
use crate::sqlite::row::headers_to_text;
use crate::time::to_micros;

pub(super) struct Store {
    connection: Connection,
    files: OpenFiles,
    path: PathBuf,
    /// For posts without and with a well-formed signature.
    room: [Room; 2],
}

impl Store {
    pub(super) fn open(path: &Path, options: &RingOptions) -> Result<Self, InboxError> {
        let connection = open_for_writing(path, options.lock_timeout)?;
        Ok(Self {
            connection,
            files: OpenFiles::of(path)?,
            path: path.to_owned(),
            room: Room::new(options.max_posts as u64, options.max_bytes).shares(),
        })
    }

    /// Whether the files that it has open are still those under their names.
    pub(super) fn is_in_place(&self) -> bool {
        self.files.difference().is_none()
    }

    /// All of them in one commit.
    pub(super) fn write(&mut self, batch: &[NewRejected]) -> Result<(), InboxError> {
        let room = self.room;
        let mut write = || {
            // Immediate: another process may be removing some.
            let transaction = self
                .connection
                .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let mut held = held(&transaction)?;
            for rejected in batch {
                let class = usize::from(rejected.is_signed);
                put(&transaction, rejected, &room[class], &mut held[class])?;
            }
            transaction.commit()
        };
        write().map_err(|error| cannot("write", &self.path, error))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Closing it would delete the log of the file that took its place.
        if !self.is_in_place() {
            leave_files(&self.connection);
        }
    }
}

/// What the file holds of one kind of posts.
#[derive(Default)]
struct Held {
    used: Room,
    /// In the order in which they first came.
    by_reason: BTreeMap<String, Vec<Entry>>,
}

struct Entry {
    id: i64,
    last_at: i64,
    cost: u64,
}

impl Held {
    fn add(&mut self, reason: String, entry: Entry) {
        self.used.posts += 1;
        self.used.bytes += entry.cost;
        self.by_reason.entry(reason).or_default().push(entry);
    }

    fn came_again(&mut self, id: i64, at: i64) {
        let mut all = self.by_reason.values_mut().flatten();
        if let Some(entry) = all.find(|entry| entry.id == id) {
            entry.last_at = entry.last_at.max(at);
        }
    }

    /// Takes out what goes next: of the reason that has the most of what there is too much of, and of those what was last
    /// seen longest ago, but none of those that came first and fill no more than half of the room. So a flood displaces posts
    /// like its own and not those that were there before it.
    fn displace(&mut self, room: &Room) -> Option<i64> {
        let is_full_of_posts = self.used.posts >= room.posts;
        let reasons = self.by_reason.values_mut();
        let entries = reasons.max_by_key(|entries| match is_full_of_posts {
            true => entries.len() as u64,
            false => entries.iter().map(|entry| entry.cost).sum(),
        })?;
        let first = match first_to_stay(entries, room) {
            // Several reasons may have filled their halves.
            all if all == entries.len() => entries.len() / 2,
            first => first,
        };
        let later = entries.iter().enumerate().skip(first);
        let (place, _) = later.min_by_key(|(_, entry)| (entry.last_at, entry.id))?;
        let entry = entries.remove(place);
        self.used.posts -= 1;
        self.used.bytes = self.used.bytes.saturating_sub(entry.cost);
        Some(entry.id)
    }
}

/// How many of the first fit into half of the room.
fn first_to_stay(entries: &[Entry], room: &Room) -> usize {
    let mut bytes = 0;
    let fit = entries.iter().take_while(|entry| {
        bytes += entry.cost;
        bytes <= room.bytes / 2
    });
    let most = usize::try_from(room.posts / 2).unwrap_or(usize::MAX);
    fit.take(most).count()
}

/// For posts without and with a well-formed signature.
fn held(transaction: &Transaction<'_>) -> rusqlite::Result<[Held; 2]> {
    let mut statement = transaction
        .prepare_cached("SELECT is_signed, reason, id, last_at, cost FROM rejected ORDER BY id")?;
    let mut rows = statement.query(())?;
    let mut held = <[Held; 2]>::default();
    while let Some(row) = rows.next()? {
        let entry = Entry {
            id: row.get(2)?,
            last_at: row.get(3)?,
            cost: row.get::<_, i64>(4)?.cast_unsigned(),
        };
        held[usize::from(row.get::<_, bool>(0)?)].add(row.get(1)?, entry);
    }
    Ok(held)
}

fn put(
    transaction: &Transaction<'_>,
    rejected: &NewRejected,
    room: &Room,
    held: &mut Held,
) -> rusqlite::Result<()> {
    let at = to_micros(rejected.at);
    let digest = rejected.digest();
    // A repeat may know better why: not every one is diagnosed.
    let again = transaction
        .prepare_cached(
            "UPDATE rejected SET count = count + 1, last_at = max(last_at, ?2), \
             reason = CASE WHEN ?4 IS NULL THEN reason ELSE ?3 END, explanation = coalesce(?4, explanation) \
             WHERE digest = ?1 RETURNING id",
        )?
        .query_row(
            params![digest, at, rejected.reason, rejected.explanation],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = again {
        held.came_again(id, at);
        return Ok(());
    }
    // One body that is longer than all there is room for is told of all the same.
    let mut kept = rejected.clone();
    if kept.cost() > room.bytes {
        kept.body = None;
    }
    let cost = kept.cost();
    if room.posts == 0 || cost > room.bytes {
        return Ok(());
    }
    while held.used.posts + 1 > room.posts || held.used.bytes + cost > room.bytes {
        let Some(id) = held.displace(room) else {
            break;
        };
        transaction
            .prepare_cached("DELETE FROM rejected WHERE id = ?1")?
            .execute([id])?;
    }
    insert(transaction)?.execute(params![
        kept.is_signed,
        at,
        kept.reason,
        kept.explanation,
        cost.cast_signed(),
        serde_json::Value::from(kept.header_names.clone()).to_string(),
        headers_to_text(&kept.signatures),
        digest,
        kept.body.as_deref(),
    ])?;
    let entry = Entry {
        id: transaction.last_insert_rowid(),
        last_at: at,
        cost,
    };
    held.add(kept.reason, entry);
    Ok(())
}

fn insert<'t>(transaction: &'t Transaction<'_>) -> rusqlite::Result<CachedStatement<'t>> {
    transaction.prepare_cached(
        "INSERT INTO rejected (is_signed, first_at, last_at, count, reason, explanation, cost, header_names, signatures, \
         digest, body) VALUES (?1, ?2, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
}
