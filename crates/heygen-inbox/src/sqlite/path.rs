//! Paths of the files next to an inbox.

use std::fs;
use std::path::{Path, PathBuf};

pub(super) use crate::private_file::{folder_of, with_suffix};

/// The path of a file as SQLite has to be given it: to SQLite `:memory:` is no file, and `file:a.db`
/// an address.
pub(super) fn literal(path: &Path) -> PathBuf {
    Path::new(".").join(path)
}

/// The length of the write-ahead log's file; 0 when there is none.
pub(super) fn log_bytes(real: &Path) -> u64 {
    fs::metadata(with_suffix(real, "-wal")).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_file_is_nothing_else() {
        let check = |path: &str, expected: &str| {
            assert_eq!(literal(Path::new(path)), Path::new(expected));
        };
        check(":memory:", "./:memory:");
        check("file:a.db?mode=memory", "./file:a.db?mode=memory");
        check("folder/a.db", "./folder/a.db");
        check("/folder/a.db", "/folder/a.db");
    }
}
