//! Clients that send or read a byte at a time, by Debian's `slowhttptest`, and one that never stops sending.

use std::io::{BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result};
use xtask_harness::client::{PATH, connect, read_answer};
use xtask_harness::probes::Prober;
use xtask_harness::process::raise_open_files;

use crate::{Row, Testbed, Trial};

pub(super) const WHAT: &str = "10,000 connections of Debian's `slowhttptest` that send headers, then as many that send bodies, a few bytes \
at a time, and 1,500 that read so, beside normal traffic, and a chunked body of 1 GiB without a length: normal traffic and probes \
pass, the slow are cut off, 413 and memory flat";

pub(super) fn run(testbed: &Testbed) -> Result<Row> {
    let wanted = testbed.size(10_000, 500);
    let connections =
        wanted.min(raise_open_files(wanted + OTHER_FILES).saturating_sub(OTHER_FILES));
    let mut trial = Trial::new(testbed, "slow")?;
    // Room for the slow and for the others: how many are served is not what is tried here.
    let server = trial.home.serve(&["--max-connections", "12000"])?;
    let address = server.address;
    let load = trial.load(&server, NORMAL);
    let prober = Prober::start(address);
    let report = &mut trial.report;
    for (name, options, most) in MODES {
        let connections = connections.min(most);
        let said = slow(address, options, connections, testbed.size("30", "20"))?;
        let ended = match said.all_cut_off {
            true => "all were cut off",
            false => "the last were open at the end",
        };
        report.note(format!(
            "{name}: {} of {connections} open at a time, {ended}",
            said.most_connected
        ));
        if said.most_connected * 2 < connections {
            report.wrong(format!("{name}: fewer than half were open at a time"));
        }
        // Who reads slowly is served.
        if name != READING && !said.all_cut_off {
            report.wrong(format!("{name}: not all were cut off"));
        }
        report.wrong_if(said.times_gone, "times the service was not available");
    }
    if connections < wanted {
        report.note(format!(
            "NOT with {wanted} connections: too few files may be open here"
        ));
    }
    let probes = prober.stop()?;
    trial.ledger = load.stop()?;
    let failed = trial.ledger.failed();
    let before = server.memory().context("resident memory is unknown")?;
    let (sent, status) = send_endless(address);
    let after = server.memory().context("resident memory is unknown")?;

    report.note(format!(
        "beside them {NORMAL} normal connections, {failed} of whose posts failed; {}",
        probes.summary()
    ));
    report.note(format!(
        "resident memory {before} beside the slow; after an endless body, of which {} KiB were sent before {}, {after}",
        sent / 1024,
        status.map_or("no answer".to_owned(), |status| status.to_string())
    ));
    report.wrong.extend(probes.wrong());
    report.wrong_if(failed, "normal posts failed beside the slow ones");
    if after.peak > before.peak + MOST_MORE_KIB {
        report.wrong("an endless body made memory grow");
    }
    if status != Some(413) {
        report.wrong(format!(
            "an endless body ended with {status:?}, not with 413"
        ));
    }
    trial.end(server)
}

/// What is slow, the options of the tool, and how many connections at most.
const MODES: [(&str, &[&str], u64); 3] = [
    ("slow headers", &["-H"], u64::MAX),
    ("slow bodies", &["-B"], u64::MAX),
    // Windows of a few bytes, read a byte a second, three requests on a connection.
    (
        READING,
        &[
            "-X", "-w", "10", "-y", "20", "-n", "1", "-z", "1", "-k", "3",
        ],
        1500,
    ),
];

const READING: &str = "slow reading";

/// What the tool said.
#[derive(Debug, Default, Eq, PartialEq)]
struct Said {
    most_connected: u64,
    /// Whether it ended because none was open any more.
    all_cut_off: bool,
    /// How often its own probe found the service gone.
    times_gone: usize,
}

fn slow(address: SocketAddr, options: &[&str], connections: u64, seconds: &str) -> Result<Said> {
    let count = connections.to_string();
    let output = Command::new("slowhttptest")
        .args(options)
        .args([
            "-c", &count, "-r", &count, "-i", "2", "-p", "3", "-l", seconds,
        ])
        .args(["-u", &format!("http://{address}{PATH}")])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .context("start slowhttptest, which `cargo xtask setup` installs")?;
    Said::read(&String::from_utf8_lossy(&output.stdout)).context("slowhttptest said nothing")
}

impl Said {
    /// `None` when there is no word of connections at all. Its lines are coloured.
    fn read(text: &str) -> Option<Self> {
        let lines = |name| text.lines().filter(move |line| line.contains(name));
        let number = |line: &str| line.rsplit([' ', 'm']).next()?.parse().ok();
        let gone = lines("service available:").filter(|line| line.contains("NO"));
        Some(Self {
            most_connected: lines("connected:").filter_map(number).max()?,
            all_cut_off: text.contains("No open connections left"),
            times_gone: gone.count(),
        })
    }
}

/// Sends chunks until the peer has enough of it, 1 GiB at the most: how much, and what it answered. Reads meanwhile, so that no
/// reset overtakes the answer.
fn send_endless(address: SocketAddr) -> (u64, Option<u16>) {
    let Ok(mut stream) = connect(address) else {
        return (0, None);
    };
    let Ok(reading) = stream.try_clone() else {
        return (0, None);
    };
    let reader = thread::spawn(move || read_answer(&mut BufReader::new(reading)));
    let signature = "0".repeat(64);
    let header = format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nSignature: {signature}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let mut result = stream.write_all(header.as_bytes());
    let mut sent = 0;
    while result.is_ok() && sent < 1 << 30 {
        result = stream.write_all(&chunk);
        sent += if result.is_ok() { 0x10000 } else { 0 };
    }
    let answer = reader.join().ok().and_then(Result::ok);
    (sent, answer.map(|(status, _)| status))
}

const NORMAL: usize = 8;

/// What else is open in this process and in the server, generously.
const OTHER_FILES: u64 = 1000;

/// The longest body taken is 1 MiB; this is room for it, a few times over.
const MOST_MORE_KIB: u64 = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_slowhttptest_says_is_read() {
        let text = "\
            slow HTTP test status on 5th second:\n\
            \u{1b}[0minitializing:        \u{1b}[1m0\n\
            connected:           \u{1b}[1m998\n\
            service available:   \u{1b}[1mYES\n\
            connected:           58\n\
            service available:   NO\n\
            Exit status:\u{1b}[1;36m No open connections left\n";
        let expected = Said {
            most_connected: 998,
            all_cut_off: true,
            times_gone: 1,
        };
        assert_eq!(Said::read(text), Some(expected));
        assert_eq!(Said::read("no such file"), None);
    }
}
