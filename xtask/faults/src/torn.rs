//! The power goes: what was written after the last fsync is torn.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use xtask_harness::audit::Audit;

use crate::shim::Shim;
use crate::trial::wait;
use crate::{Ground, Row, Trial};

pub(super) const WHAT: &str = "SIGKILL under load, then many copies of the files in which whatever no fsync had brought to the disk, \
of the log and of the file, is cut off, overwritten with random bytes or with zeros, sector by sector; each copy opens, is sound, and \
holds what was answered once";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let kills = ground.size(10, 2);
    let mut random = ground.random("torn");
    let mut row = Row {
        kills,
        ..Row::default()
    };
    let (mut copies, mut most_bytes, mut in_file) = (0, 0, 0);
    for kill in 0..kills {
        let mut trial = Trial::new(ground, &format!("torn-{kill}"))?;
        // The first are long, so that the log is about to be brought into the file when the load begins.
        trial.request = |events, number| match number < LONG_POSTS {
            true => events.large_request(number, LONG),
            false => events.request(number),
        };
        trial.next.store(LONG_POSTS, Ordering::Relaxed);
        let shim = Shim::new(trial.home.inbox())?;
        load_then_kill(&mut trial, &shim, kill % 2 == 1, &mut random)?;
        let whole = trial.home;
        let notes = shim.notes()?;
        let [file, log] = unsynced(&notes, &whole.inbox());
        let bytes = |ranges: &[Range]| ranges.iter().map(|(_, length)| length).sum::<u64>();
        most_bytes = most_bytes.max(bytes(&log) + bytes(&file));
        in_file += u64::from(!file.is_empty());
        trial.home = ground.home(&format!("torn-{kill}-copy"))?;
        for copy in 0..ground.size(COPIES, COPIES / 4) {
            let when = format!("kill {kill}, copy {copy}");
            trial.home.empty()?;
            for name in [INBOX, LOG] {
                let [from, to] = [&whole, &trial.home].map(|home| home.folder().join(name));
                fs::copy(from, to).with_context(|| format!("copy {name}"))?;
            }
            tear(trial.home.folder(), &file, &log, &mut random).context(when.clone())?;
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
            let [file, _] = unsynced(&notes, &inbox);
            !file.is_empty()
        });
        longest = LONGEST_CHECKPOINT_MICROS;
    }
    thread::sleep(Duration::from_micros(random.u64(..longest)));
    server.kill()?;
    trial.ledger.add(load.stop()?);
    Ok(())
}

/// Of a file: offset and length.
type Range = (u64, u64);

/// What of the file and of its log no fsync had brought to the disk when the process died, from the notes of the shim.
///
/// A line that was cut off then is of a write that was not made.
fn unsynced(notes: &str, inbox: &Path) -> [Vec<Range>; 2] {
    let mut ranges: BTreeMap<&str, Vec<Range>> = BTreeMap::new();
    for line in notes.lines() {
        if let Some(path) = line.strip_prefix("sync ") {
            ranges.remove(path);
        } else if let Some((path, range)) = line.strip_prefix("write ").and_then(write) {
            ranges.entry(path).or_default().push(range);
        }
    }
    ["", "-wal"].map(|ending| {
        let path = format!("{}{ending}", inbox.display());
        ranges.remove(&*path).unwrap_or_default()
    })
}

/// `PATH OFFSET LENGTH`
fn write(line: &str) -> Option<(&str, Range)> {
    let mut words = line.rsplitn(3, ' ');
    let length = words.next()?.parse().ok()?;
    let offset = words.next()?.parse().ok()?;
    Some((words.next()?, (offset, length)))
}

/// Cuts off the log somewhere in what was not on the disk, or spoils that sector by sector; in the file itself always the
/// latter.
fn tear(
    folder: &Path,
    in_file: &[Range],
    in_log: &[Range],
    random: &mut fastrand::Rng,
) -> Result<()> {
    let log = folder.join(LOG);
    let begin = in_log.iter().map(|(offset, _)| *offset).min();
    let end = in_log.iter().map(|(offset, length)| offset + length).max();
    match (random.u8(..3), begin.zip(end)) {
        (0, Some((begin, end))) => {
            let length = begin + random.u64(..=end - begin);
            let file = OpenOptions::new().write(true).open(&log)?;
            if length < file.metadata()?.len() {
                file.set_len(length)?;
            }
        }
        _ => spoil(&log, in_log, random)?,
    }
    spoil(&folder.join(INBOX), in_file, random)
}

/// Some sectors reached the disk, some did not, and of some nobody knows what became.
fn spoil(path: &Path, ranges: &[(u64, u64)], random: &mut fastrand::Rng) -> Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let worst = random.u8(..4);
    for &(offset, count) in ranges {
        let mut at = offset;
        let end = (offset + count).min(length);
        while at < end {
            let next = (at / SECTOR + 1) * SECTOR;
            let size = usize::try_from(next.min(end) - at).unwrap_or_default();
            let mut bytes = vec![0; size];
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut bytes)?;
            match random.u8(..4) {
                kept if kept < worst => {}
                0 => bytes.fill(0),
                _ => bytes.fill_with(|| random.u8(..)),
            }
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&bytes)?;
            at = next;
        }
    }
    Ok(())
}

const INBOX: &str = "inbox.db";
const LOG: &str = "inbox.db-wal";
const CONNECTIONS: usize = 8;
const COPIES: u64 = 24;
const LONGEST_LOAD_MICROS: u64 = 700_000;
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// It takes longer than that, with every write noted.
const LONGEST_CHECKPOINT_MICROS: u64 = 20_000;

/// Just short of the 4,000 pages after which the log goes into the file.
const LONG_POSTS: u64 = 17;
const LONG: usize = 900_000;

const SECTOR: u64 = 512;

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
            write /a b/inbox.db-shm 0 1\n\
            write /a b/inbox.db-wal 56 4096\n\
            sync /a b/inbox.db-shm\n\
            write /a b/inb";
        let [file, log] = unsynced(notes, Path::new("/a b/inbox.db"));
        assert_eq!(log, [(32, 24), (56, 4096)]);
        assert_eq!(file, [(4096, 4096)]);
    }
}
