//! [`OwnerLock`]: the lock file of an inbox, held by the process that serves it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::access::cannot_open;
use super::file_id::{FileId, check_hard_links};
use super::kind::create_private;
use super::path::{folder_of, with_suffix};
use crate::{InboxError, InboxErrorKind};

/// The right to dispatch from an inbox; the operating system releases it when the process ends.
#[derive(Debug)]
pub(super) struct OwnerLock {
    file: File,
    path: PathBuf,
    /// Files that did not exist before, the inbox first.
    created: Vec<PathBuf>,
}

impl OwnerLock {
    /// Retries for a second: an editor holds the lock for a moment, to create or migrate the file.
    pub(super) fn acquire_with_retries(path: &Path) -> Result<Self, InboxError> {
        for _ in 0..LOCK_TRIES {
            match Self::acquire(path) {
                Err(error) if error.kind() == InboxErrorKind::InUse => {
                    std::thread::sleep(LOCK_PAUSE);
                }
                acquired => return acquired,
            }
        }
        Self::acquire(path)
    }

    /// Creates the inbox file too if there is none, and not before it has the lock: of two processes
    /// that start at once, the one that is refused must not remove the file of the other. Rejects a
    /// file with hard links: each name would have a lock and a write-ahead log of its own.
    pub(super) fn acquire(path: &Path) -> Result<Self, InboxError> {
        let mut lock = Self::acquire_file(path)?;
        let created = create_private(path).and_then(|is_new| {
            if is_new {
                lock.created.insert(0, path.to_owned());
            }
            check_hard_links(path)
        });
        match created {
            Ok(()) => Ok(lock),
            Err(error) => {
                // Empty files would be left behind.
                lock.remove_created();
                Err(error)
            }
        }
    }

    fn acquire_file(path: &Path) -> Result<Self, InboxError> {
        // The inbox file may not be there yet.
        let lock_path = lock_path(path).or_else(|error| {
            let name = path.file_name().ok_or(error)?;
            let folder = folder_of(path).canonicalize();
            let folder = folder.map_err(|error| cannot_open(path, error))?;
            Ok(with_suffix(&folder.join(name), ".lock"))
        })?;
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
            created: if existed {
                Vec::new()
            } else {
                vec![lock_path.clone()]
            },
            path: lock_path,
        };
        // A start that failed may have removed the file since it was opened, and another process
        // may hold a new one.
        match lock.is_in_place() {
            true => Ok(lock),
            false => Err(in_use(path)),
        }
    }

    /// Whether the lock file at the path is still the one that is held.
    pub(super) fn is_in_place(&self) -> bool {
        let held = self.file.metadata().ok().as_ref().map(FileId::from);
        held.is_some() && held == FileId::of(&self.path)
    }

    /// Removes the files that were created for an inbox that could not be opened.
    pub(super) fn remove_created(self) {
        let is_new = self.created.iter().any(|created| *created != self.path);
        for created in self.created {
            if is_new && created != self.path {
                for suffix in ["-wal", "-shm"] {
                    let _ = fs::remove_file(with_suffix(&created, suffix));
                }
            }
            let _ = fs::remove_file(created);
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

/// By the canonical path.
fn lock_path(path: &Path) -> Result<PathBuf, InboxError> {
    let real = path.canonicalize();
    let real = real.map_err(|error| cannot_open(path, error))?;
    Ok(with_suffix(&real, ".lock"))
}

/// Whether a process serves the inbox; `true` also when that cannot be determined.
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
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn created_files_are_removed_after_a_failed_open() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("inbox.db");
        OwnerLock::acquire(&path)
            .expect("the lock")
            .remove_created();
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        drop(OwnerLock::acquire(&path).expect("the lock"));
        OwnerLock::acquire(&path)
            .expect("the lock")
            .remove_created();
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn inbox_whose_file_was_moved_away_counts_as_served() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [path, link, moved] =
            ["inbox.db", "link.db", "moved.db"].map(|name| folder.path().join(name));
        let _lock = OwnerLock::acquire(&path).expect("the lock");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(is_served(&link));
        fs::rename(&path, moved).expect("moved");
        assert!(is_served(&link), "where its lock is cannot be seen");
    }

    #[test]
    fn of_two_processes_that_create_an_inbox_the_refused_one_removes_nothing() {
        for _ in 0..300 {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("inbox.db");
            let together = Barrier::new(2);
            let acquire = || {
                together.wait();
                OwnerLock::acquire(&path)
            };
            let acquired = thread::scope(|scope| {
                [scope.spawn(acquire), scope.spawn(acquire)]
                    .map(|thread| thread.join().expect("no panic"))
            });
            assert_eq!(acquired.iter().filter(|lock| lock.is_ok()).count(), 1);
            assert!(path.exists(), "{acquired:?}");
        }
    }
}
