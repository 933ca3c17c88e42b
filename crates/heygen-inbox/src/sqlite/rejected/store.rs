//! [`Store`]: the file while it is written, and what is displaced to make room.

use std::path::{Path, PathBuf};

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Transaction, params};
use sha2::{Digest as _, Sha256};

use super::file::{cannot, open_for_writing};
use super::{NewRejected, RingOptions, Room};
use crate::InboxError;
use crate::sqlite::row::headers_to_text;
use crate::time::to_micros;

pub(super) struct Store {
    connection: Connection,
    path: PathBuf,
    /// For posts without and with a well-formed signature.
    room: [Room; 2],
}

impl Store {
    pub(super) fn open(path: &Path, options: &RingOptions) -> Result<Self, InboxError> {
        let connection = open_for_writing(path, options.lock_time)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            room: Room::new(options.max_posts as u64, options.max_bytes).shares(),
        })
    }

    /// All of them in one commit.
    pub(super) fn write(&mut self, batch: &[NewRejected]) -> Result<(), InboxError> {
        let room = self.room;
        let mut write = || {
            // Immediate: another process may be removing some.
            let transaction = self
                .connection
                .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let mut used = used(&transaction)?;
            for rejected in batch {
                let class = usize::from(rejected.is_signed);
                put(&transaction, rejected, &room[class], &mut used[class])?;
            }
            transaction.commit()
        };
        write().map_err(|error| cannot("write", &self.path, error))
    }
}

impl NewRejected {
    pub(super) fn len(&self) -> usize {
        let names: usize = self.header_names.iter().map(|name| name.len() + 3).sum();
        let signatures = self.signatures.iter();
        let signatures: usize = signatures
            .map(|header| header.name.len() + header.value.len() + 7)
            .sum();
        let explanation = self.explanation.as_ref().map_or(0, String::len);
        names + signatures + explanation + self.reason.len() + self.body_len()
    }

    fn body_len(&self) -> usize {
        self.body.as_ref().map_or(0, bytes::Bytes::len)
    }

    /// In whole pages, with something for the row and its places in the indexes: never less than it takes in the file.
    fn cost(&self) -> u64 {
        ((self.len() + ROW) as u64).next_multiple_of(PAGE)
    }

    /// The same body with the same signatures is the same post, sent again. Of what was not read nobody knows whether it is
    /// the same; it counts as such where it was turned away for the same reason.
    fn digest(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        for header in &self.signatures {
            hash.update(headers_to_text(std::slice::from_ref(header)));
        }
        match &self.body {
            Some(body) => {
                hash.update([0]);
                hash.update(body);
            }
            None => {
                hash.update([1]);
                hash.update(&self.reason);
            }
        }
        hash.finalize().to_vec()
    }
}

fn used(transaction: &Transaction<'_>) -> rusqlite::Result<[Room; 2]> {
    let mut statement = transaction
        .prepare_cached("SELECT is_signed, count(*), sum(cost) FROM rejected GROUP BY is_signed")?;
    let mut rows = statement.query(())?;
    let mut used = [Room::default(); 2];
    while let Some(row) = rows.next()? {
        used[usize::from(row.get::<_, bool>(0)?)] = Room {
            posts: row.get::<_, i64>(1)?.cast_unsigned(),
            bytes: row.get::<_, i64>(2)?.cast_unsigned(),
        };
    }
    Ok(used)
}

fn put(
    transaction: &Transaction<'_>,
    rejected: &NewRejected,
    room: &Room,
    used: &mut Room,
) -> rusqlite::Result<()> {
    let at = to_micros(rejected.at);
    let digest = rejected.digest();
    // A repeat may know better why: not every one is diagnosed.
    let again = transaction
        .prepare_cached(
            "UPDATE rejected SET count = count + 1, last_at = max(last_at, ?2), \
             reason = CASE WHEN ?4 IS NULL THEN reason ELSE ?3 END, explanation = coalesce(?4, explanation) \
             WHERE digest = ?1",
        )?
        .execute(params![digest, at, rejected.reason, rejected.explanation])?;
    if again > 0 {
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
    while used.posts + 1 > room.posts || used.bytes + cost > room.bytes {
        let Some(freed) = displace_oldest(transaction, rejected.is_signed)? else {
            break;
        };
        used.posts -= 1;
        used.bytes = used.bytes.saturating_sub(freed);
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
    used.posts += 1;
    used.bytes += cost;
    Ok(())
}

fn insert<'t>(transaction: &'t Transaction<'_>) -> rusqlite::Result<CachedStatement<'t>> {
    transaction.prepare_cached(
        "INSERT INTO rejected (is_signed, first_at, last_at, count, reason, explanation, cost, header_names, signatures, \
         digest, body) VALUES (?1, ?2, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
}

/// What was last seen longest ago; says what that counted with.
fn displace_oldest(
    transaction: &Transaction<'_>,
    is_signed: bool,
) -> rusqlite::Result<Option<u64>> {
    transaction
        .prepare_cached(
            "DELETE FROM rejected WHERE id = \
             (SELECT id FROM rejected WHERE is_signed = ?1 ORDER BY last_at, id LIMIT 1) RETURNING cost",
        )?
        .query_row([is_signed], |row| row.get::<_, i64>(0))
        .optional()
        .map(|cost| cost.map(i64::cast_unsigned))
}

const PAGE: u64 = 4096;

/// Bytes of a row besides its texts and body: numbers, digest, and two places in indexes.
const ROW: usize = 256;
