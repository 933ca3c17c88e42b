//! Why a file cannot be opened.

use std::io;
use std::path::Path;

use super::error::{is_no_access, is_out_of_room};
use super::path::{folder_of, log_bytes};
use crate::{InboxError, InboxErrorKind};

/// An explanation to append to the message of SQLite, which says only that it cannot open a file.
pub(super) fn explanation(path: &Path, error: &rusqlite::Error) -> &'static str {
    if is_out_of_room(error) {
        return ": the disk is full, and even to read it takes the index of its log (-shm); free some space";
    }
    if !is_no_access(error) {
        return "";
    }
    let real = path.canonicalize();
    let real = real.as_deref().unwrap_or(path);
    match () {
        () if is_read_only(real) && log_bytes(real) > 0 => {
            ": its file system is read-only, and what came in last is in its log (-wal), which can only be read where it can be \
             written: copy the file together with its -wal to another folder"
        }
        () if is_read_only(real) => ": its file system is read-only; copy the file to another one",
        () if is_denied(real) || is_denied(folder_of(real)) => {
            ": it is another user's (the folder has to be writable too, for the log); run this as the user that serves, or copy \
             the file together with its -wal"
        }
        () => "",
    }
}

pub(super) fn cannot_open(path: &Path, error: io::Error) -> InboxError {
    let message = match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "cannot open {}: it is another user's; run this as the user that serves",
            path.display()
        ),
        _ => format!("cannot open {}", path.display()),
    };
    InboxError::new(InboxErrorKind::Storage, message).with_source(error)
}

#[cfg(unix)]
pub(super) fn is_read_only(path: &Path) -> bool {
    use rustix::fs::{StatVfsMountFlags, statvfs};
    statvfs(path).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether this process may not read and write a file or a folder.
#[cfg(unix)]
pub(super) fn is_denied(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(path, Access::READ_OK | Access::WRITE_OK) == Err(rustix::io::Errno::ACCESS)
}

#[cfg(not(unix))]
pub(super) fn is_read_only(_: &Path) -> bool {
    false
}

#[cfg(not(unix))]
pub(super) fn is_denied(_: &Path) -> bool {
    false
}
