//! The power goes: what was written after the last fsync is torn.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::audit::Audit;
use super::event::Events;
use super::ground::{Ground, Home};
use super::load::{Ledger, Load, deliver_all};
use super::random::Random;
use super::shim::Shim;
use super::table::Row;

mod unsynced;

use unsynced::Unsynced;

pub(super) const WHAT: &str = "SIGKILL under load, then many copies of the files in which whatever no fsync had brought to the disk, \
of the log and of the file, is cut off, overwritten with random bytes or with zeros, sector by sector; each copy opens, is sound, and \
holds what was answered once";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let kills = ground.size(10, 2);
    let mut random = ground.random("torn");
    let mut told = Told::default();
    let mut total = Audit::default();
    for kill in 0..kills {
        let (home, tools) = (
            ground.home(&format!("torn-{kill}"))?,
            ground.home(&format!("torn-{kill}-shim"))?,
        );
        let shim = Shim::build(tools.folder(), home.inbox())?;
        let events = Events::new(format!("torn-{kill}"))?;
        let when = match kill % 2 {
            0 => When::AnyTime,
            _ => When::LogGoesIn,
        };
        let mut ledger = load_then_kill(&home, &shim, &events, when, &mut random)?;
        let unsynced = Unsynced::read(&shim.notes()?, &home.inbox());
        told.bytes = told.bytes.max(unsynced.log_bytes() + unsynced.file_bytes());
        told.in_file += u64::from(unsynced.file_bytes() > 0);
        for copy in 0..ground.size(COPIES, COPIES / 4) {
            let torn = ground.home(&format!("torn-{kill}-copy"))?;
            torn.empty()?;
            for ending in ["", "-wal"] {
                copy_file(&home, &torn, ending)?;
            }
            tear(&torn, &unsynced, &mut random).with_context(|| format!("tear copy {copy}"))?;
            told.look(&torn, &ledger, &events, || {
                format!("kill {kill}, copy {copy}")
            })?;
        }
        // The last copy goes on from there, as after a real one.
        let torn = ground.home(&format!("torn-{kill}-copy"))?;
        let server = torn.serve(&[])?;
        ledger.add(deliver_all(
            server.address,
            &ledger.unanswered(),
            |number| request(&events, number),
        ));
        server.stop()?;
        if !ledger.unanswered().is_empty() {
            told.wrong
                .push(format!("kill {kill}: some events were never taken"));
        }
        total.add(&torn.audit(&ledger, &events)?);
    }
    total.add(&told.damage);
    let mut row = Row::new("torn", kills, total);
    row.note(format!(
        "{} torn copies; at most {} KiB were not on the disk, {} times some of that in the file itself",
        told.copies,
        told.bytes / 1024,
        told.in_file
    ));
    if told.bytes == 0 {
        row.wrong("nothing was ever torn");
    }
    for wrong in told.wrong {
        row.wrong(wrong);
    }
    Ok(row)
}

/// What is told of the copies.
#[derive(Debug, Default)]
struct Told {
    copies: u64,
    /// The most that a kill left without an fsync.
    bytes: u64,
    /// How often some of it was in the file itself: its log was being brought into it.
    in_file: u64,
    /// What was lost or doubled in any copy, and no more: each delivery is counted once, at the end.
    damage: Audit,
    wrong: Vec<String>,
}

impl Told {
    fn look(
        &mut self,
        torn: &Home,
        ledger: &Ledger,
        events: &Events,
        when: impl Fn() -> String,
    ) -> Result<()> {
        self.copies += 1;
        if let Some(flaws) = torn.flaws()? {
            self.wrong.push(format!("{}: inbox check: {flaws}", when()));
            return Ok(());
        }
        let audit = torn.audit(ledger, events).with_context(&when)?;
        if !audit.is_sound() {
            self.wrong.push(format!("{}: {audit:?}", when()));
        }
        self.damage.lost += audit.lost;
        self.damage.duplicated += audit.duplicated;
        self.damage.invented += audit.invented;
        Ok(())
    }
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
    random: &mut Random,
) -> Result<Ledger> {
    let mut command = home.command();
    shim.load_noting(&mut command);
    let server = home.serve_through(command, &[])?;
    let long: Vec<u64> = (0..LONG_POSTS).collect();
    let mut ledger = deliver_all(server.address, &long, |number| request(events, number));
    let next = Arc::new(AtomicU64::new(LONG_POSTS));
    let load = Load::start(server.address, CONNECTIONS, events, &next, Vec::new());
    match when {
        When::AnyTime => thread::sleep(Duration::from_micros(random.below(LONGEST_LOAD_MICROS))),
        When::LogGoesIn => {
            let is_under_way = |notes: &str| Unsynced::read(notes, &home.inbox()).file_bytes() > 0;
            let started = Instant::now();
            while started.elapsed() < LONGEST_WAIT && !is_under_way(&shim.notes()?) {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_micros(
                random.below(LONGEST_CHECKPOINT_MICROS),
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
fn tear(torn: &Home, unsynced: &Unsynced, random: &mut Random) -> Result<()> {
    let log = torn.folder().join("inbox.db-wal");
    match random.below(3) {
        0 => {
            let (begin, end) = unsynced.span_of_log();
            let length = begin + random.below(end - begin + 1);
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
fn spoil(path: &Path, ranges: &[(u64, u64)], random: &mut Random) -> Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let worst = random.below(4);
    for &(offset, count) in ranges {
        let mut at = offset;
        let end = (offset + count).min(length);
        while at < end {
            let next = (at / SECTOR + 1) * SECTOR;
            let size = usize::try_from(next.min(end) - at).unwrap_or_default();
            let mut bytes = vec![0; size];
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut bytes)?;
            match random.below(4) {
                kept if kept < worst => {}
                0 => bytes.fill(0),
                _ => bytes.fill_with(|| random.next().to_le_bytes()[0]),
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
