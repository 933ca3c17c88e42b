//! Other processes: their memory, and their end.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

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

/// Of a process and all that descend from it, in KiB. What they share is counted for each.
#[must_use]
pub fn memory_of_family(id: u32) -> Option<u64> {
    let mut parents = HashMap::new();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        // Whoever has just ended has no parent any more.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = parent_of(&stat) {
            parents.insert(id, parent);
        }
    }
    let family = parents
        .keys()
        .filter(|&&member| descends(member, id, &parents));
    Some(
        family
            .filter_map(|&id| memory(id))
            .map(|memory| memory.now)
            .sum(),
    )
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

fn descends(mut member: u32, from: u32, parents: &HashMap<u32, u32>) -> bool {
    loop {
        if member == from {
            return true;
        }
        match parents.get(&member) {
            Some(&parent) if parent != member => member = parent,
            _ => return false,
        }
    }
}

/// `4711 (name of any kind) S 4700 …`: the word after the state.
fn parent_of(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
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
    fn a_family_is_who_descends_from_the_first() {
        assert_eq!(parent_of("4711 (a) b) S 4700 1 2"), Some(4700));
        assert_eq!(parent_of(""), None);
        let parents = HashMap::from([(1, 0), (10, 1), (11, 10), (12, 11), (20, 1)]);
        let family = [10, 11, 12, 20, 1].map(|member| descends(member, 10, &parents));
        assert_eq!(family, [true, true, true, false, false]);
        let own = memory_of_family(std::process::id());
        assert!(own.is_none_or(|kib| kib > 0), "{own:?}");
    }
}
