//! [`Load`]: the requests that `wrk` sends, and [`Measured`]: what it says came of them.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use xtask_harness::client::PATH;
use xtask_harness::process::dying_with_us;
use xtask_harness::tools;

/// Requests, computed before: `wrk.lua` assembles them.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Where template, layout and rows lie, and the script.
    folder: PathBuf,
    /// How many of the rows are for warming up.
    warm_up: u64,
    rows: u64,
}

/// A part of the rows, so that nothing is sent twice to a server that would notice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) first: u64,
    pub(super) count: u64,
}

/// What `wrk` measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Measured {
    /// Answers, those with an error status included.
    pub(super) requests: u64,
    pub(super) seconds: f64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) longest: Duration,
    /// Connections that broke or were refused, requests that timed out.
    pub(super) broken: u64,
    /// Answers other than 2xx and 3xx.
    pub(super) refused: u64,
}

impl Load {
    /// The requests in `folder`: so many to warm up with, and so many to measure with.
    pub(super) fn new(folder: PathBuf, warm_up: u64, measured: u64) -> Result<Self> {
        fs::write(folder.join(SCRIPT), include_str!("wrk.lua")).context("write the script")?;
        let rows = warm_up + measured;
        Ok(Self {
            folder,
            warm_up,
            rows,
        })
    }

    /// The first rows are for warming up; every measurement begins after them.
    pub(super) fn warm_up(&self) -> Part {
        let count = self.warm_up;
        Part { first: 0, count }
    }

    pub(super) fn measured(&self) -> Part {
        let count = self.rows - self.warm_up;
        let first = self.warm_up;
        Part { first, count }
    }

    /// Sends to `address` over so many connections for about so many seconds.
    ///
    /// Fails when there were too few rows for every request to be another event.
    pub(super) fn send(
        &self,
        address: SocketAddr,
        connections: usize,
        seconds: u64,
        part: Part,
    ) -> Result<Measured> {
        let measured = self.send_over_again(address, connections, seconds, part)?;
        let taken = measured.requests + measured.broken + connections as u64 + 1;
        if taken > part.count {
            bail!(
                "{taken} requests were sent and only {} prepared",
                part.count
            );
        }
        Ok(measured)
    }

    /// The same, from the start again after the last row: for a server to which all requests are alike.
    pub(super) fn send_over_again(
        &self,
        address: SocketAddr,
        connections: usize,
        seconds: u64,
        part: Part,
    ) -> Result<Measured> {
        let threads = threads(connections).to_string();
        let output = dying_with_us(tools::find("wrk")?)
            .args(["--threads", &threads])
            .args(["--connections", &connections.to_string()])
            .args(["--duration", &format!("{seconds}s"), "--timeout", "10s"])
            .args(["--latency", "--script"])
            .arg(self.folder.join(SCRIPT))
            .arg(format!("http://{address}{PATH}"))
            .arg("--")
            .arg(&self.folder)
            .args([part.first, part.count].map(|number| number.to_string()))
            .arg(&threads)
            .stdin(Stdio::null())
            .output()
            .context("start wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        match (output.status.success(), read(&text)) {
            (true, Some(measured)) => Ok(measured),
            _ => {
                let errors = String::from_utf8_lossy(&output.stderr);
                bail!(
                    "wrk did not measure anything: {} {}",
                    text.trim(),
                    errors.trim()
                )
            }
        }
    }
}

impl Measured {
    pub(super) fn per_second(&self) -> f64 {
        match self.seconds > 0.0 {
            true => self.requests as f64 / self.seconds,
            false => 0.0,
        }
    }

    /// Answered 2xx: every server is asked to answer so, or with an error.
    pub(super) fn answered(&self) -> u64 {
        self.requests - self.refused.min(self.requests)
    }

    /// What spoils the measurement.
    pub(super) fn wrong(&self) -> Option<String> {
        let (refused, broken) = (self.refused, self.broken);
        if self.requests == 0 {
            return Some("no answer at all".to_owned());
        }
        (refused + broken > 0)
            .then(|| format!("{refused} answers were no 2xx, {broken} requests broke"))
    }
}

/// A thread for each core, as the servers have, and no more than connections.
fn threads(connections: usize) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    cores.min(connections)
}

/// The line that `wrk.lua` writes at the end.
fn read(text: &str) -> Option<Measured> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("measured "))?;
    let number = |name: &str| -> Option<u64> {
        let word = line
            .split(' ')
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        word?.parse().ok()
    };
    Some(Measured {
        requests: number("requests")?,
        seconds: Duration::from_micros(number("microseconds")?).as_secs_f64(),
        p50: Duration::from_micros(number("p50")?),
        p99: Duration::from_micros(number("p99")?),
        longest: Duration::from_micros(number("longest")?),
        broken: number("connect")? + number("read")? + number("write")? + number("timeout")?,
        refused: number("status")?,
    })
}

const SCRIPT: &str = "wrk.lua";

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "measured requests=1000 microseconds=2000000 p50=310 p99=4000 longest=9000 connect=0 read=1 \
                        write=0 status=10 timeout=2\n";

    #[test]
    fn what_wrk_says_is_read() {
        let measured = read(&format!("Running 2s test\n{LINE}")).unwrap();
        assert_eq!(
            measured,
            Measured {
                requests: 1000,
                seconds: 2.0,
                p50: Duration::from_micros(310),
                p99: Duration::from_millis(4),
                longest: Duration::from_millis(9),
                broken: 3,
                refused: 10,
            }
        );
        assert_eq!(measured.answered(), 990);
        assert!((measured.per_second() - 500.0).abs() < 1e-9);
        assert_eq!(read("Running 2s test\nunable to connect\n"), None);
        assert_eq!(read(&LINE.replace("p50", "p49")), None);
    }

    #[test]
    fn refusals_and_broken_requests_are_told() {
        let good = Measured {
            requests: 10,
            ..Measured::default()
        };
        assert_eq!(good.wrong(), None);
        let refused = Measured {
            refused: 1,
            ..good.clone()
        };
        assert!(
            refused
                .wrong()
                .unwrap()
                .starts_with("1 answers were no 2xx")
        );
        let broken = Measured { broken: 2, ..good };
        assert!(broken.wrong().unwrap().ends_with("2 requests broke"));
        assert!(Measured::default().wrong().is_some());
    }

    #[test]
    fn warming_up_takes_no_row_of_the_measurement() {
        let load = Load {
            folder: PathBuf::new(),
            warm_up: 200,
            rows: 1001,
        };
        let (warm_up, measured) = (load.warm_up(), load.measured());
        assert_eq!(warm_up.first + warm_up.count, measured.first);
        assert_eq!(measured.first + measured.count, 1001);
    }

    #[test]
    fn there_are_no_more_threads_than_connections() {
        assert_eq!(threads(1), 1);
        assert!(threads(256) >= 1);
    }
}
