//! Counts and sizes as text, and the size of an inbox file with those beside it.

use std::fs;
use std::path::Path;

use heygen_inbox::private_file;
use indicatif::{HumanBytes, HumanCount};

/// `12.3 MiB`
pub(super) fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// `1,234,567`
pub(super) fn count(count: u64) -> String {
    HumanCount(count).to_string()
}

/// `3 deliveries`, `1 delivery`
pub(super) fn deliveries(number: u64) -> String {
    match number {
        1 => "1 delivery".to_owned(),
        _ => format!("{} deliveries", count(number)),
    }
}

/// `3 posts`, `1 post`
pub(super) fn requests(number: u64) -> String {
    match number {
        1 => "1 request".to_owned(),
        _ => format!("{} requests", count(number)),
    }
}

/// The file and its write-ahead log.
pub(super) fn on_disk(inbox: &Path) -> u64 {
    let len = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    len(inbox) + len(&private_file::with_suffix(inbox, "-wal"))
}
