//! What an error of SQLite means for the file.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::{InboxError, InboxErrorKind};

/// Whether an inbox could not be opened or read because its file is damaged.
#[must_use]
pub fn is_damaged(error: &InboxError) -> bool {
    sqlite_error(error).is_some_and(is_damage)
}

pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
        ),
        // A value of another type than its column.
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
            true
        }
        _ => false,
    }
}

/// Whether a page is damaged. A value of a wrong type can still be deleted.
pub(super) fn is_of_page(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

/// Whether there was no room for the -shm.
pub(super) fn is_out_of_room(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// Whether the file, or its -wal or -shm, could not be opened or written at all.
pub(super) fn is_no_access(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    )
}

/// The SQLite error that caused an error, if one did.
pub(super) fn sqlite_error(error: &InboxError) -> Option<&rusqlite::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// An error if a check of `object`, the inbox at `path` or its copy, has found an issue.
pub(super) fn check_undamaged(
    object: &str,
    path: &Path,
    issue: Option<String>,
) -> Result<(), InboxError> {
    let Some(issue) = issue else { return Ok(()) };
    let message = format!("{object} {} is damaged: {issue}", path.display());
    Err(InboxError::new(InboxErrorKind::Storage, message))
}
