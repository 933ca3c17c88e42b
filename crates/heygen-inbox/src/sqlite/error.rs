//! What an error of SQLite says about the file.

use rusqlite::ErrorCode;

use crate::InboxError;

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
        // A value that is not of the type of its column.
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
            true
        }
        _ => false,
    }
}

/// Whether the file, or what SQLite keeps beside it, could not be opened or written at all.
pub(super) fn is_no_access(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    )
}

/// What SQLite said, where it is the cause of an error.
pub(super) fn sqlite_error(error: &InboxError) -> Option<&rusqlite::Error> {
    std::error::Error::source(error)?.downcast_ref()
}
