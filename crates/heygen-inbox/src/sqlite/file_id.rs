//! [`OpenFiles`]: which files a connection has open, and whether they are still at their paths.
//!
//! SQLite continues to read and write the files that it has open after they were removed, renamed
//! or replaced, and reports no error: what is written then can be found at no path. So a process
//! that writes compares before and after each commit.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::access::cannot_open;
use super::path::{folder_of, log_bytes, with_suffix};
use crate::{InboxError, InboxErrorKind};

/// Identifies a file, whatever its path.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

/// The files that a connection has open.
#[derive(Debug)]
pub(super) struct OpenFiles {
    path: PathBuf,
    /// The canonical path when it was opened: SQLite places the log next to that.
    real: PathBuf,
    database: FileId,
    /// `None` for a copy that never had one.
    log: Option<FileId>,
    index: Option<FileId>,
}

/// How the files at a path differ from those that are open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FileChange {
    /// There is no file at the path.
    Removed,
    /// There is another file at the path.
    Replaced,
    /// The write-ahead log was removed or replaced, the database file was not.
    Log,
    /// The index of the log (`-shm`) was removed or replaced: no data is lost, but other processes
    /// would not see the locks of this one.
    Index,
    /// The lock file was removed, and another process serves the inbox now.
    Lock,
}

impl FileId {
    /// `None` when there is no file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::from)
    }
}

#[cfg(unix)]
impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// On these systems an open file cannot be removed or renamed.
#[cfg(not(unix))]
impl From<&Metadata> for FileId {
    fn from(_: &Metadata) -> Self {
        Self {
            device: 0,
            inode: 0,
        }
    }
}

impl OpenFiles {
    /// The files of a connection to `path` that was just opened, and has read.
    pub(super) fn of(path: &Path) -> Result<Self, InboxError> {
        let failed = |error| cannot_open(path, error);
        let real = path.canonicalize().map_err(failed)?;
        let database = FileId::from(&fs::metadata(&real).map_err(failed)?);
        *registry().entry(database).or_default() += 1;
        Ok(Self {
            path: path.to_owned(),
            log: FileId::of(&with_suffix(&real, "-wal")),
            index: FileId::of(&with_suffix(&real, "-shm")),
            database,
            real,
        })
    }

    /// How the files at the paths differ from those that are open.
    pub(super) fn change(&self) -> Option<FileChange> {
        match FileId::of(&self.path) {
            None => return Some(FileChange::Removed),
            Some(found) if found != self.database => return Some(FileChange::Replaced),
            Some(_) => {}
        }
        let differs = |open: Option<FileId>, suffix| {
            open.is_some() && FileId::of(&with_suffix(&self.real, suffix)) != open
        };
        if differs(self.log, "-wal") {
            return Some(FileChange::Log);
        }
        differs(self.index, "-shm").then_some(FileChange::Index)
    }

    pub(super) fn database(&self) -> FileId {
        self.database
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn real(&self) -> &Path {
        &self.real
    }

    /// The length of the log's file in bytes.
    pub(super) fn log_bytes(&self) -> u64 {
        log_bytes(&self.real)
    }

    /// How many hard links the inbox has.
    pub(super) fn hard_links(&self) -> u64 {
        fs::metadata(&self.real).map_or(1, |metadata| hard_links(&metadata))
    }
}

impl Drop for OpenFiles {
    fn drop(&mut self) {
        let mut registry = registry();
        if let Some(count) = registry.get_mut(&self.database) {
            *count -= 1;
            if *count == 0 {
                registry.remove(&self.database);
            }
        }
    }
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "was removed or renamed",
            Self::Replaced => "was replaced by another file",
            Self::Log => "lost its log: the -wal beside it was removed or replaced",
            Self::Index => "lost the index of its log: the -shm beside it was removed or replaced",
            Self::Lock => "is served by another process since the .lock beside it was removed",
        })
    }
}

/// Whether this process has the file open through SQLite. Such a file must not be opened in any
/// other way: closing it would release every POSIX lock that this process holds on it.
pub(super) fn is_open_here(path: &Path) -> bool {
    FileId::of(path).is_some_and(|id| registry().contains_key(&id))
}

/// How many connections of this process have each file open.
fn registry() -> MutexGuard<'static, BTreeMap<FileId, usize>> {
    static OPEN: Mutex<BTreeMap<FileId, usize>> = Mutex::new(BTreeMap::new());
    // A panic cannot leave the map inconsistent.
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rejects a file that could be opened by two names at once, each with a write-ahead log of its
/// own. `path` exists and is about to be opened for writing.
pub(super) fn check_hard_links(path: &Path) -> Result<(), InboxError> {
    let refused = |why: &str| {
        let message = format!("inbox {} {why}", path.display());
        Err(InboxError::new(InboxErrorKind::Storage, message))
    };
    let real = path
        .canonicalize()
        .map_err(|error| cannot_open(path, error))?;
    for suffix in ["", "-wal", "-shm"] {
        let metadata = fs::metadata(with_suffix(&real, suffix)).ok();
        if metadata.is_some_and(|metadata| metadata.is_file() && hard_links(&metadata) > 1) {
            return refused(match suffix {
                "" => {
                    "has a second name (a hard link), under which another program would miss its log and damage it: remove the other \
                     name, or copy the file"
                }
                _ => {
                    "has a log (-wal, -shm) with a second name (a hard link), and may share it with another inbox: remove the other \
                     name, or copy the file with its log"
                }
            });
        }
    }
    if is_single_file_mount(&real) {
        return refused(
            "is mounted as a single file, so that its log (-wal) stays outside of the mount and is lost with this machine: mount its \
             folder instead",
        );
    }
    Ok(())
}

#[cfg(unix)]
fn hard_links(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    metadata.nlink()
}

#[cfg(not(unix))]
fn hard_links(_: &Metadata) -> u64 {
    1
}

/// As far as the system tells.
#[cfg(unix)]
fn is_single_file_mount(real: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    let devices = device(real).zip(device(folder_of(real)));
    devices.is_some_and(|(file, folder)| file != folder) || is_mount_point(real)
}

#[cfg(not(unix))]
fn is_single_file_mount(_: &Path) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn is_mount_point(real: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    statx(CWD, real, AtFlags::empty(), StatxFlags::TYPE)
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_mount_point(_: &Path) -> bool {
    false
}
