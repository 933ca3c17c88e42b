//! Other processes: their memory, and their end.

use std::collections::HashMap;
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

/// Of a process and all that descend from it, in KiB. What they share is counted for each.
pub(crate) fn memory_of_family(id: u32) -> Option<u64> {
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
