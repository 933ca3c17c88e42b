//! The file itself: made, locked, opened, brought to the current schema.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::{InboxError, InboxErrorKind};

/// Held while a process appends to the inbox; the lock goes with the process, however it ends.
#[derive(Debug)]
pub(super) struct AppendLock {
    _file: File,
}

impl AppendLock {
    /// A command that opens the file beside a server holds the lock for a moment, to bring the file up to date.
    pub(super) fn take_patiently(path: &Path) -> Result<Self, InboxError> {
        for _ in 0..LOCK_TRIES {
            match Self::take(path) {
                Err(error) if error.kind() == InboxErrorKind::InUse => {
                    std::thread::sleep(LOCK_PAUSE);
                }
                taken => return taken,
            }
        }
        Self::take(path)
    }

    /// Makes the inbox file when there is none: only what exists has one name that all its names lead to.
    pub(super) fn take(path: &Path) -> Result<Self, InboxError> {
        make_private(path)?;
        let mut lock_path = path
            .canonicalize()
            .map_err(|error| cannot_open(path, error))?
            .into_os_string();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        make_private(&lock_path)?;
        let file = OpenOptions::new()
            .write(true)
            .open(&lock_path)
            .map_err(|error| cannot_open(&lock_path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(InboxError::new(
                InboxErrorKind::InUse,
                format!(
                    "inbox {} is in use by another process: stop it, or give this one its own file",
                    path.display()
                ),
            )),
            Err(TryLockError::Error(error)) => Err(InboxError::new(
                InboxErrorKind::Storage,
                format!("cannot lock {}", lock_path.display()),
            )
            .with_source(error)),
        }
    }
}

/// Opens for writing, making the file when there is none and bringing its schema up to date.
pub(super) fn open_for_writing(path: &Path, lock_time: Duration) -> Result<Connection, InboxError> {
    make_private(path)?;
    let mut connection = open(path, lock_time)?;
    let prepared = prepare(&mut connection, path);
    prepared.map(|()| connection)
}

/// Opens an inbox to which another process may be appending: made or brought up to date only where none does.
pub(super) fn open_beside(path: &Path, lock_time: Duration) -> Result<Connection, InboxError> {
    match AppendLock::take(path) {
        Ok(_lock) => open_for_writing(path, lock_time),
        Err(error) if error.kind() == InboxErrorKind::InUse => {
            let connection = open_current(path, lock_time)?;
            tune(&connection).map_err(|error| cannot("prepare", path, error))?;
            Ok(connection)
        }
        Err(error) => Err(error),
    }
}

/// Opens an existing inbox for reading.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, InboxError> {
    let connection = open_current(path, READER_LOCK_TIME)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|error| cannot("prepare", path, error))?;
    Ok(connection)
}

pub(super) fn cannot(step: &str, path: &Path, error: rusqlite::Error) -> InboxError {
    InboxError::new(
        InboxErrorKind::Storage,
        format!("cannot {step} inbox {}", path.display()),
    )
    .with_source(error)
}

/// Opens what is there, as long as it is of this program's version.
fn open_current(path: &Path, lock_time: Duration) -> Result<Connection, InboxError> {
    if !path.exists() {
        return Err(InboxError::new(
            InboxErrorKind::Storage,
            format!("there is no inbox at {}", path.display()),
        ));
    }
    let connection = open(path, lock_time)?;
    check_kind(&connection, path)?;
    let version = schema_version(&connection, path)?;
    if version != MIGRATIONS.len() {
        return Err(version_error(path, version));
    }
    Ok(connection)
}

fn open(path: &Path, lock_time: Duration) -> Result<Connection, InboxError> {
    // Without CREATE: the file is made by us, with its permissions, or it is a mistake.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| cannot("open", path, error))?;
    connection
        .busy_timeout(lock_time)
        .map_err(|error| cannot("open", path, error))?;
    Ok(connection)
}

fn prepare(connection: &mut Connection, path: &Path) -> Result<(), InboxError> {
    check_kind(connection, path)?;
    let failed = |error| cannot("prepare", path, error);
    // WAL: readers never wait for the writer. FULL: a commit is on the disk when it returns.
    connection
        .query_row("PRAGMA journal_mode = WAL", (), |_| Ok(()))
        .map_err(failed)?;
    tune(connection).map_err(failed)?;
    migrate(connection, path)
}

fn tune(connection: &Connection) -> rusqlite::Result<()> {
    for (pragma, value) in [
        ("synchronous", "FULL"),
        ("wal_autocheckpoint", "4000"),
        ("journal_size_limit", "67108864"),
        ("cache_size", "-16384"),
        ("temp_store", "MEMORY"),
    ] {
        connection.pragma_update(None, pragma, value)?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
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
    let is_ours = kind == APPLICATION_ID || (kind == 0 && tables == 0);
    if is_ours {
        return Ok(());
    }
    Err(InboxError::new(
        InboxErrorKind::Version,
        format!("{} is a SQLite database, but not an inbox", path.display()),
    ))
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), InboxError> {
    let found = schema_version(connection, path)?;
    if found > MIGRATIONS.len() {
        return Err(version_error(path, found));
    }
    for (step, migration) in MIGRATIONS.iter().enumerate().skip(found) {
        let failed = |error| cannot("migrate", path, error);
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(migration).map_err(failed)?;
        transaction
            .pragma_update(None, "user_version", as_version(step + 1))
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

fn as_version(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}

fn version_error(path: &Path, found: usize) -> InboxError {
    let known = MIGRATIONS.len();
    let advice = if found > known {
        "a newer version made it: use that version"
    } else {
        "start `serve` once with this version to bring it up to date"
    };
    InboxError::new(
        InboxErrorKind::Version,
        format!(
            "inbox {} has schema version {found}, this program knows {known}: {advice}",
            path.display()
        ),
    )
}

/// Makes the file, readable by its owner alone, when there is none.
///
/// One that exists is not even opened: closing it would drop every lock that this process holds on it, SQLite's included,
/// and the next program to look into the inbox would take itself for the last and delete the log we write to.
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
        Err(error) => Err(cannot_open(path, error)),
    }
}

fn cannot_open(path: &Path, error: io::Error) -> InboxError {
    InboxError::new(
        InboxErrorKind::Storage,
        format!("cannot open {}", path.display()),
    )
    .with_source(error)
}

const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// A reader meets a lock only where the file is being made or brought up to date.
const READER_LOCK_TIME: Duration = Duration::from_secs(5);

/// Stands in the header of every inbox file: `HyGn`.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"HyGn");

/// What brings a file from each version to the next. A step that was released is never changed again.
const MIGRATIONS: &[&str] = &[include_str!("schema_1.sql"), include_str!("schema_2.sql")];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(make: &str, kind: InboxErrorKind, message: &str) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let other = Connection::open(&path).expect("a new database");
        other.execute_batch(make).expect("its content");
        drop(other);
        let error = open_for_writing(&path, READER_LOCK_TIME).expect_err("must be refused");
        assert_eq!(error.kind(), kind);
        let text = error
            .to_string()
            .replace(&path.display().to_string(), "PATH");
        assert_eq!(text, message);
    }

    #[test]
    fn other_peoples_files_are_left_alone() {
        check_refused(
            "CREATE TABLE customers (name TEXT)",
            InboxErrorKind::Version,
            "PATH is a SQLite database, but not an inbox",
        );
        check_refused(
            "PRAGMA application_id = 7",
            InboxErrorKind::Version,
            "PATH is a SQLite database, but not an inbox",
        );
    }

    #[test]
    fn a_newer_schema_is_not_guessed() {
        check_refused(
            &format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 99"),
            InboxErrorKind::Version,
            "inbox PATH has schema version 99, this program knows 2: a newer version made it: use that version",
        );
    }

    #[test]
    fn an_inbox_of_the_first_version_is_brought_up_to_date() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let old = Connection::open(&path).expect("a new database");
        old.execute_batch(&format!(
            "{} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;
             INSERT INTO delivery (id, received_at, source, digest, state, due_at, attempts) \
             VALUES (7, 7, 'webhook', x'00', 'dead', 7, 15);",
            MIGRATIONS[0]
        ))
        .expect("its content");
        drop(old);
        let connection = open_for_writing(&path, READER_LOCK_TIME).expect("an inbox");
        let version = schema_version(&connection, &path).expect("a version");
        assert_eq!(version, MIGRATIONS.len());
        let found: (String, i64) = connection
            .query_row("SELECT state, first_attempt FROM delivery", (), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .expect("what was there");
        assert_eq!(found, ("dead".to_owned(), 1));
    }

    #[test]
    fn what_is_not_a_database_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        std::fs::write(
            &path,
            "a letter to a friend, longer than a header of SQLite's would be",
        )
        .expect("a file");
        let error = open_for_writing(&path, READER_LOCK_TIME).expect_err("must be refused");
        assert_eq!(error.kind(), InboxErrorKind::Storage);
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let connection = open_for_writing(&path, READER_LOCK_TIME).expect("a new inbox");
        for name in ["inbox.db", "inbox.db-wal", "inbox.db-shm"] {
            let mode = std::fs::metadata(folder.path().join(name))
                .expect(name)
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        drop(connection);
    }

    /// Whether this process holds SQLite's shared lock on the file, by what the system says.
    #[cfg(target_os = "linux")]
    fn holds_shared_lock(path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let inode = format!(":{}", std::fs::metadata(path).expect("a file").ino());
        let process = std::process::id().to_string();
        let locks = std::fs::read_to_string("/proc/locks").expect("the system's list of locks");
        locks
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .any(|words| {
                // "1: POSIX ADVISORY READ 4711 fe:00:10264628 1073741826 1073742335"
                words.get(4) == Some(&process.as_str())
                    && words.get(5).is_some_and(|file| file.ends_with(&inode))
                    && words.get(6) == Some(&"1073741826")
            })
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn opening_twice_keeps_the_locks_of_the_first() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let first = open_for_writing(&path, READER_LOCK_TIME).expect("a new inbox");
        assert!(holds_shared_lock(&path));
        let second = open_for_writing(&path, READER_LOCK_TIME).expect("the same");
        assert!(
            holds_shared_lock(&path),
            "another program may delete the log under us"
        );
        drop((first, second));
        assert!(!holds_shared_lock(&path));
    }
}
