//! [`FileKind`]: creates, identifies and migrates a kind of SQLite file.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::access::{self, cannot_open};
use super::path::literal;
use crate::private_file;
use crate::{InboxError, InboxErrorKind};

/// A kind of SQLite file, and how messages name it.
pub(super) struct FileKind {
    /// In the header of every such file.
    pub(super) application_id: i32,
    /// The migration from each version to the next. A released migration is never edited.
    pub(super) migrations: &'static [&'static str],
    /// Settings of a connection that writes, in addition to WAL.
    pub(super) pragmas: &'static [(&'static str, &'static str)],
    /// Precedes the path in `cannot read …`.
    pub(super) object: &'static str,
    /// Precedes the path, with a space, in messages about the version.
    pub(super) title: &'static str,
    /// Describes a database of another program: `PATH is a SQLite database, but …`.
    pub(super) mismatch: &'static str,
    /// What to do about a file of a newer version.
    pub(super) if_newer: &'static str,
}

impl FileKind {
    /// Opens for writing; creates the file (readable by its owner alone) if there is none, and
    /// migrates its schema.
    pub(super) fn open_for_writing(
        &self,
        path: &Path,
        lock_timeout: Duration,
    ) -> Result<Connection, InboxError> {
        create_private(path)?;
        let mut connection = self.open(path, lock_timeout)?;
        // WAL: readers never wait for the writer.
        connection
            .query_row("PRAGMA journal_mode = WAL", (), |_| Ok(()))
            .map_err(|error| self.cannot("prepare", path, error))?;
        self.tune(&connection, path)?;
        self.migrate(&mut connection, path)?;
        Ok(connection)
    }

    /// Opens an existing file of this kind, whatever its version.
    pub(super) fn open(
        &self,
        path: &Path,
        lock_timeout: Duration,
    ) -> Result<Connection, InboxError> {
        // Without CREATE: SQLite would create it with other permissions.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(literal(path), flags)
            .map_err(|error| self.cannot("open", path, error))?;
        self.prepare(connection, path, lock_timeout)
    }

    /// Opens a file that no process can write, without a write-ahead log and without locks.
    pub(super) fn open_immutable(&self, path: &Path) -> Result<Connection, InboxError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = immutable_uri(path)
            .and_then(|uri| Connection::open_with_flags(uri, flags))
            .map_err(|error| self.cannot("open", path, error))?;
        self.prepare(connection, path, Duration::ZERO)
    }

    fn prepare(
        &self,
        connection: Connection,
        path: &Path,
        lock_timeout: Duration,
    ) -> Result<Connection, InboxError> {
        connection
            .busy_timeout(lock_timeout)
            .and_then(|()| harden(&connection))
            .map_err(|error| self.cannot("open", path, error))?;
        self.check_application_id(&connection, path)?;
        Ok(connection)
    }

    pub(super) fn tune(&self, connection: &Connection, path: &Path) -> Result<(), InboxError> {
        for (pragma, value) in self.pragmas {
            connection
                .pragma_update(None, pragma, value)
                .map_err(|error| self.cannot("prepare", path, error))?;
        }
        // Without it, plans depend on bound values, and statements are prepared again for each
        // value.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(|error| self.cannot("prepare", path, error))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(())
    }

    /// How many migrations were applied to the file.
    pub(super) fn version(
        &self,
        connection: &Connection,
        path: &Path,
    ) -> Result<usize, InboxError> {
        let version: u32 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|error| self.cannot("read", path, error))?;
        Ok(version as usize)
    }

    pub(super) fn version_error(&self, path: &Path, found: usize) -> InboxError {
        let known = self.migrations.len();
        let (kind, why) = match found > known {
            true => (InboxErrorKind::Version, self.if_newer),
            false => (InboxErrorKind::Outdated, "an older version made it"),
        };
        InboxError::new(
            kind,
            format!(
                "{}{} has schema version {found}, this program knows {known}: {why}",
                self.title,
                path.display()
            ),
        )
    }

    pub(super) fn cannot(&self, step: &str, path: &Path, error: rusqlite::Error) -> InboxError {
        let mut message = format!("cannot {step} {} {}", self.object, path.display());
        message.push_str(access::explanation(path, &error));
        InboxError::new(InboxErrorKind::Storage, message).with_source(error)
    }

    /// Rejects a database of another program before anything in it is changed.
    fn check_application_id(&self, connection: &Connection, path: &Path) -> Result<(), InboxError> {
        let failed = |error| self.cannot("read", path, error);
        // In this order: another process that creates the file meanwhile commits tables and id at
        // once.
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
            .map_err(failed)?;
        let kind: i32 = connection
            .pragma_query_value(None, "application_id", |row| row.get(0))
            .map_err(failed)?;
        let is_ours = kind == self.application_id || (kind == 0 && tables == 0);
        if is_ours {
            return Ok(());
        }
        let message = format!(
            "{} is a SQLite database, but {}",
            path.display(),
            self.mismatch
        );
        Err(InboxError::new(InboxErrorKind::Version, message))
    }

    fn migrate(&self, connection: &mut Connection, path: &Path) -> Result<(), InboxError> {
        let found = self.version(connection, path)?;
        if found > self.migrations.len() {
            return Err(self.version_error(path, found));
        }
        for (step, migration) in self.migrations.iter().enumerate().skip(found) {
            self.migrate_to(connection, step + 1, migration)
                .map_err(|error| self.cannot("migrate", path, error))?;
        }
        Ok(())
    }

    fn migrate_to(
        &self,
        connection: &mut Connection,
        version: usize,
        migration: &str,
    ) -> rusqlite::Result<()> {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        let version = u32::try_from(version).unwrap_or(u32::MAX);
        transaction.pragma_update(None, "user_version", version)?;
        transaction.pragma_update(None, "application_id", self.application_id)?;
        transaction.commit()
    }
}

/// Disables what an untrusted schema could run: the file may come from elsewhere.
pub(super) fn harden(connection: &Connection) -> rusqlite::Result<()> {
    for (config, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(config, value)?;
    }
    connection.pragma_update(None, "cell_size_check", true)
}

/// Creates the file, readable by its owner alone, if there is none; returns whether it did.
///
/// An existing file is not opened: closing it would release every POSIX lock that this process
/// holds on it, SQLite's included, and the next program that closes the file would delete the
/// write-ahead log that is in use.
pub(super) fn create_private(path: &Path) -> Result<bool, InboxError> {
    match private_file::create(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(cannot_open(path, error)),
    }
}

/// The path as a URI with options.
fn immutable_uri(path: &Path) -> rusqlite::Result<String> {
    let text = path
        .to_str()
        .ok_or_else(|| rusqlite::Error::InvalidPath(path.to_owned()))?;
    let text = text
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    Ok(format!("file:{text}?immutable=1"))
}

const STATEMENTS: usize = 64;
