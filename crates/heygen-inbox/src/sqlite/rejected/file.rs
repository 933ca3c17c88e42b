//! The file of posts turned away: made, opened, brought to the current schema.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::{InboxError, InboxErrorKind};

/// Opens for writing, making the file (readable by its owner alone) when there is none.
pub(super) fn open_for_writing(path: &Path, lock_time: Duration) -> Result<Connection, InboxError> {
    make_private(path)?;
    let mut connection = open(path, lock_time)?;
    check_kind(&connection, path)?;
    let failed = |error| cannot("prepare", path, error);
    connection
        .query_row("PRAGMA journal_mode = WAL", (), |_| Ok(()))
        .map_err(failed)?;
    for (pragma, value) in [
        // What was turned away was promised to nobody: the last few posts may be lost with the machine.
        ("synchronous", "NORMAL"),
        ("wal_autocheckpoint", "500"),
        ("journal_size_limit", "2097152"),
        ("cache_size", "-2048"),
    ] {
        connection
            .pragma_update(None, pragma, value)
            .map_err(failed)?;
    }
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Opens an existing file, to look into it and to remove something; `None` when there is none, or nothing in it yet.
pub(super) fn open_existing(path: &Path) -> Result<Option<Connection>, InboxError> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = open(path, LOCK_TIME)?;
    check_kind(&connection, path)?;
    match schema_version(&connection, path)? {
        // It is being made.
        0 => Ok(None),
        version if version == MIGRATIONS.len() => Ok(Some(connection)),
        version => Err(version_error(path, version)),
    }
}

pub(super) fn cannot(step: &str, path: &Path, error: rusqlite::Error) -> InboxError {
    let message = format!("cannot {step} the rejected posts in {}", path.display());
    InboxError::new(InboxErrorKind::Storage, message).with_source(error)
}

fn open(path: &Path, lock_time: Duration) -> Result<Connection, InboxError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| cannot("open", path, error))?;
    connection
        .busy_timeout(lock_time)
        .map_err(|error| cannot("open", path, error))?;
    Ok(connection)
}

/// Refuses a database that somebody else made, before anything in it is touched.
fn check_kind(connection: &Connection, path: &Path) -> Result<(), InboxError> {
    let failed = |error| cannot("read", path, error);
    // In this order: what another process makes in between has tables and a kind at once.
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(failed)?;
    let kind: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(failed)?;
    if kind == APPLICATION_ID || (kind == 0 && tables == 0) {
        return Ok(());
    }
    let message = format!(
        "{} is a SQLite database, but does not hold rejected posts",
        path.display()
    );
    Err(InboxError::new(InboxErrorKind::Version, message))
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), InboxError> {
    let found = schema_version(connection, path)?;
    if found > MIGRATIONS.len() {
        return Err(version_error(path, found));
    }
    let failed = |error| cannot("migrate", path, error);
    for (step, migration) in MIGRATIONS.iter().enumerate().skip(found) {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(migration).map_err(failed)?;
        let version = u32::try_from(step + 1).unwrap_or(u32::MAX);
        transaction
            .pragma_update(None, "user_version", version)
            .map_err(failed)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

fn schema_version(connection: &Connection, path: &Path) -> Result<usize, InboxError> {
    let version: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| cannot("read", path, error))?;
    Ok(version as usize)
}

fn version_error(path: &Path, found: usize) -> InboxError {
    let message = format!(
        "{} has schema version {found}, this program knows {}: use the version that made it, or remove the file",
        path.display(),
        MIGRATIONS.len()
    );
    InboxError::new(InboxErrorKind::Version, message)
}

/// One that exists is not opened: closing it would drop the locks that SQLite holds on it for this process.
fn make_private(path: &Path) -> Result<(), InboxError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            let message = format!("cannot open {}", path.display());
            Err(InboxError::new(InboxErrorKind::Storage, message).with_source(error))
        }
    }
}

const LOCK_TIME: Duration = Duration::from_secs(5);

/// Stands in the header of every such file: `HyRj`.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"HyRj");

/// What brings a file from each version to the next. A step that was released is never changed again.
const MIGRATIONS: &[&str] = &[include_str!("schema_1.sql")];
