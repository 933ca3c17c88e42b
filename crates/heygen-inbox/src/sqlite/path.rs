//! What stands beside an inbox file, by name.

use std::fs;
use std::path::Path;

pub(super) use crate::private_file::{beside, folder_of};

/// Of the file of the log, 0 when there is none.
pub(super) fn log_bytes(real: &Path) -> u64 {
    fs::metadata(beside(real, "-wal")).map_or(0, |metadata| metadata.len())
}
