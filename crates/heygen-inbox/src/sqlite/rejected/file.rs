//! The file of rejected requests.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::InboxError;
use crate::sqlite::kind::FileKind;

/// Opens an existing file, to read it and to remove requests; `None` when there is none, or it is
/// still empty.
pub(super) fn open_existing(path: &Path) -> Result<Option<Connection>, InboxError> {
    if !path.exists() {
        return Ok(None);
    }
    let connection = REJECTED.open(path, LOCK_TIMEOUT)?;
    match REJECTED.version(&connection, path)? {
        // It is being created.
        0 => Ok(None),
        // Until a server writes to it: what is rejected has not changed since.
        version if version <= REJECTED.migrations.len() => Ok(Some(connection)),
        version => Err(REJECTED.version_error(path, version)),
    }
}

/// Whether it has the counts over time.
pub(super) fn has_traffic(connection: &Connection, path: &Path) -> Result<bool, InboxError> {
    Ok(REJECTED.version(connection, path)? > 1)
}

pub(super) const REJECTED: FileKind = FileKind {
    application_id: i32::from_be_bytes(*b"HyRj"),
    migrations: &[include_str!("schema_1.sql"), include_str!("schema_2.sql")],
    pragmas: &[
        // Rejected requests were not acknowledged: the last few may be lost in a crash of the
        // machine.
        ("synchronous", "NORMAL"),
        ("wal_autocheckpoint", "500"),
        ("journal_size_limit", "2097152"),
        ("cache_size", "-2048"),
    ],
    object: "the rejected requests in",
    title: "",
    mismatch: "does not hold rejected requests",
    if_newer: "use the version that made it, or remove the file",
};

/// How long to wait for another program that has locked the file.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
