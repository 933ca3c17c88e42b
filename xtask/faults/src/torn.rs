//! The power goes: what was written after the last fsync is torn.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use xtask_harness::audit::{Audit, Ledger};
use xtask_harness::event::Events;
use xtask_harness::ground::Home;
use xtask_harness::load::{Load, deliver_all};
use xtask_harness::report::Report;

use crate::shim::Shim;
use crate::{Ground, Row};

mod unsynced;

use unsynced::Unsynced;

pub(super) const WHAT: &str = "SIGKILL under load, then many copies of the files in which whatever no fsync had brought to the disk, \
of the log and of the file, is cut off, overwritten with random bytes or with zeros, sector by sector; each copy opens, is sound, and \
holds what was answered once";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let kills = ground.size(10, 2);
    let mut random = ground.random("torn");
    let (mut audit, mut report) = (Audit::default(), Report::default());
    let (mut copies, mut most_bytes, mut in_file) = (0, 0, 0);
    for kill in 0..kills {
        let home = ground.home(&format!("torn-{kill}"))?;
        let tools = ground.home(&format!("torn-{kill}-shim"))?;
        let torn = ground.home(&format!("torn-{kill}-copy"))?;
        let shim = Shim::of(tools, home.inbox())?;
        let events = Events::new(format!("torn-{kill}"))?;
        let when = match kill % 2 {
            0 => When::AnyTime,
            _ => When::LogGoesIn,
        };
        let mut ledger = load_then_kill(&home, &shim, &events, when, &mut random)?;
        let unsynced = Unsynced::read(&shim.notes()?, &home.inbox());
        most_bytes = most_bytes.max(unsynced.log_bytes() + unsynced.file_bytes());
        in_file += u64::from(unsynced.file_bytes() > 0);
        for copy in 0..ground.size(COPIES, COPIES / 4) {
            torn.empty()?;
            for ending in ["", "-wal"] {
                copy_file(&home, &torn, ending)?;
            }
            tear(&torn, &unsynced, &mut random).with_context(|| format!("tear copy {copy}"))?;
            copies += 1;
            let when = format!("kill {kill}, copy {copy}");
            if let Some(flaws) = torn.flaws()? {
                report.wrong(format!("{when}: {flaws}"));
                continue;
            }
            let found = torn.audit(&ledger, &events).context(when.clone())?;
            if !found.is_sound() {
                report.wrong(format!("{when}: {found:?}"));
            }
            // Each delivery is counted once, at the end; what is wrong with it, in every copy.
            audit.lost += found.lost;
            audit.duplicated += found.duplicated;
            audit.invented += found.invented;
        }
        // The last copy goes on from there, as after a real one.
        let server = torn.serve(&[])?;
        let request = |number| request(&events, number);
        ledger.add(deliver_all(server.address, ledger.unanswered(), request));
        server.stop()?;
        report.wrong_if(ledger.unanswered().len(), "events were never taken");
        audit.add(&torn.audit(&ledger, &events)?);
    }
    report.note(format!(
        "{copies} torn copies; at most {} KiB were not on the disk, {in_file} times some of that in the file itself",
        most_bytes / 1024
    ));
    if most_bytes == 0 {
        report.wrong("nothing was ever torn");
    }
    Ok(Row {
        kills,
        audit,
        report,
    })
}

/// When the process is killed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    AnyTime,
    /// While the log is being brought into the file.
    LogGoesIn,
}

/// Long bodies first, so that the log is about to be brought into the file when the load begins.
fn load_then_kill(
    home: &Home,
    shim: &Shim,
    events: &Events,
    when: When,
    random: &mut fastrand::Rng,
) -> Result<Ledger> {
    let server = home.serve_with(shim.noting_command(home), &[])?;
    let long = 0..LONG_POSTS;
    let mut ledger = deliver_all(server.address, long, |number| request(events, number));
    let next = Arc::new(AtomicU64::new(LONG_POSTS));
    let load = Load::start(server.address, CONNECTIONS, events, &next, Vec::new());
    match when {
        When::AnyTime => thread::sleep(Duration::from_micros(random.u64(..LONGEST_LOAD_MICROS))),
        When::LogGoesIn => {
            let is_under_way = |notes: &str| Unsynced::read(notes, &home.inbox()).file_bytes() > 0;
            let started = Instant::now();
            while started.elapsed() < LONGEST_WAIT && !is_under_way(&shim.notes()?) {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_micros(
                random.u64(..LONGEST_CHECKPOINT_MICROS),
            ));
        }
    }
    server.kill()?;
    ledger.add(load.stop()?);
    Ok(ledger)
}

/// The first are long.
fn request(events: &Events, number: u64) -> Vec<u8> {
    match number < LONG_POSTS {
        true => events.large_request(number, LONG),
        false => events.request(number),
    }
}

fn copy_file(from: &Home, to: &Home, ending: &str) -> Result<()> {
    let name = |home: &Home| home.folder().join(format!("inbox.db{ending}"));
    fs::copy(name(from), name(to)).with_context(|| format!("copy inbox.db{ending}"))?;
    Ok(())
}

/// Cuts off the log somewhere in what was not on the disk, or spoils that sector by sector; in the file itself always the
/// latter.
fn tear(torn: &Home, unsynced: &Unsynced, random: &mut fastrand::Rng) -> Result<()> {
    let log = torn.folder().join("inbox.db-wal");
    match random.u8(..3) {
        0 => {
            let (begin, end) = unsynced.span_of_log();
            let length = begin + random.u64(..=end - begin);
            let file = OpenOptions::new().write(true).open(&log)?;
            if length < file.metadata()?.len() {
                file.set_len(length)?;
            }
        }
        _ => spoil(&log, unsynced.log(), random)?,
    }
    spoil(&torn.inbox(), unsynced.file(), random)
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
