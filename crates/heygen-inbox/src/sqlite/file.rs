//! The inbox file: locked by the one who hands out, opened by whoever may.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::file_id::{FileId, beside, check_log, check_names};
use super::kind::{FileKind, cannot_open, is_no_access, make_private};
use super::private_file::open_private_file;
use super::{access, kind};
use crate::{InboxError, InboxErrorKind};

/// Held while a process appends to the inbox; the lock goes with the process, however it ends.
#[derive(Debug)]
pub(super) struct AppendLock {
    file: File,
    path: PathBuf,
    /// What was not there before, the inbox first.
    made: Vec<PathBuf>,
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

    /// Makes the inbox file when there is none: only what exists has one name that all its names
    /// lead to. Refuses one that has more names than that, each of which would have a lock and a
    /// log of its own.
    pub(super) fn take(path: &Path) -> Result<Self, InboxError> {
        let made_inbox = make_private(path)?;
        let taken = check_names(path).and_then(|()| Self::take_existing(path));
        match taken {
            Ok(mut lock) if made_inbox => {
                lock.made.insert(0, path.to_owned());
                Ok(lock)
            }
            Err(error) if made_inbox => {
                // It is empty, and nobody asked for an empty one.
                let _ = fs::remove_file(path);
                Err(error)
            }
            taken => taken,
        }
    }

    fn take_existing(path: &Path) -> Result<Self, InboxError> {
        let lock_path = lock_path(path)?;
        let existed = lock_path.exists();
        let file = open_private_file(&lock_path).map_err(|error| cannot_open(&lock_path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(path)),
            Err(TryLockError::Error(error)) => {
                let message = format!("cannot lock {}", lock_path.display());
                return Err(InboxError::new(InboxErrorKind::Storage, message).with_source(error));
            }
        }
        let lock = Self {
            file,
            made: if existed {
                Vec::new()
            } else {
                vec![lock_path.clone()]
            },
            path: lock_path,
        };
        // Removed in between, by a start that came to nothing: another process may hold one of the
        // same name.
        match lock.is_in_place() {
            true => Ok(lock),
            false => Err(in_use(path)),
        }
    }

    /// Whether others who want the lock still meet this one.
    pub(super) fn is_in_place(&self) -> bool {
        let held = self.file.metadata().ok().as_ref().map(FileId::from);
        held.is_some() && held == FileId::of(&self.path)
    }

    /// Removes what was made for an inbox that could not be opened.
    pub(super) fn take_back(self) {
        let is_new = self.made.iter().any(|made| *made != self.path);
        for made in self.made {
            if is_new && made != self.path {
                for suffix in ["-wal", "-shm"] {
                    let _ = fs::remove_file(beside(&made, suffix));
                }
            }
            let _ = fs::remove_file(made);
        }
    }
}

fn in_use(path: &Path) -> InboxError {
    InboxError::new(
        InboxErrorKind::InUse,
        format!(
            "inbox {} is in use by another process: stop it, or give this one its own file",
            path.display()
        ),
    )
}

fn lock_path(path: &Path) -> Result<PathBuf, InboxError> {
    let real = path
        .canonicalize()
        .map_err(|error| cannot_open(path, error))?;
    Ok(beside(&real, ".lock"))
}

/// Whether a process appends to the inbox and hands out what is in it; `true` also where that
/// cannot be told.
pub(super) fn is_served(path: &Path) -> bool {
    let Ok(path) = lock_path(path) else {
        return true;
    };
    match File::open(&path) {
        Ok(file) => file.try_lock_shared().is_err(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// Opens for writing, making the file when there is none and bringing its schema up to date.
pub(super) fn open_for_writing(path: &Path, lock_time: Duration) -> Result<Connection, InboxError> {
    INBOX.open_for_writing(path, lock_time)
}

/// Opens an inbox to which another process may be appending: made or brought up to date only where none does.
pub(super) fn open_beside(path: &Path, lock_time: Duration) -> Result<Connection, InboxError> {
    match AppendLock::take(path) {
        Ok(lock) => {
            let opened = check_log(path).and_then(|()| open_for_writing(path, lock_time));
            if opened.is_err() {
                lock.take_back();
            }
            opened
        }
        Err(error) if error.kind() == InboxErrorKind::InUse => {
            let connection = open_current(path, lock_time)?;
            INBOX.tune(&connection, path)?;
            Ok(connection)
        }
        Err(error) => Err(error),
    }
}

/// Opens an existing inbox for reading.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, InboxError> {
    let connection = match open_current(path, READER_LOCK_TIME) {
        Err(error) if kind::sqlite_error(&error).is_some_and(is_no_access) => {
            match access::is_unchanging(path) {
                true => current(INBOX.open_unchanging(path)?, path)?,
                false => return Err(error),
            }
        }
        opened => opened?,
    };
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|error| cannot("prepare", path, error))?;
    Ok(connection)
}

pub(super) fn cannot(step: &str, path: &Path, error: rusqlite::Error) -> InboxError {
    INBOX.cannot(step, path, error)
}

/// Whoever made the file ended after its tables and before its tag.
pub(super) fn unfinished(path: &Path) -> InboxError {
    let message = format!(
        "inbox {} was not finished by whoever made it: start `serve` once to finish it",
        path.display()
    );
    InboxError::new(InboxErrorKind::Version, message)
}

/// Opens what is there, as long as it is of this program's version.
fn open_current(path: &Path, lock_time: Duration) -> Result<Connection, InboxError> {
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
    current(INBOX.open(path, lock_time)?, path)
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
    ],
    pragmas: &[
        // A commit is on the disk when it returns.
        ("synchronous", "FULL"),
        // For whoever writes beside the one writer, which looks after the log itself (`checkpoint.rs`).
        ("wal_autocheckpoint", "4000"),
        ("journal_size_limit", "67108864"),
        ("cache_size", "-16384"),
        ("temp_store", "MEMORY"),
    ],
    object: "inbox",
    title: "inbox ",
    otherwise: "not an inbox",
    if_older: "start `serve` once with this version to bring it up to date",
    if_newer: "a newer version made it: use that version",
};

const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// A reader meets a lock only where the file is being made or brought up to date.
const READER_LOCK_TIME: Duration = Duration::from_secs(5);

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
            &format!(
                "PRAGMA application_id = {}; PRAGMA user_version = 99",
                INBOX.application_id
            ),
            InboxErrorKind::Version,
            "inbox PATH has schema version 99, this program knows 4: a newer version made it: use that version",
        );
    }

    #[test]
    fn an_inbox_of_the_first_version_is_brought_up_to_date() {
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
    #[ignore = "needs root: tests_that_need_root runs it"]
    fn an_inbox_made_by_root_belongs_to_the_owner_of_its_folder() {
        use std::os::unix::fs::{MetadataExt as _, chown};
        const NOBODY: u32 = 65534;
        let folder = tempfile::tempdir().expect("a temporary folder");
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("given");
        let path = folder.path().join("inbox.db");
        let lock = AppendLock::take(&path).expect("the lock");
        let connection = open_for_writing(&path, READER_LOCK_TIME).expect("a new inbox");
        for name in ["inbox.db", "inbox.db-wal", "inbox.db-shm", "inbox.db.lock"] {
            let metadata = fs::metadata(folder.path().join(name)).expect(name);
            assert_eq!((metadata.uid(), metadata.gid()), (NOBODY, NOBODY), "{name}");
        }
        drop((connection, lock));
    }

    #[test]
    fn a_lock_that_was_removed_is_not_in_place() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        let lock = AppendLock::take(&path).expect("the lock");
        assert!(lock.is_in_place() && is_served(&path));
        let error = AppendLock::take(&path).expect_err("it is taken");
        assert_eq!(error.kind(), InboxErrorKind::InUse);
        fs::remove_file(folder.path().join("inbox.db.lock")).expect("removed");
        assert!(!lock.is_in_place() && !is_served(&path));
        let other = AppendLock::take(&path).expect("another lock");
        assert!(!lock.is_in_place() && other.is_in_place());
    }

    #[test]
    fn what_was_made_in_vain_is_taken_back() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        AppendLock::take(&path).expect("the lock").take_back();
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        drop(AppendLock::take(&path).expect("the lock"));
        AppendLock::take(&path).expect("the lock").take_back();
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
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
