//! A queue that is full, bodies beyond the memory for them, and more connections than are served.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::audit::Audit;
use super::event::Events;
use super::ground::{Ground, Home};
use super::load::{Ledger, deliver_all};
use super::open_files;
use super::server::Server;
use super::table::Row;
use crate::client::Client;
use crate::probes::{Connection, Prober};

pub(super) const WHAT: &str = "more posts than the queue holds and more bytes of bodies than memory is for, while another program \
locks the file; four times as many connections as are served: 503 and nothing else, probes pass, memory is bounded";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let mut told = Told::default();
    let mut total = Audit::default();
    let files = open_files::raise(WANTED_FILES)?;
    total.add(&full_queue(ground, files, &mut told)?);
    total.add(&large_bodies(ground, &mut told)?);
    total.add(&flood(ground, &mut told)?);
    let mut row = Row::new("queue", 0, total);
    for note in told.notes {
        row.note(note);
    }
    for wrong in told.wrong {
        row.wrong(wrong);
    }
    Ok(row)
}

#[derive(Debug, Default)]
struct Told {
    notes: Vec<String>,
    wrong: Vec<String>,
}

impl Told {
    /// What every part must show: 503 and no other refusal, and at least one; memory.
    fn refusals(&mut self, part: &str, ledger: &Ledger, server: &Server, probes: &str) {
        let refused = ledger.refused.get(&503).copied().unwrap_or_default();
        let (requests, broken) = (ledger.requests, ledger.broken);
        let memory = server
            .memory()
            .map_or_else(|| "unknown".to_owned(), |memory| memory.to_string());
        self.notes.push(format!(
            "{part}: {refused} of {requests} posts 503, {broken} without an answer; {probes}; resident memory {memory}"
        ));
        if refused == 0 {
            self.wrong.push(format!(
                "{part}: nothing was refused, so the limit was not reached"
            ));
        }
        self.wrong
            .extend(ledger.unexpected().map(|what| format!("{part}: {what}")));
        if let Some(memory) = server.memory().filter(|memory| memory.peak > MOST_KIB) {
            self.wrong.push(format!("{part}: resident memory {memory}"));
        }
    }
}

/// Every connection has one post under way, and there are a thousand more of them than the queue of 4,096 holds.
fn full_queue(ground: &Ground, files: u64, told: &mut Told) -> Result<Audit> {
    let connections = QUEUE + 1000;
    if files < connections + 100 {
        told.wrong.push(format!(
            "full queue: not run, only {files} files may be open (ulimit -n)"
        ));
        return Ok(Audit::default());
    }
    let home = ground.home("queue")?;
    let events = Events::new("queue")?;
    let server = home.serve(&[])?;
    let Some(lock) = Lock::take(&home.inbox(), told)? else {
        return Ok(Audit::default());
    };
    let requests: Vec<(u64, Vec<u8>)> = (0..connections)
        .map(|number| (number, events.request(number)))
        .collect();
    let overflows = listen_overflows();
    let prober = Prober::start(server.address, Connection::New);
    let mut ledger = all_at_once(&server, &requests, THREADS, || {
        thread::sleep(HELD);
        lock.release()
    })?;
    let probes = prober.stop()?;
    told.refusals("full queue", &ledger, &server, &probes.told());
    if let (Some(before), Some(after)) = (overflows, listen_overflows()) {
        let more = after.saturating_sub(before);
        told.notes.push(format!(
            "full queue: {more} times a connection found the system's accept queue full (counted for the whole machine); \
             whoever meets that tries again after 1 s"
        ));
    }
    told.wrong
        .extend(probes.wrong().map(|wrong| format!("full queue: {wrong}")));
    let again = ledger.unanswered();
    ledger.add(deliver_all(server.address, &again, |number| {
        events.request(number)
    }));
    finish(&home, &events, server, &ledger, told)
}

/// Twice the 64 MiB that bodies may take, under way at once.
fn large_bodies(ground: &Ground, told: &mut Told) -> Result<Audit> {
    let home = ground.home("queue-large")?;
    let events = Events::new("large")?;
    let server = home.serve(&[])?;
    let Some(lock) = Lock::take(&home.inbox(), told)? else {
        return Ok(Audit::default());
    };
    let request = |number| events.large_request(number, 1_000_000);
    let requests: Vec<(u64, Vec<u8>)> = (0..128).map(|number| (number, request(number))).collect();
    let prober = Prober::start(server.address, Connection::New);
    let mut ledger = all_at_once(&server, &requests, requests.len(), || {
        thread::sleep(HELD);
        lock.release()
    })?;
    let probes = prober.stop()?;
    told.refusals("bodies of 1 MB", &ledger, &server, &probes.told());
    told.wrong.extend(
        probes
            .wrong()
            .map(|wrong| format!("bodies of 1 MB: {wrong}")),
    );
    let again = ledger.unanswered();
    ledger.add(deliver_all(server.address, &again, request));
    finish(&home, &events, server, &ledger, told)
}

/// Four times as many connections as are served, each with a post.
fn flood(ground: &Ground, told: &mut Told) -> Result<Audit> {
    let home = ground.home("queue-flood")?;
    let events = Events::new("flood")?;
    let server = home.serve(&["--max-connections", &MAX_CONNECTIONS.to_string()])?;
    // On a connection from before: what comes beyond the limit and its reserve is closed, probes too.
    let prober = Prober::start(server.address, Connection::Kept);
    let mut ledger = Ledger::default();
    for round in 0..ground.size(10, 2) {
        let numbers = (round * 4 * MAX_CONNECTIONS)..((round + 1) * 4 * MAX_CONNECTIONS);
        let requests: Vec<(u64, Vec<u8>)> = numbers
            .map(|number| (number, events.request(number)))
            .collect();
        ledger.add(all_at_once(&server, &requests, THREADS, || Ok(()))?);
    }
    let probes = prober.stop()?;
    told.refusals("connection flood", &ledger, &server, &probes.told());
    told.wrong.extend(
        probes
            .wrong()
            .map(|wrong| format!("connection flood: {wrong}")),
    );
    let again = ledger.unanswered();
    ledger.add(deliver_all(server.address, &again, |number| {
        events.request(number)
    }));
    finish(&home, &events, server, &ledger, told)
}

/// Sends each request on a connection of its own, calls `meanwhile` when all are under way, and then reads the answers.
fn all_at_once(
    server: &Server,
    requests: &[(u64, Vec<u8>)],
    threads: usize,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<Ledger> {
    let address = server.address;
    let chunk = requests.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let senders: Vec<_> = requests
            .chunks(chunk)
            .map(|chunk| {
                scope.spawn(move || -> Vec<_> {
                    chunk
                        .iter()
                        .map(|(number, request)| {
                            let mut client = Client::new(address);
                            let sent = client.send(request);
                            (*number, client, sent)
                        })
                        .collect()
                })
            })
            .collect();
        let mut under_way = Vec::new();
        for sender in senders {
            under_way.extend(sender.join().map_err(|_| anyhow!("a sender panicked"))?);
        }
        meanwhile()?;
        let mut ledger = Ledger::default();
        for (number, client, sent) in &mut under_way {
            // Whoever is refused early may not get to send everything, and has its answer all the same.
            let status = client
                .receive()
                .or_else(|error| std::mem::replace(sent, Ok(())).and(Err(error)));
            ledger.note(*number, &status);
        }
        Ok(ledger)
    })
}

fn finish(
    home: &Home,
    events: &Events,
    server: Server,
    ledger: &Ledger,
    told: &mut Told,
) -> Result<Audit> {
    let unanswered = ledger.unanswered().len();
    if unanswered > 0 {
        told.wrong
            .push(format!("{unanswered} events were never taken"));
    }
    server.stop()?;
    told.wrong.extend(home.flaws()?);
    home.audit(ledger, events)
}

/// Another program that holds SQLite's lock, as a backup or a person at a prompt may.
struct Lock {
    child: Child,
}

impl Lock {
    /// `None`, and said so, where there is no `sqlite3`.
    fn take(inbox: &Path, told: &mut Told) -> Result<Option<Self>> {
        let child = Command::new("sqlite3")
            .arg(inbox)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            let missing = "not run: `sqlite3`, which is to lock the file, is not installed (apt-get install sqlite3)";
            told.wrong.push(missing.to_owned());
            return Ok(None);
        };
        let output = child.stdout.take().context("no standard output")?;
        let mut lock = Self { child };
        lock.say(".timeout 5000\nBEGIN IMMEDIATE;\nSELECT 'held';\n")?;
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .context("read what sqlite3 says")?;
        if line.trim() != "held" {
            bail!("sqlite3 did not get the lock");
        }
        Ok(Some(lock))
    }

    fn release(mut self) -> Result<()> {
        self.say("ROLLBACK;\n.quit\n")
    }

    fn say(&mut self, text: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("no standard input")?;
        input.write_all(text.as_bytes()).context("write to sqlite3")
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing its input ends it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// How often the system had no room for one more connection that was to be accepted, on any socket.
fn listen_overflows() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/netstat").ok()?;
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let column = names
        .split_whitespace()
        .position(|name| name == "ListenOverflows")?;
    numbers.split_whitespace().nth(column)?.parse().ok()
}

/// What the inbox's queue holds by default.
const QUEUE: u64 = 4096;

const MAX_CONNECTIONS: u64 = 256;
const WANTED_FILES: u64 = 8192;
const THREADS: usize = 16;

/// Shorter than the 5 s after which the receiver gives up on a lock.
const HELD: Duration = Duration::from_secs(2);

/// 64 MiB of bodies are in memory as received, as queued and as SQLite's pages; the rest is the process itself.
const MOST_KIB: u64 = 384 * 1024;
