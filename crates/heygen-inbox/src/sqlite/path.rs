//! What stands beside an inbox file, by name.

use std::fs;
use std::path::{Path, PathBuf};

/// Of the file of the log, 0 when there is none.
pub(super) fn log_bytes(real: &Path) -> u64 {
    fs::metadata(beside(real, "-wal")).map_or(0, |metadata| metadata.len())
}

/// The path with something added to its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}
