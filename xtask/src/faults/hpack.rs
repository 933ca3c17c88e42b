//! Headers that cost their sender a byte each: HTTP/2's compression refers to what was said before.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::event::Events;
use super::ground::Ground;
use super::load::{Load, deliver_all};
use super::table::Row;
use crate::client::{PATH, connect};
use crate::probes::{Connection, Prober};

pub(super) const WHAT: &str = "100 connections of HTTP/2 with 128 requests each, every one of them with 970 headers of one byte on the \
wire, whose bodies never come, again and again beside normal traffic: memory stays under 160 MiB, posts and probes pass";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let rounds = ground.size(3, 1);
    let home = ground.home("hpack")?;
    let events = Events::new(format!("hpack-{}", ground.seed()))?;
    let server = home.serve(&[])?;
    let next = Arc::new(AtomicU64::new(0));
    let load = Load::start(server.address, NORMAL, &events, &next, Vec::new());
    let prober = Prober::start(server.address, Connection::New);
    let mut sent = 0;
    for _ in 0..rounds {
        let attackers: Vec<_> = (0..CONNECTIONS)
            .filter_map(|_| attack(server.address))
            .collect();
        sent += attackers.len() * attack_bytes();
        // Longer than a body may take, so that what was given up is seen to be given back.
        thread::sleep(HOLD);
        drop(attackers);
    }
    let probes = prober.stop()?;
    let mut ledger = load.stop()?;
    let refused = ledger.refused.values().sum::<u64>() + ledger.broken;
    let memory = server.memory();
    ledger.add(deliver_all(
        server.address,
        &ledger.unanswered(),
        |number| events.request(number),
    ));
    server.stop()?;

    let mut row = Row::new("hpack", 0, home.audit(&ledger, &events)?);
    row.note(format!(
        "{rounds} times {CONNECTIONS} connections, {} KiB on the wire; beside them {refused} normal posts failed; {}",
        sent / 1024,
        probes.told()
    ));
    match memory {
        Some(memory) => {
            row.note(format!("resident memory {memory}"));
            if memory.peak > MOST_KIB {
                row.wrong("resident memory was over 160 MiB");
            }
        }
        None => row.wrong("resident memory is unknown"),
    }
    if sent == 0 {
        row.wrong("no connection was attacked");
    }
    if refused > 0 {
        row.wrong(format!("{refused} normal posts failed"));
    }
    probes
        .wrong()
        .into_iter()
        .for_each(|wrong| row.wrong(wrong));
    home.flaws()?.into_iter().for_each(|flaws| row.wrong(flaws));
    Ok(row)
}

/// One connection that has sent all of its headers, as far as it was let.
fn attack(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = connect(address).ok()?;
    // The other side may have hung up in the middle; what it took until then is what is measured.
    let _ = stream.write_all(&attack_frames());
    let mut answers = stream.try_clone().ok()?;
    // Answers are read, so that the peer is not held up by its own.
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while matches!(answers.read(&mut buffer), Ok(1..)) {}
    });
    Some(stream)
}

fn attack_bytes() -> usize {
    attack_frames().len()
}

fn attack_frames() -> Vec<u8> {
    let path = PATH.as_bytes();
    // POST, http, :path and :authority as texts, and an empty header `a` that goes into the table.
    let mut first = vec![
        0x83,
        0x86,
        0x44,
        u8::try_from(path.len()).unwrap_or_default(),
    ];
    first.extend_from_slice(path);
    first.extend_from_slice(b"\x41\x01x\x40\x01a\x00");
    first.extend([NEWEST; REFERENCES]);
    // The same from the table: `a` is its newest entry, authority and path lie behind it.
    let mut rest = vec![0x83, 0x86, 0xc0, 0xbf];
    rest.extend([NEWEST; REFERENCES + 1]);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, b""));
    for stream in 0..STREAMS {
        let block = if stream == 0 { &first } else { &rest };
        bytes.extend(frame(1, END_HEADERS, 1 + 2 * stream, block));
    }
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .unwrap_or_default()
        .to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

const CONNECTIONS: usize = 100;
const STREAMS: u32 = 128;
const REFERENCES: usize = 970;
/// The newest entry of the table of headers.
const NEWEST: u8 = 0xbe;
const END_HEADERS: u8 = 4;
const NORMAL: usize = 8;
const HOLD: Duration = Duration::from_secs(12);
const MOST_KIB: u64 = 160 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_costs_a_byte() {
        let bytes = attack_bytes();
        assert!(bytes < 128 * 1024, "{bytes} bytes");
        assert_eq!(
            frame(1, 4, 3, b"ab"),
            b"\x00\x00\x02\x01\x04\x00\x00\x00\x03ab"
        );
    }
}
