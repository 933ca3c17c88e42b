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
    memory_of(&fs::read_to_string(format!("/proc/{id}/status")).ok()?)
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
    cpu_of(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
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
    let mut command = match is_there {
        true => {
            let mut command = Command::new("setpriv");
            let words = ["--pdeathsig", "TERM", "--"];
            command.args(words).arg(program.as_ref());
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

/// The 14th and the 15th word, in hundredths of a second whatever the clock of the kernel is.
fn cpu_of(stat: &str) -> Option<Cpu> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_whitespace().skip(11);
    let mut next = || {
        Some(Duration::from_millis(
            10 * times.next()?.parse::<u64>().ok()?,
        ))
    };
    Some(Cpu {
        user: next()?,
        system: next()?,
    })
}

fn memory_of(status: &str) -> Option<Memory> {
    Some(Memory {
        now: kib(status, "VmRSS:")?,
        peak: kib(status, "VmHWM:")?,
    })
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

    #[test]
    fn cpu_time_is_read_from_proc() {
        let stat = "4711 (a) b) S 4700 1 1 0 -1 4194560 100 0 0 0 250 75 0 0 20 0 9 0";
        let expected = Cpu {
            user: Duration::from_millis(2500),
            system: Duration::from_millis(750),
        };
        assert_eq!(cpu_of(stat), Some(expected));
        assert_eq!(cpu_of("4711 (a) S 1"), None);
    }

    #[test]
    fn a_family_is_all_that_descend_from_the_first() {
        let mut parent = Command::new("sh")
            .args(["-c", "sleep 60 & wait"])
            .spawn()
            .unwrap();
        let own = || memory(parent.id()).unwrap().peak;
        let started = Instant::now();
        // The child is there a moment after its parent.
        while memory_of_family(parent.id()).unwrap() <= own() {
            assert!(started.elapsed() < Duration::from_secs(60), "no child");
            thread::sleep(Duration::from_millis(5));
        }
        let children = format!("/proc/{0}/task/{0}/children", parent.id());
        let child = fs::read_to_string(children).unwrap();
        parent.kill().unwrap();
        parent.wait().unwrap();
        let child = Pid::from_raw(child.trim().parse().unwrap()).unwrap();
        kill_process(child, Signal::TERM).unwrap();
    }
}
