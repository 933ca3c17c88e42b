//! [`Server`]: a running `serve`. Dropped, it is killed.

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
    pub(super) address: SocketAddr,
    printed: Arc<Mutex<BTreeSet<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts `command` and waits until its log says where it listens.
    pub(super) fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start heygen-webhooks serve")?;
        let printed = Arc::new(Mutex::new(BTreeSet::new()));
        let output = child.stdout.take().context("no standard output")?;
        let log = child.stderr.take().context("no standard error")?;
        let (address, said) = read_log(log);
        let readers = vec![read_output(output, printed.clone()), said];
        let Ok(found) = address.recv_timeout(LONGEST_START) else {
            let _ = child.kill();
            let status = child.wait().context("wait for heygen-webhooks")?;
            bail!("serve did not begin to listen ({status})");
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
                bail!("serve ended instead of listening ({status}): {log}")
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
            .context("serve did not end after SIGTERM")?;
        if !status.success() {
            bail!("serve ended on SIGTERM with {status}");
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

fn read_log(pipe: impl Read + Send + 'static) -> (Receiver<Found>, JoinHandle<()>) {
    let (found, address) = channel();
    let reader = thread::spawn(move || {
        let mut last = VecDeque::new();
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if let Some(address) = listening(&line) {
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
    (address, reader)
}

/// `"url":"http://127.0.0.1:PORT/webhooks/heygen"` of a log line.
fn listening(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let url = line["url"].as_str()?.strip_prefix("http://")?;
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
    }
}
