//! Other processes: their memory, and their end.

use std::fmt;
use std::fs;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Resident memory in KiB.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    /// The most since the process began.
    pub(crate) peak: u64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [now, peak] = [self.now, self.peak].map(|kib| kib / 1024);
        write!(f, "{now} MiB, at most {peak} MiB")
    }
}

/// Of one process, from /proc; `None` where there is none.
pub(crate) fn memory(id: u32) -> Option<Memory> {
    memory_of(&fs::read_to_string(format!("/proc/{id}/status")).ok()?)
}

/// SIGTERM, and how it ended; `None` when it has not within `patience`, and still runs.
pub(crate) fn terminate(child: &mut Child, patience: Duration) -> Result<Option<ExitStatus>> {
    if let Some(status) = child.try_wait().context("look after a process")? {
        // Its id may be somebody else's by now.
        return Ok(Some(status));
    }
    let id = child.id();
    let kill = Command::new("sh")
        .args(["-c", &format!("kill -TERM {id}")])
        .status();
    kill.context("start sh")?;
    let started = Instant::now();
    loop {
        let status = child.try_wait().context("look after a process")?;
        if status.is_some() || started.elapsed() > patience {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn memory_of(status: &str) -> Option<Memory> {
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches("kB").trim().parse().ok()
    };
    Some(Memory {
        now: kib("VmRSS:")?,
        peak: kib("VmHWM:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_proc() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(
            memory_of(status),
            Some(Memory {
                now: 10_240,
                peak: 20_480
            })
        );
        assert_eq!(memory_of("Name:\tx\n"), None);
    }
}
