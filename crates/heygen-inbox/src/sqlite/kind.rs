//! [`FileKind`]: how a SQLite file of ours is made, told from others, and brought to its current schema.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::access::{self, cannot_open};
use crate::private_file;
use crate::{InboxError, InboxErrorKind};

/// One kind of file: what stands in it, and what it is called when something is the matter.
pub(super) struct FileKind {
    /// Stands in the header of every such file.
    pub(super) application_id: i32,
    /// What brings a file from each version to the next. A step that was released is never changed again.
    pub(super) migrations: &'static [&'static str],
    /// How it is to be written, beside WAL.
    pub(super) pragmas: &'static [(&'static str, &'static str)],
    /// Stands before the path where something cannot be done: `cannot read …`.
    pub(super) object: &'static str,
    /// Stands before the path, with a space, where the version is told.
    pub(super) title: &'static str,
    /// What a database of another program is: `PATH is a SQLite database, but …`.
    pub(super) otherwise: &'static str,
    /// What to do about a file of a newer version.
    pub(super) if_newer: &'static str,
}

impl FileKind {
    /// Opens for writing, making the file (readable by its owner alone) when there is none and bringing its schema up to
    /// date.
    pub(super) fn open_for_writing(
        &self,
        path: &Path,
        lock_timeout: Duration,
    ) -> Result<Connection, InboxError> {
        make_private(path)?;
        let mut connection = self.open(path, lock_timeout)?;
        // WAL: readers never wait for the writer.
        connection
            .query_row("PRAGMA journal_mode = WAL", (), |_| Ok(()))
            .map_err(|error| self.cannot("prepare", path, error))?;
        self.tune(&connection, path)?;
        self.migrate(&mut connection, path)?;
        Ok(connection)
    }

    /// Opens what is there and is of this kind, whatever its version.
    pub(super) fn open(
        &self,
        path: &Path,
        lock_timeout: Duration,
    ) -> Result<Connection, InboxError> {
        // Without CREATE: the file is made by us, with its permissions, or it is a mistake.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|error| self.cannot("open", path, error))?;
        self.prepare(connection, path, lock_timeout)
    }

    /// Opens what no one writes to and no one can: without its log, of which there is none, and
    /// without locks.
    pub(super) fn open_unchanging(&self, path: &Path) -> Result<Connection, InboxError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = unchanging_uri(path)
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
            .and_then(|()| distrust(&connection))
            .map_err(|error| self.cannot("open", path, error))?;
        self.check(&connection, path)?;
        Ok(connection)
    }

    pub(super) fn tune(&self, connection: &Connection, path: &Path) -> Result<(), InboxError> {
        for (pragma, value) in self.pragmas {
            connection
                .pragma_update(None, pragma, value)
                .map_err(|error| self.cannot("prepare", path, error))?;
        }
        // A plan that looks at the values bound to it is made anew for each of them.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(|error| self.cannot("prepare", path, error))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(())
    }

    /// How many of the migrations the file has had.
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

    /// Refuses a database that another program made, before anything in it is touched.
    fn check(&self, connection: &Connection, path: &Path) -> Result<(), InboxError> {
        let failed = |error| self.cannot("read", path, error);
        // In this order: what another process makes in between has tables and a kind at once.
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
            self.otherwise
        );
        Err(InboxError::new(InboxErrorKind::Version, message))
    }

    fn migrate(&self, connection: &mut Connection, path: &Path) -> Result<(), InboxError> {
        let found = self.version(connection, path)?;
        if found > self.migrations.len() {
            return Err(self.version_error(path, found));
        }
        for (step, migration) in self.migrations.iter().enumerate().skip(found) {
            self.take_step(connection, step + 1, migration)
                .map_err(|error| self.cannot("migrate", path, error))?;
        }
        Ok(())
    }

    fn take_step(
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

/// Nothing that stands in the schema of a file runs by itself or reaches out of it: the file may be
/// another program's.
pub(super) fn distrust(connection: &Connection) -> rusqlite::Result<()> {
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

/// Makes the file, readable by its owner alone, when there is none; whether there was none.
///
/// One that exists is not even opened: closing it would drop every lock that this process holds on it, SQLite's included,
/// and the next program to look into the file would take itself for the last and delete the log we write to.
pub(super) fn make_private(path: &Path) -> Result<bool, InboxError> {
    match private_file::create(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(cannot_open(path, error)),
    }
}

/// The path as SQLite takes it together with options.
fn unchanging_uri(path: &Path) -> rusqlite::Result<String> {
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
