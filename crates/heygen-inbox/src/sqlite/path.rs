//! Paths of the files next to an inbox.

use std::fs;
use std::path::Path;

pub(super) use crate::private_file::{folder_of, with_suffix};

/// The length of the write-ahead log's file; 0 when there is none.
pub(super) fn log_bytes(real: &Path) -> u64 {
    fs::metadata(with_suffix(real, "-wal")).map_or(0, |metadata| metadata.len())
}
