//! [`Load`]: the requests that `wrk` sends, and [`Measured`]: what it says came of them.
//!
//! HeyGen's events are unique and signed, so no two requests are the same; but signing is the sender's work and must not cost anything
//! while the receiver is measured.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use anyhow::{Context, Result, bail};
use heygen_signature::Secret;
use serde::Deserialize;
use xtask_harness::client::PATH;
use xtask_harness::event::{SECRET, post, success};
use xtask_harness::process::dying_with_us;

use crate::event;

/// Requests, computed before: a template, and for each a row of what differs: the id, then the signature. `wrk.lua` assembles them.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Where template and rows lie, and the script.
    folder: PathBuf,
    /// How many rows there are for each second.
    a_second: u64,
    seconds: u64,
    /// Whether the first row comes again after the last one: for a server to which all requests are alike.
    pub(super) is_endless: bool,
}

/// What `wrk` measured; of several servers all their requests, and the latencies of the slowest.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
pub(super) struct Measured {
    /// All answered 2xx, or there is an error instead.
    pub(super) requests: u64,
    pub(super) per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Answers other than 2xx and 3xx.
    refused: u64,
    /// Connections that broke or were refused, requests that timed out.
    broken: u64,
}

impl Load {
    /// Writes requests into `folder`, so many for each second: one to warm up, and `seconds` to measure.
    pub(super) fn new(folder: &Path, a_second: u64, seconds: u64) -> Result<Self> {
        fs::write(folder.join(SCRIPT), include_str!("wrk.lua")).context("write the script")?;
        let secret = Secret::new(SECRET).context("a secret")?;
        fs::write(folder.join("template"), template(&secret)).context("write the template")?;
        let rows = File::create(folder.join("rows")).context("create the rows")?;
        let mut rows = BufWriter::new(rows);
        for number in 0..a_second * (1 + seconds) {
            let id = event::id(number);
            let signature = secret.sign(success(&id).as_bytes());
            write!(rows, "{id}{signature}").context("write the rows")?;
        }
        rows.flush().context("write the rows")?;
        Ok(Self {
            folder: folder.to_owned(),
            a_second,
            seconds,
            is_endless: false,
        })
    }

    /// Sends for a second, with rows of its own: nothing is sent twice to a server that would notice. Where answers take longer,
    /// there are none yet.
    pub(super) fn warm_up(&self, to: &[SocketAddr], connections: usize) -> Result<Measured> {
        self.send(to, connections, 0, 1, 0)
    }

    /// Sends for as long as a measurement takes.
    pub(super) fn measure(&self, to: &[SocketAddr], connections: usize) -> Result<Measured> {
        self.send(to, connections, self.a_second, self.seconds, 1)
    }

    /// Sends to all of them at once, each with its share of the connections and of the rows.
    fn send(
        &self,
        to: &[SocketAddr],
        connections: usize,
        first: u64,
        seconds: u64,
        least: u64,
    ) -> Result<Measured> {
        let rows = self.a_second * seconds / to.len() as u64;
        let connections = connections / to.len();
        // A thread for each core, as the servers have, and no more than connections.
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(connections).to_string();
        let mut sending = Vec::new();
        for (number, address) in (0..).zip(to) {
            let wrk = dying_with_us("wrk")
                .args(["--threads", &threads])
                .args(["--connections", &connections.to_string()])
                .args(["--duration", &format!("{seconds}s"), "--timeout", "10s"])
                .args(["--latency", "--script"])
                .arg(self.folder.join(SCRIPT))
                .arg(format!("http://{address}{PATH}"))
                .arg("--")
                .arg(&self.folder)
                .args([first + number * rows, rows].map(|row| row.to_string()))
                .arg(&threads)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            sending.push(wrk.context("start wrk")?);
        }
        let mut all = Measured::default();
        for wrk in sending {
            let output = wrk.wait_with_output().context("wait for wrk")?;
            let [text, errors] = [output.stdout, output.stderr]
                .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
            let Some(measured) = read(&text).filter(|_| output.status.success()) else {
                bail!("wrk, which `cargo xtask setup` installs, measured nothing: {text} {errors}");
            };
            measured.check(least)?;
            let taken = measured.requests + connections as u64 + 1;
            if taken > rows && !self.is_endless {
                bail!("{taken} requests were sent and only {rows} prepared");
            }
            all = all.and(measured);
        }
        Ok(all)
    }
}

impl Measured {
    /// For a table: this rate, and the latencies.
    pub(super) fn figures(&self, rate: &'static str) -> Vec<(&'static str, f64)> {
        vec![
            (rate, self.per_second),
            (P50, self.p50_ms),
            (P99, self.p99_ms),
        ]
    }

    /// What spoils the measurement is an error, as fewer answers than these are.
    fn check(&self, least: u64) -> Result<()> {
        let (refused, broken) = (self.refused, self.broken);
        match self.requests {
            requests if requests < least => bail!("no answer at all"),
            _ if refused + broken > 0 => {
                bail!("{refused} answers were no 2xx, {broken} requests broke")
            }
            _ => Ok(()),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            per_second: self.per_second + other.per_second,
            p50_ms: self.p50_ms.max(other.p50_ms),
            p99_ms: self.p99_ms.max(other.p99_ms),
            ..self
        }
    }
}

/// The request of event 0.
fn template(secret: &Secret) -> String {
    post(secret, &success(&event::id(0)))
}

/// The line that `wrk.lua` writes at the end.
fn read(text: &str) -> Option<Measured> {
    let mut lines = text.lines();
    lines.find_map(|line| serde_json::from_str(line).ok())
}

pub(super) const P50: &str = "p50 ms";
pub(super) const P99: &str = "p99 ms";
const SCRIPT: &str = "wrk.lua";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check([requests, refused, broken]: [u64; 3], least: u64, expected: &str) {
        let measured = Measured {
            requests,
            refused,
            broken,
            ..Measured::default()
        };
        let error = measured.check(least).err().map(|error| error.to_string());
        assert_eq!(error.unwrap_or_default(), expected);
    }

    #[test]
    fn refusals_and_broken_requests_spoil_a_measurement() {
        check([10, 0, 0], 1, "");
        check([10, 1, 0], 1, "1 answers were no 2xx, 0 requests broke");
        check([10, 0, 2], 0, "0 answers were no 2xx, 2 requests broke");
        check([0, 0, 0], 0, "");
        check([0, 0, 0], 1, "no answer at all");
    }

    /// `LuaJIT` hashes long strings by a few of their bytes: those before a quarter of the length must differ from request to
    /// request, or all strings would fall into one bucket and the load generator would slow down.
    #[test]
    fn a_string_of_lua_is_told_apart_by_its_signature() {
        let template = template(&Secret::new("whsec_test").unwrap());
        let signature = template.find("Signature: ").unwrap() + "Signature: ".len();
        let hashed = (template.len() >> 2) - 1;
        let signature = signature..signature + 61;
        assert!(signature.contains(&hashed), "{signature:?}, {hashed}");
    }
}
