//! [`OpenFiles`]: which files a connection has open, and whether their names still lead to them.
//!
//! SQLite goes on reading and writing what it has open, also when the file was removed, renamed or
//! replaced, and reports it to no one: what is written then is in no file that anyone finds. So a process that
//! writes looks before and after each commit.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::access::cannot_open;
use super::path::{beside, folder_of, log_bytes};
use crate::{InboxError, InboxErrorKind};

/// What tells a file from every other, whatever it is called.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

/// The files that a connection has open.
#[derive(Debug)]
pub(super) struct OpenFiles {
    path: PathBuf,
    /// Where the name led to when it was opened: SQLite keeps the log beside that.
    real: PathBuf,
    database: FileId,
    /// There is none for a copy that never had one.
    log: Option<FileId>,
    index: Option<FileId>,
}

/// How the files under a name differ from those that are open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Difference {
    /// Nothing is found under the name.
    Removed,
    /// The name leads to another file.
    Replaced,
    /// The log was removed or replaced, the inbox itself was not.
    Log,
    /// The index of the log was: everything is in place, and others would not see each other's
    /// locks.
    Index,
    /// The file of the lock was removed, and another process serves the inbox meanwhile.
    Lock,
}

impl FileId {
    /// `None` where nothing is found.
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

/// A file that is open cannot be removed or renamed here.
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
    /// What a connection to `path` has open that was opened, and read from, a moment ago.
    pub(super) fn of(path: &Path) -> Result<Self, InboxError> {
        let failed = |error| cannot_open(path, error);
        let real = path.canonicalize().map_err(failed)?;
        let database = FileId::from(&fs::metadata(&real).map_err(failed)?);
        *registry().entry(database).or_default() += 1;
        Ok(Self {
            path: path.to_owned(),
            log: FileId::of(&beside(&real, "-wal")),
            index: FileId::of(&beside(&real, "-shm")),
            database,
            real,
        })
    }

    /// How what stands under the names now differs from what is open.
    pub(super) fn difference(&self) -> Option<Difference> {
        match FileId::of(&self.path) {
            None => return Some(Difference::Removed),
            Some(found) if found != self.database => return Some(Difference::Replaced),
            Some(_) => {}
        }
        let differs = |open: Option<FileId>, suffix| {
            open.is_some() && FileId::of(&beside(&self.real, suffix)) != open
        };
        if differs(self.log, "-wal") {
            return Some(Difference::Log);
        }
        differs(self.index, "-shm").then_some(Difference::Index)
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

    /// How long the log is, in bytes of its file.
    pub(super) fn log_bytes(&self) -> u64 {
        log_bytes(&self.real)
    }

    /// By how many names the inbox can be opened.
    pub(super) fn names(&self) -> u64 {
        fs::metadata(&self.real).map_or(1, |metadata| names(&metadata))
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

impl fmt::Display for Difference {
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

/// Whether this process has the file open by SQLite. Such a file must not be opened and closed in
/// any other way: closing it drops every lock that this process holds on it.
pub(super) fn is_open_here(path: &Path) -> bool {
    FileId::of(path).is_some_and(|id| registry().contains_key(&id))
}

/// How many connections of this process have each file open.
fn registry() -> MutexGuard<'static, BTreeMap<FileId, usize>> {
    static OPEN: Mutex<BTreeMap<FileId, usize>> = Mutex::new(BTreeMap::new());
    // What the lock protects is whole at every moment.
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Refuses a file that could be opened under two names at once, of which each would have a log of
/// its own: `path` exists, and is about to be opened for writing.
pub(super) fn check_names(path: &Path) -> Result<(), InboxError> {
    let refused = |why: &str| {
        let message = format!("inbox {} {why}", path.display());
        Err(InboxError::new(InboxErrorKind::Storage, message))
    };
    let real = path
        .canonicalize()
        .map_err(|error| cannot_open(path, error))?;
    for suffix in ["", "-wal", "-shm"] {
        let metadata = fs::metadata(beside(&real, suffix)).ok();
        if metadata.is_some_and(|metadata| metadata.is_file() && names(&metadata) > 1) {
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
    if is_mounted_alone(&real) {
        return refused(
            "is mounted as a single file, so that its log (-wal) stays outside of the mount and is lost with this machine: mount its \
             folder instead",
        );
    }
    Ok(())
}

#[cfg(unix)]
fn names(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    metadata.nlink()
}

#[cfg(not(unix))]
fn names(_: &Metadata) -> u64 {
    1
}

/// As far as it can be found out.
#[cfg(unix)]
fn is_mounted_alone(real: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    let devices = device(real).zip(device(folder_of(real)));
    devices.is_some_and(|(file, folder)| file != folder) || is_mount_point(real)
}

#[cfg(not(unix))]
fn is_mounted_alone(_: &Path) -> bool {
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
