//! [`Running`]: a server in a process of its own. Dropped, it is ended; and it ends with us, however we end.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{self, Memory};

/// A process that listens.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Running {
    /// Starts `command`, which is to listen on `address`, and waits until it does. What it prints goes nowhere, what it
    /// logs to `log`.
    pub(super) fn start(command: Command, address: SocketAddr, log: &Path) -> Result<Self> {
        Self::start_into(command, address, log, Stdio::null())
    }

    /// The same, with what it prints.
    pub(super) fn start_into(
        mut command: Command,
        address: SocketAddr,
        log: &Path,
        output: Stdio,
    ) -> Result<Self> {
        let errors = File::create(log).with_context(|| format!("create {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        let mut running = Self { child, address };
        let started = Instant::now();
        while !is_listening(address) {
            if let Some(status) = running.child.try_wait().context("look after a server")? {
                bail!(
                    "it ended instead of listening ({status}): {}",
                    last_lines(log)
                );
            }
            if started.elapsed() > LONGEST_START {
                bail!("it did not begin to listen: {}", last_lines(log));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(running)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Of the process alone.
    pub(super) fn memory(&self) -> Option<Memory> {
        process::memory(self.id())
    }

    /// SIGTERM, and waits for its end.
    pub(super) fn stop(mut self) -> Result<()> {
        match process::terminate(&mut self.child, LONGEST_STOP)? {
            Some(_) => Ok(()),
            None => bail!("a server did not end after SIGTERM"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What it has started is ended by it, and `serve` gives its handlers 10 s for that.
        let _ = process::terminate(&mut self.child, Duration::from_secs(15));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to a port on which nobody listens can, by a rare chance, meet itself.
fn is_listening(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1))
        .is_ok_and(|stream| stream.local_addr().is_ok_and(|local| local != address))
}

/// A command that gets SIGTERM when we end, however that comes about; Ctrl-C reaches it by itself.
///
/// `setpriv` belongs to every Debian. Where it is missing, only SIGKILL sent to us leaves anything running.
pub(super) fn dying_with_us(program: impl AsRef<Path>) -> Command {
    let is_there = Command::new("setpriv")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let mut command = match is_there {
        true => {
            let mut command = Command::new("setpriv");
            command
                .args(["--pdeathsig", "TERM", "--"])
                .arg(program.as_ref());
            command
        }
        false => Command::new(program.as_ref()),
    };
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_string_lossy().starts_with("HEYGEN")) {
        command.env_remove(name);
    }
    command
}

/// A port of loopback on which nobody listens.
pub(super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    listener.local_addr().context("find a free port")
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

const LONGEST_START: Duration = Duration::from_secs(60);
const LONGEST_STOP: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = dying_with_us("sh");
        command.args(["-c", "echo no such option >&2; exit 3"]);
        let log = folder.path().join("log");
        let error = Running::start(command, free_address().unwrap(), &log).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("no such option"), "{text}");
    }
}
