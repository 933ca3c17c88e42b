//! The file system that the inbox is on: not every one keeps what is written to it.

use std::fs;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::store::location::InboxLocation;

/// Blocks for as long as the disk takes.
pub(super) fn finding(location: &InboxLocation) -> Finding {
    let InboxLocation::File(path) = location else {
        return Finding::skipped(ID, "the inbox is on NATS");
    };
    let mounts = fs::read_to_string("/proc/self/mountinfo");
    match (mounts, folder(path)) {
        (Ok(mounts), Some(folder)) => judged(&mounts, &folder),
        (Err(_), _) => Finding::skipped(ID, "this system does not tell file systems"),
        (_, None) => Finding::skipped(ID, "there is no such folder"),
    }
}

/// The folder that holds the inbox, or is to hold it, without links.
fn folder(inbox: &Path) -> Option<PathBuf> {
    // The file itself may be mounted.
    if let Ok(file) = inbox.canonicalize() {
        return Some(file);
    }
    let folder = inbox.parent()?;
    let folder = if folder == Path::new("") {
        Path::new(".")
    } else {
        folder
    };
    folder.canonicalize().ok()
}

fn judged(mounts: &str, path: &Path) -> Finding {
    let Some(mount) = mounts
        .lines()
        .filter_map(Mount::read)
        .filter(|it| path.starts_with(&it.point))
        .max_by_key(Mount::depth)
    else {
        return Finding::skipped(ID, "no file system is mounted there");
    };
    let kind = mount.kind;
    let what = format!("{kind}, mounted at {}", mount.point.display());
    if NETWORK.contains(&kind) {
        return Finding::warn(
            ID,
            format!(
                "{what}: SQLite needs locks and shared memory that a file system over a network may not have"
            ),
            "put the inbox on a disk of this machine, or several machines on one inbox with --inbox nats://…",
        );
    }
    match kind {
        "tmpfs" | "ramfs" => Finding::warn(
            ID,
            format!("{what}: it is in memory, and deliveries are lost when this machine restarts"),
            "put the inbox on a disk",
        ),
        "overlay" | "aufs" => Finding::warn(
            ID,
            format!(
                "{what}: it is the layer of a container, and deliveries are lost with the container"
            ),
            "mount a volume at the folder of the inbox",
        ),
        _ => Finding::ok(ID, what),
    }
}

/// A line of `mountinfo`, as proc(5) describes it.
#[derive(Debug)]
struct Mount<'a> {
    point: PathBuf,
    kind: &'a str,
}

impl<'a> Mount<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?;
        Some(Self {
            point: unescaped(point).into(),
            kind: after.split(' ').next()?,
        })
    }

    /// Of two at one place the later one hides the earlier one: `max_by_key` takes the last.
    fn depth(&self) -> usize {
        self.point.components().count()
    }
}

/// Blanks and a few others are written as octal numbers.
fn unescaped(point: &str) -> String {
    let mut text = point.to_owned();
    for (number, character) in [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ] {
        text = text.replace(number, character);
    }
    text
}

pub(super) const ID: &str = "inbox.filesystem";

/// Those over a network, as the kernel and FUSE name them.
const NETWORK: [&str; 14] = [
    "9p",
    "afs",
    "ceph",
    "cifs",
    "fuse.gcsfuse",
    "fuse.glusterfs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
];

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    const MOUNTS: &str = "\
22 1 0:21 / / rw,relatime - ext4 /dev/sda1 rw
23 22 0:22 / /mnt/share rw,relatime shared:7 - nfs4 server:/export rw
24 22 0:23 / /mnt/windows\\040share rw - cifs //server/share rw
25 22 0:24 / /run rw,nosuid - tmpfs tmpfs rw
26 22 0:25 / /srv rw - ext4 /dev/sdb1 rw
27 22 0:26 / /srv rw - overlay overlay rw
";

    #[test]
    fn file_systems_that_lose_deliveries_are_named() {
        #[track_caller]
        fn check(path: &str, level: Level, expected: &str) {
            let finding = judged(MOUNTS, Path::new(path));
            assert_eq!(finding.level, level, "{finding:?}");
            assert!(finding.message.contains(expected), "{finding:?}");
        }
        check("/var/lib/heygen/inbox.db", Level::Ok, "ext4, mounted at /");
        check(
            "/mnt/share/inbox.db",
            Level::Warn,
            "nfs4, mounted at /mnt/share",
        );
        check("/mnt/shared/inbox.db", Level::Ok, "ext4");
        check("/mnt/windows share/a", Level::Warn, "cifs");
        check(
            "/run/inbox.db",
            Level::Warn,
            "lost when this machine restarts",
        );
        check("/srv/inbox.db", Level::Warn, "the layer of a container");
    }
}
