//! How many files, and with them connections, may be open: ours, and of every server that we start.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// Raises the soft limit as far as `wanted`, where the hard limit and `prlimit` allow it; returns what holds now.
pub fn raise(wanted: u64) -> Result<u64> {
    let (soft, hard) = limits()?;
    let aim = wanted.min(hard);
    if soft < aim {
        // Where there is no `prlimit`, what holds is what was there before.
        let _ = Command::new("prlimit")
            .arg(format!("--pid={}", std::process::id()))
            .arg(format!("--nofile={aim}:"))
            .stderr(Stdio::null())
            .status();
    }
    Ok(limits()?.0)
}

/// Soft and hard.
fn limits() -> Result<(u64, u64)> {
    let text = fs::read_to_string("/proc/self/limits").context("read /proc/self/limits")?;
    parse(&text).context("find the limit of open files in /proc/self/limits")
}

fn parse(text: &str) -> Option<(u64, u64)> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_whitespace().map(|word| match word {
        "unlimited" => Some(u64::MAX),
        word => word.parse().ok(),
    });
    Some((words.next()??, words.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_from_proc() {
        let text = "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n";
        assert_eq!(parse(text), Some((1024, 4096)));
        assert_eq!(
            parse("Max open files 1024 unlimited files"),
            Some((1024, u64::MAX))
        );
        assert_eq!(parse(""), None);
    }
}
