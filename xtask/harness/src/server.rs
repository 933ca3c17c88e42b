//! [`Server`]: a process that listens. Dropped, it is ended, and waited for; and it ends with us, however we end.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{self, Memory};

/// A process that listens.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: PathBuf,
    printed: PathBuf,
}

/// Where what it prints goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    /// Nowhere.
    Null,
    /// A file in its folder.
    Kept,
}

impl Server {
    /// Starts `command`, which is to listen on `address`, and waits until it does. Its log, and what it prints, go into `folder`.
    pub fn start(
        mut command: Command,
        address: SocketAddr,
        folder: &Path,
        output: Output,
    ) -> Result<Self> {
        let create =
            |path: &Path| File::create(path).with_context(|| format!("create {}", path.display()));
        let log = folder.join(format!("log-{}", address.port()));
        let printed = folder.join(format!("printed-{}", address.port()));
        let output = match output {
            Output::Null => Stdio::null(),
            Output::Kept => create(&printed)?.into(),
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(create(&log)?)
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        let mut server = Self {
            child,
            address,
            log,
            printed,
        };
        server.wait_until(|_| is_listening(address))?;
        Ok(server)
    }

    /// Waits until the log of a `serve` or a `work` tells its address: it listens before it has begun, and may still fail.
    pub fn wait_until_begun(&mut self) -> Result<()> {
        let url = format!("http://{}", self.address);
        self.wait_until(|log| fs::read_to_string(log).is_ok_and(|text| text.contains(&url)))
    }

    fn wait_until(&mut self, is_so: impl Fn(&Path) -> bool) -> Result<()> {
        let started = Instant::now();
        while !is_so(&self.log) {
            let last = || last_lines(&self.log);
            if let Some(status) = self.child.try_wait().context("look after a process")? {
                bail!("it ended instead of listening ({status}): {}", last());
            }
            if started.elapsed() > LONGEST {
                bail!("it did not begin to listen: {}", last());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("look after a process")
    }

    /// Of the process alone, from /proc; `None` where there is none.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        process::memory(self.id())
    }

    /// SIGKILL: no goodbye. Returns the subjects of what it printed.
    pub fn kill(mut self) -> Result<BTreeSet<String>> {
        self.child.kill().context("kill a process")?;
        self.child.wait().context("wait for a process")?;
        self.printed()
    }

    /// SIGTERM, and waits for its end. Returns the subjects of what it printed.
    pub fn stop(mut self) -> Result<BTreeSet<String>> {
        match process::terminate(&mut self.child, LONGEST)? {
            Some(status) if status.success() => self.printed(),
            Some(status) => bail!("it ended on SIGTERM with {status}"),
            None => bail!("it did not end after SIGTERM"),
        }
    }

    fn printed(&self) -> Result<BTreeSet<String>> {
        if !self.printed.exists() {
            return Ok(BTreeSet::new());
        }
        let text = fs::read(&self.printed).context("read what was printed")?;
        // The last line may be half a line: its process was killed.
        let lines = text.split(|byte| *byte == b'\n');
        let lines = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        Ok(lines
            .filter_map(|line| line["subject_id"].as_str().map(str::to_owned))
            .collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What it has started is ended by it, and `serve` gives its handlers 10 s for that.
        let _ = process::terminate(&mut self.child, Duration::from_secs(15));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to a port on which no one listens can, by a rare chance, meet itself.
fn is_listening(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1))
        .is_ok_and(|stream| stream.local_addr().is_ok_and(|local| local != address))
}

/// A port of loopback on which no one listens.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    listener.local_addr().context("find a free port")
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = process::dying_with_us("sh");
        command.args(["-c", "echo no such option >&2; exit 3"]);
        let address = free_address().unwrap();
        let error = Server::start(command, address, folder.path(), Output::Kept).unwrap_err();
        assert!(error.to_string().contains("no such option"), "{error}");
    }
}
