//! [`AppendLock`]: held by the one process that dispatches from an inbox.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::access::cannot_open;
use super::file_id::{FileId, check_names};
use super::kind::make_private;
use super::path::beside;
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
        let file = crate::private_file::open(&lock_path)
            .map_err(|error| cannot_open(&lock_path, error))?;
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

/// Whether a process appends to the inbox and dispatches from it; `true` also where that
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

const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use super::*;

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
}
