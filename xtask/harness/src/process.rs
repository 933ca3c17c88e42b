//! Other processes: their memory, and their end.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// Resident memory in KiB.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Memory {
    /// Of this moment.
    pub now: u64,
    /// The most since the process began.
    pub peak: u64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [now, peak] = [self.now, self.peak].map(|kib| kib / 1024);
        write!(f, "{now} MiB, at most {peak} MiB")
    }
}

/// Of one process, from /proc; `None` where there is none.
#[must_use]
pub fn memory(id: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    Some(Memory {
        now: kib(&status, "VmRSS:")?,
        peak: kib(&status, "VmHWM:")?,
    })
}

/// Of a process and of all that descend from it, the most of each since it began, in KiB. What they share is counted for each.
#[must_use]
pub fn memory_of_family(id: u32) -> Option<u64> {
    let mut kib = memory(id)?.peak;
    for task in fs::read_dir(format!("/proc/{id}/task")).ok()?.flatten() {
        // A process that has just ended has no children any more.
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let children = children.split(' ').filter_map(|id| id.trim().parse().ok());
        kib += children.filter_map(memory_of_family).sum::<u64>();
    }
    Some(kib)
}

/// CPU time of a process since it began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cpu {
    /// In the program itself.
    pub user: Duration,
    /// In the system, for it.
    pub system: Duration,
}

/// Of one process and all its threads, from /proc; `None` where there is none.
#[must_use]
pub fn cpu(id: u32) -> Option<Cpu> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The 14th and the 15th word, in hundredths of a second whatever the clock of the kernel is.
    let (_, rest) = stat.rsplit_once(')')?;
    let times = rest.split_whitespace().skip(11).take(2);
    let mut times = times.map(|time| Some(Duration::from_millis(10 * time.parse::<u64>().ok()?)));
    Some(Cpu {
        user: times.next()??,
        system: times.next()??,
    })
}

/// SIGTERM, and how it ended; `None` when it has not within `patience`, and still runs.
pub fn terminate(child: &mut Child, patience: Duration) -> Result<Option<ExitStatus>> {
    if let Some(status) = child.try_wait().context("look after a process")? {
        // Its id may be that of another by now.
        return Ok(Some(status));
    }
    kill_process(Pid::from_child(child), Signal::TERM).context("end a process")?;
    let started = Instant::now();
    loop {
        let status = child.try_wait().context("look after a process")?;
        if status.is_some() || started.elapsed() > patience {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A command that gets SIGTERM when we end, however that comes about; Ctrl-C reaches it by itself. It sees none of our HEYGEN
/// settings.
///
/// `setpriv` belongs to every Debian. Where it is missing, only SIGKILL sent to us leaves anything running.
#[must_use]
pub fn dying_with_us(program: impl AsRef<Path>) -> Command {
    let is_there = Command::new("setpriv")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let mut command = Command::new(program.as_ref());
    if is_there {
        command = Command::new("setpriv");
        let words = ["--pdeathsig", "TERM", "--"];
        command.args(words).arg(program.as_ref());
    }
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_string_lossy().starts_with("HEYGEN")) {
        command.env_remove(name);
    }
    command
}

/// Raises the limit of open files, and with it of connections, as far as `wanted` where that is allowed: ours, and of every server
/// that we start. Returns what holds now.
#[must_use]
pub fn raise_open_files(wanted: u64) -> u64 {
    // A limit that the system does not name is none.
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (soft, hard) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    let raised = soft.max(wanted.min(hard));
    let limit = Rlimit {
        current: Some(raised),
        maximum,
    };
    setrlimit(Resource::Nofile, limit).map_or(soft, |()| raised)
}

/// What a line of this name says in a file of /proc.
pub(crate) fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_cpu_time_are_read_from_proc() {
        let id = std::process::id();
        let memory = memory(id).unwrap();
        assert!(0 < memory.now && memory.now <= memory.peak, "{memory:?}");
        assert!(memory_of_family(id).unwrap() >= memory.peak);
        let started = Instant::now();
        while cpu(id).unwrap().user < Duration::from_millis(10) {
            assert!(started.elapsed() < Duration::from_secs(60), "no time");
        }
    }
}
