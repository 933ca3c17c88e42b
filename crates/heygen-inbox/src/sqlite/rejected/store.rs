//! [`Store`]: writes the file, and evicts requests to stay within the quotas.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::file::{LOCK_TIMEOUT, REJECTED};
use super::options::{Quota, RingOptions};
use super::request::NewRejected;
use super::traffic;
use crate::InboxError;
use crate::sqlite::file_id::OpenFiles;
use crate::sqlite::rescue::disable_checkpoint_on_close;
use crate::sqlite::row::headers_to_text;
use crate::time::to_micros;

pub(super) struct Store {
    connection: Connection,
    files: OpenFiles,
    path: PathBuf,
    /// For requests without and with a well-formed signature.
    quota: [Quota; 2],
}

impl Store {
    pub(super) fn open(path: &Path, options: &RingOptions) -> Result<Self, InboxError> {
        let connection = REJECTED.open_for_writing(path, LOCK_TIMEOUT)?;
        Ok(Self {
            connection,
            files: OpenFiles::of(path)?,
            path: path.to_owned(),
            quota: Quota::new(options.max_requests as u64, options.max_bytes).shares(),
        })
    }

    /// Whether the files that it has open are still at their paths.
    pub(super) fn is_in_place(&self) -> bool {
        self.files.change().is_none()
    }

    /// Writes all of them in one commit, and counts the dropped ones with them.
    pub(super) fn write(&mut self, batch: &[NewRejected], dropped: u64) -> Result<(), InboxError> {
        let quota = self.quota;
        let mut write = || {
            // Immediate, because another process may be removing requests.
            let transaction = self
                .connection
                .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let mut contents = contents(&transaction)?;
            for rejected in batch {
                let class = usize::from(rejected.is_signed);
                record(&transaction, rejected, &quota[class], &mut contents[class])?;
            }
            let last = batch.last().map(|rejected| (rejected.at, dropped));
            let counted = batch.iter().map(|rejected| (rejected.at, 1));
            traffic::add(&transaction, counted.chain(last))?;
            transaction.commit()
        };
        write().map_err(|error| REJECTED.cannot("write", &self.path, error))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Closing it would delete the write-ahead log of the file that replaced it.
        if !self.is_in_place() {
            disable_checkpoint_on_close(&self.connection);
        }
    }
}

/// What the file holds of one class of requests.
#[derive(Default)]
struct Contents {
    used: Quota,
    /// Each in the order of their first occurrence.
    by_reason: BTreeMap<String, Vec<Entry>>,
}

struct Entry {
    id: i64,
    last_at: i64,
    cost: u64,
}

impl Contents {
    fn add(&mut self, reason: String, entry: Entry) {
        self.used.requests += 1;
        self.used.bytes += entry.cost;
        self.by_reason.entry(reason).or_default().push(entry);
    }

    fn came_again(&mut self, id: i64, at: i64) {
        let mut all = self.by_reason.values_mut().flatten();
        if let Some(entry) = all.find(|entry| entry.id == id) {
            entry.last_at = entry.last_at.max(at);
        }
    }

    /// Evicts one of the reason that uses the most of the exhausted limit: the least recently seen,
    /// except those that came first and use up to half of the quota. So a flood evicts requests
    /// like its own, and not those stored before it.
    fn evict(&mut self, quota: &Quota) -> Option<i64> {
        let is_full_of_requests = self.used.requests >= quota.requests;
        let reasons = self.by_reason.values_mut();
        let entries = reasons.max_by_key(|entries| match is_full_of_requests {
            true => entries.len() as u64,
            false => entries.iter().map(|entry| entry.cost).sum(),
        })?;
        let first = match protected_len(entries, quota) {
            // Several reasons may use half of the quota each.
            all if all == entries.len() => entries.len() / 2,
            first => first,
        };
        let later = entries.iter().enumerate().skip(first);
        let (index, _) = later.min_by_key(|(_, entry)| (entry.last_at, entry.id))?;
        let entry = entries.remove(index);
        self.used.requests -= 1;
        self.used.bytes = self.used.bytes.saturating_sub(entry.cost);
        Some(entry.id)
    }
}

/// How many of the first use up to half of the quota.
fn protected_len(entries: &[Entry], quota: &Quota) -> usize {
    let mut bytes = 0;
    let fit = entries.iter().take_while(|entry| {
        bytes += entry.cost;
        bytes <= quota.bytes / 2
    });
    let most = usize::try_from(quota.requests / 2).unwrap_or(usize::MAX);
    fit.take(most).count()
}

/// What the file holds of requests without and with a well-formed signature.
fn contents(transaction: &Transaction<'_>) -> rusqlite::Result<[Contents; 2]> {
    let mut statement = transaction
        .prepare_cached("SELECT is_signed, reason, id, last_at, cost FROM rejected ORDER BY id")?;
    let mut rows = statement.query(())?;
    let mut contents = <[Contents; 2]>::default();
    while let Some(row) = rows.next()? {
        let entry = Entry {
            id: row.get(2)?,
            last_at: row.get(3)?,
            cost: row.get::<_, i64>(4)?.cast_unsigned(),
        };
        contents[usize::from(row.get::<_, bool>(0)?)].add(row.get(1)?, entry);
    }
    Ok(contents)
}

fn record(
    transaction: &Transaction<'_>,
    rejected: &NewRejected,
    quota: &Quota,
    contents: &mut Contents,
) -> rusqlite::Result<()> {
    let at = to_micros(rejected.at);
    let digest = rejected.digest();
    // A later request may have an explanation: not every one is diagnosed.
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
        contents.came_again(id, at);
        return Ok(());
    }
    // A body that exceeds the whole quota is left out.
    let mut stored = rejected.clone();
    if stored.cost() > quota.bytes {
        stored.body = None;
    }
    let cost = stored.cost();
    if quota.requests == 0 || cost > quota.bytes {
        return Ok(());
    }
    while contents.used.requests + 1 > quota.requests || contents.used.bytes + cost > quota.bytes {
        let Some(id) = contents.evict(quota) else {
            break;
        };
        transaction
            .prepare_cached("DELETE FROM rejected WHERE id = ?1")?
            .execute([id])?;
    }
    transaction
        .prepare_cached(
            "INSERT INTO rejected (is_signed, first_at, last_at, count, reason, explanation, cost, header_names, signatures, \
             digest, body) VALUES (?1, ?2, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            stored.is_signed,
            at,
            stored.reason,
            stored.explanation,
            cost.cast_signed(),
            serde_json::Value::from(stored.header_names.clone()).to_string(),
            headers_to_text(&stored.signatures),
            digest,
            stored.body.as_deref(),
        ])?;
    let entry = Entry {
        id: transaction.last_insert_rowid(),
        last_at: at,
        cost,
    };
    contents.add(stored.reason, entry);
    Ok(())
}
