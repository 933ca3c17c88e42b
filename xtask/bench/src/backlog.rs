//! Inbox files with many rows in them, made once and copied for whoever changes them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ground::{Ground, run};

/// The number of the first event in such a file, far from those of the requests.
pub(super) const FIRST: u64 = 1 << 40;

/// A file with so many rows, as the store itself writes them: all pending. To be copied by whoever changes it.
pub(super) fn filled(ground: &Ground, rows: u64) -> Result<PathBuf> {
    let folder = ground.shared("filled")?;
    let file = folder.join(format!("{rows}.db"));
    if file.exists() {
        return Ok(file);
    }
    let smaller = largest_below(&folder, rows);
    room_for(&folder, rows)?;
    let unfinished = folder.join("unfinished.db");
    let from = match smaller {
        Some(smaller) => {
            let source = folder.join(format!("{smaller}.db"));
            copy(&source, &unfinished)?;
            smaller
        }
        None => 0,
    };
    eprintln!("filling an inbox with {rows} rows");
    let mut command = ground.measured(&["fill"]);
    let range = [FIRST + from, FIRST + rows].map(|number| number.to_string());
    command.arg(&unfinished).args(range);
    run(command)?;
    fs::rename(&unfinished, &file).context("keep the inbox")?;
    Ok(file)
}

/// Copies it, until it is on the disk, so that the system does not write it while something else is measured.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).context("copy an inbox")?;
    let copied = File::options()
        .write(true)
        .open(to)
        .context("copy an inbox")?;
    copied.sync_all().context("copy an inbox")
}

fn largest_below(folder: &Path, rows: u64) -> Option<u64> {
    let names = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.file_name());
    names
        .filter_map(|name| name.to_str()?.strip_suffix(".db")?.parse().ok())
        .filter(|&found: &u64| found < rows)
        .max()
}

/// Fails before the disk is full, which it would be for everybody else too.
fn room_for(folder: &Path, rows: u64) -> Result<()> {
    let needed = rows * MOST_BYTES_A_ROW;
    match free_bytes(folder) {
        Some(free) if free < needed => {
            let [free, needed] = [free, needed].map(|bytes| bytes as f64 / 1e9);
            bail!("{rows} rows may need {needed:.1} GB and {free:.1} GB are free")
        }
        _ => Ok(()),
    }
}

fn free_bytes(folder: &Path) -> Option<u64> {
    let mut command = Command::new("df");
    let output = command
        .args(["--block-size=1", "--output=avail"])
        .arg(folder)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().nth(1)?.trim().parse().ok()
}

/// Generous: the body, its row, its place in the index, and the write-ahead log.
const MOST_BYTES_A_ROW: u64 = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_file_begins_with_the_largest_there_is() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "100.db",
            "2000.db",
            "100.db.lock",
            "30000.db",
            "unfinished.db",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(largest_below(folder.path(), 10_000), Some(2000));
        assert_eq!(largest_below(folder.path(), 100), None);
    }

    #[test]
    fn what_has_no_room_is_not_begun() {
        let folder = tempfile::tempdir().unwrap();
        assert!(room_for(folder.path(), 1).is_ok());
        // More than any disk has, where the system tells what it has.
        let refused = room_for(folder.path(), 1 << 50);
        assert_eq!(refused.is_err(), free_bytes(folder.path()).is_some());
    }
}
