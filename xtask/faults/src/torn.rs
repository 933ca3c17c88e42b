//! The power goes: what was written after the last fsync is torn.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use xtask_harness::audit::Audit;

use crate::shim::Shim;
use crate::trial::wait;
use crate::{Row, Testbed, Trial, random};

pub(super) const WHAT: &str = "SIGKILL under load, then many copies of the files in which whatever no fsync had brought to the disk, \
of the log and of the file, is cut off, overwritten with random bytes or with zeros, sector by sector; each copy opens, is sound, and \
holds what was answered once";

pub(super) fn run(testbed: &Testbed) -> Result<Row> {
    let kills = testbed.size(10, 2);
    let mut random = random(testbed, "torn");
    let mut row = Row {
        kills,
        ..Row::default()
    };
    let (mut copies, mut most_bytes, mut in_file) = (0, 0, 0);
    for kill in 0..kills {
        let mut trial = Trial::new(testbed, &format!("torn-{kill}"))?;
        // The first are long, so that the log is about to be brought into the file when the load begins.
        trial.request = |events, number| match number < LONG_POSTS {
            true => events.large_request(number, LONG),
            false => events.request(number),
        };
        trial.next.store(LONG_POSTS, Ordering::Relaxed);
        let shim = Shim::new(trial.home.inbox())?;
        load_then_kill(&mut trial, &shim, kill % 2 == 1, &mut random)?;
        let notes = shim.notes()?;
        let inbox = Written::read(trial.home.inbox(), &notes)?;
        let log = Written::read(log_of(&inbox.path), &notes)?;
        let bytes = [&inbox, &log].map(|file| file.unsynced.iter().map(Range::len).sum::<usize>());
        most_bytes = most_bytes.max(bytes[0] + bytes[1]);
        in_file += u64::from(!inbox.unsynced.is_empty());
        for copy in 0..testbed.size(COPIES, COPIES / 4) {
            let when = format!("kill {kill}, copy {copy}");
            trial.home.empty()?;
            let torn_log = match random.u8(..3) {
                0 => log.cut_off(&mut random),
                _ => log.spoilt(&mut random),
            };
            for (file, bytes) in [(&log, torn_log), (&inbox, inbox.spoilt(&mut random))] {
                let path = &file.path;
                fs::write(path, bytes).with_context(|| format!("write {}", path.display()))?;
            }
            copies += 1;
            if let Some(flaws) = trial.home.flaws()? {
                row.report.wrong(format!("{when}: {flaws}"));
                continue;
            }
            let found = trial.audit().context(when.clone())?;
            if !found.is_sound() {
                row.report.wrong(format!("{when}: {found:?}"));
            }
            // Each delivery is counted once, at the end; what is wrong with it, in every copy.
            row.audit.add(&Audit {
                requests: 0,
                answered: 0,
                kept: 0,
                ..found
            });
        }
        // The last copy goes on from there, as after a real one.
        let server = trial.home.serve(&[])?;
        row.add(trial.end(server)?.at(&format!("kill {kill}")));
    }
    row.report.note(format!(
        "{copies} torn copies; at most {} KiB were not on the disk, {in_file} times some of that in the file itself",
        most_bytes / 1024
    ));
    if most_bytes == 0 {
        row.report.wrong("nothing was ever torn");
    }
    Ok(row)
}

/// Kills at any time, or while the log is being brought into the file.
fn load_then_kill(
    trial: &mut Trial,
    shim: &Shim,
    is_log_to_go_in: bool,
    random: &mut fastrand::Rng,
) -> Result<()> {
    let command = shim.noting_command(&trial.home);
    let server = trial.home.serve_with(command, &[])?;
    trial.deliver(&server, 0..LONG_POSTS);
    let load = trial.load(&server, CONNECTIONS);
    let mut longest = LONGEST_LOAD_MICROS;
    if is_log_to_go_in {
        let inbox = trial.home.inbox();
        wait(LONGEST_WAIT, || {
            let notes = shim.notes().unwrap_or_default();
            !unsynced(&notes, &inbox).is_empty()
        });
        longest = LONGEST_CHECKPOINT_MICROS;
    }
    thread::sleep(Duration::from_micros(random.u64(..longest)));
    server.kill()?;
    trial.ledger.add(load.stop()?);
    Ok(())
}

/// A file when the process died, and what of it no fsync had brought to the disk.
struct Written {
    path: PathBuf,
    bytes: Vec<u8>,
    unsynced: Vec<Range<usize>>,
}

impl Written {
    fn read(path: PathBuf, notes: &str) -> Result<Self> {
        let unsynced = unsynced(notes, &path);
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(Self {
            path,
            bytes,
            unsynced,
        })
    }

    /// It ends somewhere in what was not on the disk.
    fn cut_off(&self, random: &mut fastrand::Rng) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let begin = self.unsynced.iter().map(|range| range.start).min();
        let end = self.unsynced.iter().map(|range| range.end).max();
        if let Some((begin, end)) = begin.zip(end) {
            bytes.truncate(random.usize(begin..=end));
        }
        bytes
    }

    /// Some sectors reached the disk, some did not, and of some no one knows what became.
    fn spoilt(&self, random: &mut fastrand::Rng) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let worst = random.u8(..4);
        for range in &self.unsynced {
            let mut at = range.start;
            while at < range.end.min(bytes.len()) {
                let next = ((at / SECTOR + 1) * SECTOR).min(range.end).min(bytes.len());
                match random.u8(..4) {
                    kept if kept < worst => {}
                    0 => bytes[at..next].fill(0),
                    _ => bytes[at..next].fill_with(|| random.u8(..)),
                }
                at = next;
            }
        }
        bytes
    }
}

/// What of this file no fsync had brought to the disk, from the notes of the shim.
///
/// A line that was cut off when the process died is of a write that was not made.
fn unsynced(notes: &str, path: &Path) -> Vec<Range<usize>> {
    let path = path.display().to_string();
    let mut ranges = Vec::new();
    for line in notes.lines() {
        let words = line.split_once(' ');
        match words.and_then(|(call, rest)| Some((call, rest.strip_prefix(&path)?))) {
            Some(("sync", "")) => ranges.clear(),
            Some(("write", rest)) => ranges.extend(range(rest)),
            _ => {}
        }
    }
    ranges
}

/// ` OFFSET LENGTH`
fn range(words: &str) -> Option<Range<usize>> {
    let (offset, length) = words.strip_prefix(' ')?.split_once(' ')?;
    let offset = offset.parse().ok()?;
    Some(offset..offset + length.parse::<usize>().ok()?)
}

fn log_of(inbox: &Path) -> PathBuf {
    inbox.with_extension("db-wal")
}

const CONNECTIONS: usize = 8;
const COPIES: u64 = 24;
const LONGEST_LOAD_MICROS: u64 = 700_000;
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// It takes longer than that, with every write noted.
const LONGEST_CHECKPOINT_MICROS: u64 = 20_000;

/// Just short of the 4,000 pages after which the log goes into the file.
const LONG_POSTS: u64 = 17;
const LONG: usize = 900_000;

const SECTOR: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_fsync_ends_what_was_written_before_it_to_that_file() {
        let notes = "\
            write /a b/inbox.db-wal 0 32\n\
            sync /a b/inbox.db-wal\n\
            write /a b/inbox.db-wal 32 24\n\
            write /a b/inbox.db 4096 4096\n\
            write /a b/inbox.db 0 16\n\
            write /a b/inbox.db-shm 0 1\n\
            write /a b/inbox.db-wal 56 4096\n\
            sync /a b/inbox.db-shm\n\
            write /a b/inb";
        let inbox = Path::new("/a b/inbox.db");
        assert_eq!(unsynced(notes, inbox), [4096..8192, 0..16]);
        assert_eq!(unsynced(notes, &log_of(inbox)), [32..56, 56..4152]);
    }
}
