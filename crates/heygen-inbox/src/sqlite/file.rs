//! Opens the inbox file: for writing, or read-only as far as the process is allowed to.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::access::{cannot_open, is_denied, is_read_only};
use super::check;
use super::error::{is_no_access, sqlite_error};
use super::file_id::is_open_here;
use super::kind::FileKind;
use super::lock::{OwnerLock, is_served};
use super::path::{folder_of, log_bytes, with_suffix};
use crate::{InboxError, InboxErrorKind};

/// Opens for writing; creates the file if there is none, and migrates its schema.
pub(super) fn open_for_writing(
    path: &Path,
    lock_timeout: Duration,
) -> Result<Connection, InboxError> {
    INBOX.open_for_writing(path, lock_timeout)
}

/// Opens an inbox that another process may serve: creates or migrates it only when none does.
pub(super) fn open_beside(path: &Path, lock_timeout: Duration) -> Result<Connection, InboxError> {
    match OwnerLock::acquire(path) {
        Ok(lock) => {
            let opened = check_log(path, false).and_then(|()| open_for_writing(path, lock_timeout));
            if opened.is_err() {
                lock.remove_created();
            }
            opened
        }
        Err(error) if error.kind() == InboxErrorKind::InUse => {
            let connection = open_current(path, lock_timeout)?;
            INBOX.tune(&connection, path)?;
            Ok(connection)
        }
        Err(error) => Err(error),
    }
}

/// Opens an existing inbox for reading.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, InboxError> {
    let connection = match open_current(path, READER_LOCK_TIME) {
        Err(error) if sqlite_error(&error).is_some_and(is_no_access) => match is_immutable(path) {
            true => current(INBOX.open_immutable(path)?, path)?,
            false => return Err(error),
        },
        opened => opened?,
    };
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|error| cannot("prepare", path, error))?;
    Ok(connection)
}

/// Whether the file cannot change while it is read: it has no write-ahead log, and is on a
/// read-only file system or in a folder that this process cannot write and where no process serves
/// it.
fn is_immutable(path: &Path) -> bool {
    let Ok(real) = path.canonicalize() else {
        return false;
    };
    let is_at_rest = || is_denied(folder_of(&real)) && !is_served(&real);
    log_bytes(&real) == 0 && (is_read_only(&real) || is_at_rest()) && fs::metadata(&real).is_ok()
}

/// Rejects a write-ahead log that belongs to another file: SQLite would apply its pages to this
/// one, and write them when the last connection closes, even of a process that only reads. Must be
/// called before the file is opened. The contents, which take long, are not checked again while
/// another process serves the inbox.
pub(super) fn check_log(path: &Path, is_served: bool) -> Result<(), InboxError> {
    let Ok(real) = path.canonicalize() else {
        return Ok(());
    };
    let log = with_suffix(&real, "-wal");
    if log_bytes(&real) == 0 || is_open_here(&real) {
        return Ok(());
    }
    let was_without_log = fs::File::open(&real)
        .and_then(|mut file| {
            use std::io::Read as _;
            let mut header = [0; 20];
            file.read_exact(&mut header).map(|()| header)
        })
        // The read version of the file format: a file of version 1 never has a write-ahead log, and
        // 2 is set before the log is created.
        .is_ok_and(|header| header.starts_with(b"SQLite format 3\0") && header[19] == 1);
    let made = |path: &Path| {
        fs::metadata(path)
            .and_then(|metadata| metadata.created())
            .ok()
    };
    // A log is created after its file. Copies may be created in the other order, so the content
    // decides.
    let is_younger = made(&real)
        .zip(made(&log))
        .is_some_and(|(database, log)| database > log);
    if was_without_log || (is_younger && !is_served && check::is_damaged_with_log(&real)) {
        let message = format!(
            "the log {} belongs to another file than inbox {}, which would be damaged by it: the inbox was probably replaced by a \
             copy. Move the log away (it may hold deliveries of the file that was there before: move both back together to read \
             it), then start again",
            log.display(),
            path.display()
        );
        return Err(InboxError::new(InboxErrorKind::Storage, message));
    }
    Ok(())
}

pub(super) fn cannot(step: &str, path: &Path, error: rusqlite::Error) -> InboxError {
    INBOX.cannot(step, path, error)
}

/// The process that created the file ended after creating its tables and before its tag.
pub(super) fn unfinished(path: &Path) -> InboxError {
    let message = format!(
        "inbox {} was not completed by the process that created it",
        path.display()
    );
    InboxError::new(InboxErrorKind::Outdated, message)
}

/// Opens an existing file whose schema has the version of this program.
fn open_current(path: &Path, lock_timeout: Duration) -> Result<Connection, InboxError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(cannot_open(path, error));
        }
        Err(_) => {
            return Err(InboxError::new(
                InboxErrorKind::Storage,
                format!("there is no inbox at {}", path.display()),
            ));
        }
        Ok(_) => {}
    }
    check_log(path, is_served(path))?;
    current(INBOX.open(path, lock_timeout)?, path)
}

fn current(connection: Connection, path: &Path) -> Result<Connection, InboxError> {
    match INBOX.version(&connection, path)? {
        version if version == INBOX.migrations.len() => Ok(connection),
        version => Err(INBOX.version_error(path, version)),
    }
}

const INBOX: FileKind = FileKind {
    application_id: i32::from_be_bytes(*b"HyGn"),
    migrations: &[
        include_str!("schema_1.sql"),
        include_str!("schema_2.sql"),
        include_str!("schema_3.sql"),
        include_str!("schema_4.sql"),
        include_str!("schema_5.sql"),
        include_str!("schema_6.sql"),
    ],
    pragmas: &[
        // A commit has reached the disk when it returns.
        ("synchronous", "FULL"),
        // For editors; the owner checkpoints by itself (`checkpoint.rs`).
        ("wal_autocheckpoint", "4000"),
        ("journal_size_limit", "67108864"),
        ("cache_size", "-16384"),
        ("temp_store", "MEMORY"),
    ],
    object: "inbox",
    title: "inbox ",
    mismatch: "not an inbox",
    if_newer: "a newer version made it: use that version",
};

/// A reader waits for a lock only while the file is being created or migrated.
const READER_LOCK_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(make: &str, message: &str) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let other = Connection::open(&path).expect("a new database");
        other.execute_batch(make).expect("its content");
        drop(other);
        let error = open_for_writing(&path, READER_LOCK_TIME).expect_err("must be refused");
        assert_eq!(error.kind(), InboxErrorKind::Version);
        let text = error
            .to_string()
            .replace(&path.display().to_string(), "PATH");
        assert_eq!(text, message);
    }

    #[test]
    fn files_of_others_and_of_newer_versions_are_left_alone() {
        let other = "PATH is a SQLite database, but not an inbox";
        check_refused("CREATE TABLE customers (name TEXT)", other);
        check_refused("PRAGMA application_id = 7", other);
        let application_id = INBOX.application_id;
        check_refused(
            &format!("PRAGMA application_id = {application_id}; PRAGMA user_version = 99"),
            "inbox PATH has schema version 99, this program knows 6: a newer version made it: use that version",
        );
    }

    #[test]
    fn inbox_of_the_first_version_is_migrated() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let old = Connection::open(&path).expect("a new database");
        old.execute_batch(&format!(
            "{} PRAGMA application_id = {}; PRAGMA user_version = 1;
             INSERT INTO delivery (id, received_at, source, digest, state, due_at, attempts) \
             VALUES (7, 7, 'webhook', x'00', 'dead', 7, 15);",
            INBOX.migrations[0], INBOX.application_id
        ))
        .expect("its content");
        drop(old);
        let connection = open_for_writing(&path, READER_LOCK_TIME).expect("an inbox");
        let version = INBOX.version(&connection, &path).expect("a version");
        assert_eq!(version, INBOX.migrations.len());
        let found: (String, i64) = connection
            .query_row("SELECT state, first_attempt FROM delivery", (), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .expect("what was there");
        assert_eq!(found, ("dead_lettered".to_owned(), 1));
    }

    #[test]
    fn file_that_is_no_database_is_rejected() {
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
    #[ignore = "needs root: tests_that_need_root runs it"]
    fn inbox_of_root_belongs_to_the_owner_of_its_folder() {
        use std::os::unix::fs::{MetadataExt as _, chown};
        const OTHER_USER: u32 = 65534;
        let folder = tempfile::tempdir().expect("a temporary folder");
        chown(folder.path(), Some(OTHER_USER), Some(OTHER_USER)).expect("given");
        let path = folder.path().join("inbox.db");
        let lock = OwnerLock::acquire(&path).expect("the lock");
        let connection = open_for_writing(&path, READER_LOCK_TIME).expect("a new inbox");
        for name in ["inbox.db", "inbox.db-wal", "inbox.db-shm", "inbox.db.lock"] {
            let metadata = fs::metadata(folder.path().join(name)).expect(name);
            assert_eq!(
                (metadata.uid(), metadata.gid()),
                (OTHER_USER, OTHER_USER),
                "{name}"
            );
        }
        drop((connection, lock));
    }

    #[cfg(unix)]
    #[test]
    fn new_file_is_readable_by_its_owner_alone() {
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

    /// Whether this process holds SQLite's shared lock on the file, according to the system.
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
