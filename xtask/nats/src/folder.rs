//! [`folder`]: where tests write.

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A folder of its own for a test: in memory where Linux has room there, as most of what tests wait for is a disk that syncs.
/// `TMPDIR` names another place.
pub fn folder() -> Result<TempDir> {
    #[cfg(target_os = "linux")]
    if std::env::var_os("TMPDIR").is_none() && has_room() && has_memory() {
        return tempfile::tempdir_in(MEMORY).context(MEMORY);
    }
    tempfile::tempdir().context("a temporary folder")
}

/// Containers often have 64 MiB there, and run no programs from it.
#[cfg(target_os = "linux")]
fn has_room() -> bool {
    use rustix::fs::{StatVfsMountFlags, statvfs};
    statvfs(MEMORY).is_ok_and(|found| {
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        free >= ROOM && !found.f_flag.contains(StatVfsMountFlags::NOEXEC)
    })
}

/// What is free there may be more than what is free in the machine.
#[cfg(target_os = "linux")]
fn has_memory() -> bool {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.is_some_and(|kibibytes| kibibytes >= ROOM / 1024)
}

#[cfg(target_os = "linux")]
const MEMORY: &str = "/dev/shm";
#[cfg(target_os = "linux")]
const ROOM: u64 = 4 << 30;
