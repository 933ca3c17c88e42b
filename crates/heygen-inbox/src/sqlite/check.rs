//! Integrity checks of an inbox file and of its rows.

use std::path::Path;

use heygen_events::Outcome;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};
use serde::Serialize;

use super::error::is_damage;
use super::{kind, row};
use crate::{AttemptOutcome, DeliveryId, DriftKind, Source, State};

/// How thoroughly to check the file itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum CheckLevel {
    /// SQLite's `quick_check`: every page, without comparing indexes with their tables.
    #[default]
    Quick,
    /// SQLite's `integrity_check`: the same, and every entry of every index. Takes several times as
    /// long.
    Full,
}

/// Something that is wrong with an inbox.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct IntegrityIssue {
    /// What is wrong, for a person to read.
    pub what: String,
    /// How many times.
    pub count: u64,
    /// The first delivery with this issue, if it is about deliveries.
    pub example: Option<DeliveryId>,
}

/// All issues. Damage that stops the check is the last one.
pub(super) fn check(
    connection: &Connection,
    tag: u32,
    level: CheckLevel,
) -> rusqlite::Result<Vec<IntegrityIssue>> {
    let mut issues = Vec::new();
    match find_issues(connection, tag, level, &mut issues) {
        Ok(()) => Ok(issues),
        Err(error) if is_damage(&error) => {
            issues.push(IntegrityIssue::of_file(format!(
                "the file is damaged: {error}"
            )));
            Ok(issues)
        }
        Err(error) => Err(error),
    }
}

/// The first issue that a quick check of the file itself finds.
pub(super) fn file_issue(connection: &Connection) -> rusqlite::Result<Option<String>> {
    match file_issues(connection, CheckLevel::Quick) {
        Ok(issues) => Ok(issues.into_iter().next()),
        Err(error) if is_damage(&error) => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// The issues that SQLite reports.
fn file_issues(connection: &Connection, level: CheckLevel) -> rusqlite::Result<Vec<String>> {
    let pragma = match level {
        CheckLevel::Quick => "PRAGMA quick_check(20)",
        CheckLevel::Full => "PRAGMA integrity_check(20)",
    };
    let mut lines: Vec<String> = connection
        .prepare(pragma)?
        .query_map((), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    lines.retain(|line| line != "ok");
    Ok(lines)
}

/// Whether the file is damaged when its write-ahead log is applied. Changes neither.
pub(super) fn is_damaged_with_log(path: &Path) -> bool {
    let check = || {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Closing it would checkpoint otherwise.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        kind::harden(&connection)?;
        file_issue(&connection)
    };
    match check() {
        Ok(issue) => issue.is_some(),
        Err(error) => is_damage(&error),
    }
}

fn find_issues(
    connection: &Connection,
    tag: u32,
    level: CheckLevel,
    issues: &mut Vec<IntegrityIssue>,
) -> rusqlite::Result<()> {
    let lines = file_issues(connection, level)?;
    issues.extend(lines.into_iter().map(IntegrityIssue::of_file));
    foreign_objects(connection, issues)?;
    orphans(connection, issues)?;
    for (what, condition) in rules() {
        let sql = format!("SELECT count(*), min(id) FROM {condition}");
        let (count, example) =
            connection.query_row(&sql, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
        issues.extend(IntegrityIssue::of_deliveries(what, count, example, tag));
    }
    for (what, sql) in HEADERS {
        let (count, example) = unreadable_headers(connection, sql)?;
        issues.extend(IntegrityIssue::of_deliveries(what, count, example, tag));
    }
    Ok(())
}

/// Triggers and views, which run in other programs that open the file. Here they are disabled.
fn foreign_objects(
    connection: &Connection,
    issues: &mut Vec<IntegrityIssue>,
) -> rusqlite::Result<()> {
    let found: Vec<String> = connection
        .prepare("SELECT type || ' ' || name FROM sqlite_schema WHERE type IN ('trigger', 'view')")?
        .query_map((), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    issues.extend(
        found
            .into_iter()
            .map(|object| IntegrityIssue::of_file(format!("{object} is not part of an inbox"))),
    );
    Ok(())
}

/// Rows that belong to a missing delivery.
fn orphans(connection: &Connection, issues: &mut Vec<IntegrityIssue>) -> rusqlite::Result<()> {
    let found: Vec<(String, i64)> = connection
        .prepare("SELECT \"table\", count(*) FROM pragma_foreign_key_check GROUP BY 1")?
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    issues.extend(found.into_iter().map(|(table, count)| IntegrityIssue {
        what: format!("rows of table {table} belong to no delivery"),
        count: count.cast_unsigned(),
        example: None,
    }));
    Ok(())
}

/// What must not occur: its description, and the SQL after FROM that finds it.
fn rules() -> Vec<(&'static str, String)> {
    let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Other].map(Outcome::as_str);
    let states = [
        State::Pending,
        State::Claimed,
        State::Acknowledged,
        State::DeadLettered,
    ]
    .map(State::as_str);
    let states = list(&states);
    let sources = list(&Source::ALL.map(Source::as_str));
    let outcomes = list(&outcomes);
    let results = list(&AttemptOutcome::ALL.map(AttemptOutcome::as_str));
    let kinds = list(&DriftKind::ALL.map(DriftKind::as_str));
    vec![
        (
            "deliveries without headers and body",
            "delivery WHERE NOT EXISTS (SELECT 1 FROM content WHERE content.id = delivery.id)".to_owned(),
        ),
        (
            "deliveries of an unknown state",
            format!("delivery WHERE state NOT IN ({states})"),
        ),
        (
            "deliveries from an unknown source",
            format!("delivery WHERE source NOT IN ({sources})"),
        ),
        (
            "deliveries with an unknown outcome",
            format!("delivery WHERE outcome NOT IN ({outcomes})"),
        ),
        (
            "deliveries stored before they were received",
            "delivery WHERE id < received_at OR received_at < 0".to_owned(),
        ),
        (
            "deliveries whose digest has another length",
            "delivery WHERE length(body_digest) <> 32 \
             OR (length(digest) <> 16 AND (length(digest) <> 0 OR body_digest IS NULL))"
                .to_owned(),
        ),
        (
            "records and POSTs found to be one whose digest has another length",
            "(SELECT id FROM matched WHERE length(body_digest) <> 32 \
              UNION ALL SELECT id FROM signed WHERE length(body_digest) <> 32)"
                .to_owned(),
        ),
        (
            "deliveries whose state does not fit the time of their attempt",
            "delivery WHERE (state = 'claimed') <> (claimed_at IS NOT NULL) \
             OR (state = 'claimed' AND attempts < 1)"
                .to_owned(),
        ),
        (
            "deliveries whose attempts are counted wrong",
            "delivery WHERE attempts NOT BETWEEN 0 AND 4294967295 OR first_attempt NOT BETWEEN 1 AND attempts + 1"
                .to_owned(),
        ),
        (
            "attempts that were never counted",
            "(SELECT delivery_id AS id FROM attempt JOIN delivery ON delivery.id = delivery_id \
              WHERE number NOT BETWEEN 1 AND attempts)"
                .to_owned(),
        ),
        (
            "attempts with an unknown result",
            format!("(SELECT delivery_id AS id FROM attempt WHERE result NOT IN ({results}))"),
        ),
        (
            "drift of an unknown kind",
            format!("(SELECT example AS id FROM drift WHERE kind NOT IN ({kinds}))"),
        ),
    ]
}

fn unreadable_headers(connection: &Connection, sql: &str) -> rusqlite::Result<(i64, Option<i64>)> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params![])?;
    let mut found = (0, None);
    while let Some(row) = rows.next()? {
        if row::headers(row, 1).is_err() {
            found = (found.0 + 1, found.1.or(Some(row.get(0)?)));
        }
    }
    Ok(found)
}

fn list(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    quoted.join(", ")
}

impl IntegrityIssue {
    fn of_file(what: String) -> Self {
        Self {
            what,
            count: 1,
            example: None,
        }
    }

    fn of_deliveries(what: &str, count: i64, example: Option<i64>, tag: u32) -> Option<Self> {
        (count > 0).then(|| Self {
            what: what.to_owned(),
            count: count.cast_unsigned(),
            example: example.map(|key| DeliveryId::new(key.cast_unsigned(), tag)),
        })
    }
}

const HEADERS: [(&str, &str); 3] = [
    (
        "deliveries whose headers cannot be read",
        "SELECT id, headers FROM content ORDER BY id",
    ),
    (
        "repeats whose headers cannot be read",
        "SELECT id, last_headers FROM repeat ORDER BY id",
    ),
    (
        "POSTs kept with their record whose headers cannot be read",
        "SELECT id, headers FROM signed ORDER BY id",
    ),
];

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::NewDelivery;
    use crate::sqlite::reader::Reader;
    use crate::sqlite::store::{NewRow, Store};

    fn inbox(path: &Path) -> DeliveryId {
        inbox_at(path, SystemTime::now())
    }

    fn inbox_at(path: &Path, received_at: SystemTime) -> DeliveryId {
        let mut store = Store::open_beside(path, Duration::ZERO).expect("an inbox");
        let delivery = NewDelivery::new(
            received_at,
            Source::Webhook,
            Vec::new(),
            r#"{"event_type":"a.b","event_data":{}}"#.into(),
        );
        let repeated = [delivery.clone(), delivery].map(NewRow::new);
        store.begin().expect("a transaction");
        let appended = store.append(&repeated).expect("appended");
        store.commit(0).expect("a commit");
        appended[0].id()
    }

    fn issues(path: &Path) -> Vec<IntegrityIssue> {
        let reader = Reader::open(path).expect("an inbox");
        let check = |level| reader.check(level).expect("readable");
        let found = check(CheckLevel::Quick);
        assert_eq!(check(CheckLevel::Full), found);
        found
    }

    #[track_caller]
    fn check_found(damage: &str, expected: &str) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let id = inbox(&path);
        assert_eq!(issues(&path), []);
        let connection = Connection::open(&path).expect("a database");
        connection
            .execute_batch(&format!("PRAGMA foreign_keys = OFF; {damage}"))
            .expect("damage");
        let found = issues(&path);
        assert_eq!(found.len(), 1, "{damage}: {found:?}");
        assert_eq!((found[0].what.as_str(), found[0].count), (expected, 1));
        assert!(found[0].example.is_none_or(|example| example == id));
    }

    #[test]
    fn damage_is_found() {
        for case in DAMAGE.trim().lines() {
            let (damage, expected) = case.split_once(" => ").expect("what is found");
            check_found(damage, expected);
        }
    }

    /// What is done to a file with one delivery, and what is found.
    const DAMAGE: &str = "
DELETE FROM content => deliveries without headers and body
INSERT INTO content VALUES (7, '[]', x'00') => rows of table content belong to no delivery
UPDATE delivery SET state = 'lost' => deliveries of an unknown state
UPDATE delivery SET source = 'x' => deliveries from an unknown source
UPDATE delivery SET outcome = 'x' => deliveries with an unknown outcome
UPDATE delivery SET received_at = id + 1 => deliveries stored before they were received
UPDATE delivery SET digest = x'00' => deliveries whose digest has another length
UPDATE delivery SET body_digest = x'00' => deliveries whose digest has another length
UPDATE delivery SET digest = x'', body_digest = NULL => deliveries whose digest has another length
INSERT INTO matched SELECT id, 'e', x'00' FROM delivery => records and POSTs found to be one whose digest has another length
INSERT INTO signed SELECT id, 0, '{}', x'00', body_digest FROM delivery => POSTs kept with their record whose headers cannot be read
UPDATE delivery SET claimed_at = 1 => deliveries whose state does not fit the time of their attempt
UPDATE delivery SET attempts = 4294967296 => deliveries whose attempts are counted wrong
UPDATE delivery SET first_attempt = 2 => deliveries whose attempts are counted wrong
INSERT INTO attempt SELECT id, 1, 0, 0, 'acknowledged', NULL FROM delivery => attempts that were never counted
UPDATE delivery SET attempts = 1; INSERT INTO attempt SELECT id, 1, 0, 0, 'x', NULL FROM delivery => attempts with an unknown result
UPDATE drift SET kind = 'x' => drift of an unknown kind
UPDATE content SET headers = '{}' => deliveries whose headers cannot be read
UPDATE repeat SET last_headers = '[[1]]' => repeats whose headers cannot be read
";

    #[test]
    fn delivery_of_the_future_is_no_damage() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        inbox_at(&path, SystemTime::now() + Duration::from_secs(24 * 60 * 60));
        assert_eq!(issues(&path), []);
    }
}
