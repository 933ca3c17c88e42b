//! [`Server`]: a running `serve`, or `work`. Dropped, it is killed.

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{self, Memory};

/// The process, the thread that reads what it prints, and the one that reads its log.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// Where it listens: a `serve` for HeyGen, a `work` for its operator.
    pub(super) address: SocketAddr,
    printed: Arc<Mutex<BTreeSet<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a `serve` and waits until its log says where it listens.
    pub(super) fn start(command: Command) -> Result<Self> {
        Self::start_until(command, listening)
    }

    /// Starts a `work` and waits until its log says where its operator finds it, which is when it has its inbox.
    pub(super) fn start_worker(command: Command) -> Result<Self> {
        Self::start_until(command, administered)
    }

    fn start_until(mut command: Command, address: fn(&str) -> Option<SocketAddr>) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start heygen-webhooks")?;
        let printed = Arc::new(Mutex::new(BTreeSet::new()));
        let output = child.stdout.take().context("no standard output")?;
        let log = child.stderr.take().context("no standard error")?;
        let (address, said) = read_log(log, address);
        let readers = vec![read_output(output, printed.clone()), said];
        let Ok(found) = address.recv_timeout(LONGEST_START) else {
            let _ = child.kill();
            let status = child.wait().context("wait for heygen-webhooks")?;
            bail!("it did not begin to listen ({status})");
        };
        match found {
            Found::Listening(address) => Ok(Self {
                child,
                address,
                printed,
                readers,
            }),
            Found::Ended(log) => {
                let status = child.wait().context("wait for heygen-webhooks")?;
                bail!("it ended instead of listening ({status}): {log}")
            }
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("look after heygen-webhooks")
    }

    /// SIGKILL: no goodbye. Returns the subjects of what it printed.
    pub(super) fn kill(mut self) -> Result<BTreeSet<String>> {
        self.child.kill().context("kill heygen-webhooks")?;
        self.child.wait().context("wait for heygen-webhooks")?;
        Ok(self.printed())
    }

    /// SIGTERM, and waits for its end. Returns the subjects of what it printed.
    pub(super) fn stop(mut self) -> Result<BTreeSet<String>> {
        let status = process::terminate(&mut self.child, LONGEST_STOP)?
            .context("it did not end after SIGTERM")?;
        if !status.success() {
            bail!("it ended on SIGTERM with {status}");
        }
        Ok(self.printed())
    }

    /// From /proc; `None` where there is none.
    pub(super) fn memory(&self) -> Option<Memory> {
        process::memory(self.child.id())
    }

    fn printed(&mut self) -> BTreeSet<String> {
        // They end with the process, whose pipes nobody else holds.
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        std::mem::take(&mut *self.printed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_output(
    pipe: impl Read + Send + 'static,
    printed: Arc<Mutex<BTreeSet<String>>>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        // The last line may be half a line: whoever printed it was killed.
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let Ok(line) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            if let Some(subject) = line["subject_id"].as_str() {
                let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
                printed.insert(subject.to_owned());
            }
        }
    })
}

/// What the log tells first.
enum Found {
    Listening(SocketAddr),
    /// It ended before; the last lines it said.
    Ended(String),
}

fn read_log(
    pipe: impl Read + Send + 'static,
    address: fn(&str) -> Option<SocketAddr>,
) -> (Receiver<Found>, JoinHandle<()>) {
    let (found, receiver) = channel();
    let reader = thread::spawn(move || {
        let mut last = VecDeque::new();
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if let Some(address) = address(&line) {
                let _ = found.send(Found::Listening(address));
            }
            last.push_back(line);
            if last.len() > LAST_LINES {
                last.pop_front();
            }
        }
        let last: Vec<String> = last.into();
        let _ = found.send(Found::Ended(last.join("; ")));
    });
    (receiver, reader)
}

/// `"url":"http://127.0.0.1:PORT/webhooks/heygen"` of a log line.
fn listening(line: &str) -> Option<SocketAddr> {
    address_in(line, "url")
}

/// `"admin":"http://127.0.0.1:PORT"` of a log line.
fn administered(line: &str) -> Option<SocketAddr> {
    address_in(line, "admin")
}

fn address_in(line: &str, field: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let url = line[field].as_str()?.strip_prefix("http://")?;
    url.split('/').next()?.parse().ok()
}

const LONGEST_START: Duration = Duration::from_secs(60);
const LONGEST_STOP: Duration = Duration::from_secs(60);
const LAST_LINES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_where_it_listens() {
        let line = r#"{"message":"listening","url":"http://127.0.0.1:4711/webhooks/heygen"}"#;
        assert_eq!(
            listening(line),
            Some(SocketAddr::from(([127, 0, 0, 1], 4711)))
        );
        assert_eq!(listening("{}"), None);
        assert_eq!(listening("no JSON"), None);
        let line = r#"{"message":"health","admin":"http://127.0.0.1:4712"}"#;
        assert_eq!(listening(line), None);
        assert_eq!(
            administered(line),
            Some(SocketAddr::from(([127, 0, 0, 1], 4712)))
        );
    }
}
