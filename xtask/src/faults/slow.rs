//! Clients that send a byte at a time, and one that never stops sending.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::event::Events;
use super::ground::Ground;
use super::load::{Load, deliver_all};
use super::open_files;
use super::table::Row;
use crate::client::{PATH, connect, read_answer};
use crate::probes::{Connection, Prober};

pub(super) const WHAT: &str = "10,000 connections that send headers or bodies a byte at a time beside normal traffic, and a \
chunked body of 1 GiB without a length: normal traffic and probes pass, the slow are cut off, 413 and memory flat";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let wanted = ground.size(10_000, 500);
    let lasting = Duration::from_secs(ground.size(45, 15));
    let files = open_files::raise(wanted + OTHER_FILES)?;
    let connections = wanted.min(files.saturating_sub(OTHER_FILES));
    let home = ground.home("slow")?;
    let events = Events::new("slow")?;
    // Room for the slow and for the others: how many are served is not what is tried here.
    let server = home.serve(&["--max-connections", "12000"])?;
    let address = server.address;

    let next = Arc::new(AtomicU64::new(0));
    let load = Load::start(address, NORMAL, &events, &next, Vec::new());
    let prober = Prober::start(address, Connection::New);
    // The inbox must hold none of these: they never come to their end.
    let slow = drip(
        address,
        connections,
        lasting,
        &Events::new("never")?.request(0),
    );
    let probes = prober.stop()?;
    let mut ledger = load.stop()?;
    let refused = ledger.refused.values().sum::<u64>() + ledger.broken;
    let slow_memory = server.memory();

    let endless = send_endless(address);
    let memory = server.memory();
    let again = ledger.unanswered();
    ledger.add(deliver_all(address, &again, |number| {
        events.request(number)
    }));
    server.stop()?;

    let mut row = Row::new("slow", 0, home.audit(&ledger, &events)?);
    row.note(format!(
        "{connections} slow connections, half in headers, half in bodies, for {} s: {slow}",
        lasting.as_secs()
    ));
    row.note(format!(
        "beside them {NORMAL} normal connections, {refused} of whose posts failed; {}",
        probes.told()
    ));
    if connections < wanted {
        row.note(format!(
            "NOT with {wanted} connections: no more than {files} files may be open here"
        ));
    }
    if let Some(wrong) = probes.wrong() {
        row.wrong(wrong);
    }
    if refused > 0 {
        row.wrong(format!(
            "{refused} normal posts failed beside the slow ones"
        ));
    }
    if slow.most_open < connections {
        row.wrong(format!(
            "only {} slow connections were open at a time",
            slow.most_open
        ));
    }
    if slow.ended.is_empty() {
        row.wrong("no slow connection was cut off");
    }
    match (slow_memory, memory) {
        (Some(before), Some(after)) => {
            row.note(format!(
                "resident memory {before} beside the slow; after an endless body, of which {} KiB were sent before {}, {after}",
                endless.sent / 1024,
                endless.told()
            ));
            if after.peak > before.peak + MOST_MORE_KIB {
                row.wrong("an endless body made memory grow");
            }
        }
        _ => row.wrong("resident memory is unknown"),
    }
    if endless.status != Some(413) {
        row.wrong(format!(
            "an endless body ended with {}, not with 413",
            endless.told()
        ));
    }
    if let Some(flaws) = home.flaws()? {
        row.wrong(flaws);
    }
    Ok(row)
}

/// What became of the slow connections.
#[derive(Debug, Default)]
struct Slow {
    most_open: u64,
    /// How often one ended, by the status it was told; 0 for none.
    ended: BTreeMap<u16, u64>,
}

impl std::fmt::Display for Slow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ended: Vec<String> = self
            .ended
            .iter()
            .map(|(status, count)| match status {
                0 => format!("{count} closed without an answer"),
                status => format!("{count} cut off with {status}"),
            })
            .collect();
        write!(f, "{} open at a time, {}", self.most_open, ended.join(", "))
    }
}

/// One connection, and how much of the request it has sent.
struct Trickle {
    stream: TcpStream,
    sent: usize,
}

/// Keeps so many slow connections open; whichever is cut off is made anew.
fn drip(address: SocketAddr, connections: u64, lasting: Duration, request: &[u8]) -> Slow {
    let started = Instant::now();
    let mut slow = Slow::default();
    let mut trickles: Vec<Option<Trickle>> = (0..connections).map(|_| None).collect();
    while started.elapsed() < lasting {
        let mut open = 0;
        for (number, place) in trickles.iter_mut().enumerate() {
            if let Some(trickle) = place {
                match trickle.one_more_byte(request) {
                    Ok(()) => open += 1,
                    Err(status) => {
                        *slow.ended.entry(status).or_default() += 1;
                        *place = None;
                    }
                }
            } else {
                *place = Trickle::begin(address, request, number % 2 == 0).ok();
                open += u64::from(place.is_some());
            }
        }
        slow.most_open = slow.most_open.max(open);
        thread::sleep(BETWEEN_BYTES);
    }
    slow
}

impl Trickle {
    /// Slow from the first byte, or with the whole header at once.
    fn begin(address: SocketAddr, request: &[u8], is_slow_header: bool) -> io::Result<Self> {
        let mut stream = connect(address)?;
        let header = request
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
            .unwrap_or_default()
            + 4;
        let sent = if is_slow_header { 1 } else { header };
        stream.write_all(request.get(..sent).unwrap_or_default())?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, sent })
    }

    /// An error is the status that was told when the connection ended, or 0.
    fn one_more_byte(&mut self, request: &[u8]) -> Result<(), u16> {
        let mut answer = [0; 512];
        match self.stream.read(&mut answer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(length) => {
                let answer =
                    String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned();
                return Err(answer
                    .split(' ')
                    .nth(1)
                    .and_then(|status| status.parse().ok())
                    .unwrap_or(0));
            }
            Err(_) => return Err(0),
        }
        let byte = request.get(self.sent..=self.sent).unwrap_or(b" ");
        // A failure shows when it is next read from.
        if self.stream.write(byte).is_ok() {
            self.sent += 1;
        }
        Ok(())
    }
}

/// How the endless body ended.
#[derive(Debug)]
struct Endless {
    sent: u64,
    status: Option<u16>,
}

impl Endless {
    fn told(&self) -> String {
        self.status
            .map_or_else(|| "no answer".to_owned(), |status| status.to_string())
    }
}

/// Sends chunks until the peer has enough of it, 1 GiB at the most. Reads meanwhile, so that no reset overtakes the answer.
fn send_endless(address: SocketAddr) -> Endless {
    let mut endless = Endless {
        sent: 0,
        status: None,
    };
    let Ok(mut stream) = connect(address) else {
        return endless;
    };
    let Ok(reading) = stream.try_clone() else {
        return endless;
    };
    let reader = thread::spawn(move || {
        read_answer(&mut BufReader::new(reading))
            .ok()
            .map(|(status, _)| status)
    });
    let signature = "0".repeat(64);
    let header = format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nSignature: {signature}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; CHUNK], b"\r\n"].concat();
    let mut result = stream.write_all(header.as_bytes());
    while result.is_ok() && endless.sent < GIB {
        result = stream.write_all(&chunk);
        if result.is_ok() {
            endless.sent += 0x10000;
        }
    }
    endless.status = reader.join().ok().flatten();
    endless
}

const NORMAL: usize = 8;

/// What else is open in this process and in the server, generously.
const OTHER_FILES: u64 = 1000;

/// A header takes longer than its 5 s at this pace, and a body longer than its 10 s.
const BETWEEN_BYTES: Duration = Duration::from_millis(100);

const CHUNK: usize = 0x10000;
const GIB: u64 = 1 << 30;

/// The longest body taken is 1 MiB; this is room for it, a few times over.
const MOST_MORE_KIB: u64 = 8 * 1024;
