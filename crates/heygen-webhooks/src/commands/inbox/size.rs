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
    counted(number, "delivery", "deliveries")
}

/// `3 requests`, `1 request`
pub(super) fn requests(number: u64) -> String {
    counted(number, "request", "requests")
}

/// A line for each of these numbers of deliveries that is not 0, below the first.
pub(super) fn outcome(first: &str, others: &[(usize, &str)]) -> String {
    let others = others.iter().filter(|(number, _)| *number > 0);
    let others = others.map(|(number, what)| format!("\n{} {what}", deliveries(*number as u64)));
    format!("{first}{}\n", others.collect::<String>())
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// The file and its write-ahead log.
pub(super) fn on_disk(inbox: &Path) -> u64 {
    let len = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    len(inbox) + len(&private_file::with_suffix(inbox, "-wal"))
}
