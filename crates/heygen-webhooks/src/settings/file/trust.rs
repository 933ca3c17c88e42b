//! Whether a configuration file that no one named is believed: in a folder that others can write to it may have been laid there to have
//! our keys sent elsewhere, or a program run as us.

use std::fs;
use std::path::Path;

use toml::Table;

use crate::failure::Failure;

/// Refuses a file that others can have written, where it says what only we may say.
pub(super) fn check(path: &Path, opened: &fs::File, table: &Table) -> Result<(), Failure> {
    let Some(distrust) = distrust(path, opened) else {
        return Ok(());
    };
    let decides: Vec<_> = table
        .keys()
        .filter(|key| is_for_us_alone(key))
        .map(String::as_str)
        .collect();
    match decides.as_slice() {
        [] => Ok(()),
        decides => Err(Failure::usage(format!(
            "configuration file {} {distrust}, so it is not trusted to set {}: if it is yours, name it with --config or HEYGEN_WEBHOOKS_CONFIG, or make it writable only by you",
            path.display(),
            decides.join(", ")
        ))),
    }
}

/// What decides where keys, secrets and events come from and go, and what is run.
fn is_for_us_alone(key: &str) -> bool {
    const KEYS: [&str; 12] = [
        "admin",
        "admin-token-file",
        "api-key-file",
        "base-url",
        "callback-token-file",
        "exec",
        "inbox",
        "on",
        "on-dead-letter",
        "public-url",
        "secret-file",
        "tls-key",
    ];
    KEYS.contains(&key)
        || ["forward", "nats-"]
            .iter()
            .any(|start| key.starts_with(start))
}

#[cfg(unix)]
fn distrust(path: &Path, opened: &fs::File) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let us = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    // Of a link both count: it chose the file.
    let seen = [fs::symlink_metadata(path).ok(), opened.metadata().ok()];
    seen.into_iter().flatten().find_map(|metadata| {
        let mode = metadata.mode();
        let is_link = metadata.is_symlink();
        // Many systems give each user a group of their own and let it write.
        let by_group = mode & 0o020 != 0 && metadata.gid() != group;
        match metadata.uid() {
            uid if uid != us && uid != ROOT => Some(format!("belongs to another user (uid {uid})")),
            _ if !is_link && (mode & 0o002 != 0 || by_group) => {
                Some("is writable by others".to_owned())
            }
            _ => None,
        }
    })
}

/// A mode does not say here who may write a file.
#[cfg(not(unix))]
fn distrust(_: &Path, _: &fs::File) -> Option<String> {
    None
}

#[cfg(unix)]
const ROOT: u32 = 0;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    #[track_caller]
    fn check_file(text: &str, mode: u32, owner: Option<u32>, expected: Option<&str>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("heygen-webhooks.toml");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
        if let Some(uid) = owner {
            chown(&path, Some(uid), None).expect("given");
        }
        let opened = fs::File::open(&path).expect("readable");
        let table = text.parse().expect("TOML");
        match (check(&path, &opened, &table), expected) {
            (Ok(()), None) => {}
            (Err(failure), Some(expected)) => {
                let told = failure.to_string();
                assert!(told.contains(expected), "{told}");
            }
            (found, expected) => panic!("{text} {mode:o}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn file_writable_by_others_is_not_trusted() {
        for line in [
            "base-url = \"http://a.example\"",
            "exec = [\"x\"]",
            "forward = \"http://a.example\"",
            "public-url = \"https://a.example\"",
            "inbox = \"/tmp/x\"",
            "secret-file = [\"x\"]",
            "admin = \"0.0.0.0:9180\"",
            "admin-token-file = \"x\"",
            "nats-creds = \"x\"",
            "[[on]]\nevent = \"*\"\nprint = true",
        ] {
            check_file(line, 0o600, None, None);
            check_file(line, 0o644, None, None);
            check_file(line, 0o664, None, None);
            check_file(line, 0o666, None, Some("is writable by others"));
            // Only root can give files away.
            if rustix::process::geteuid().is_root() {
                check_file(line, 0o600, Some(65534), Some("another user (uid 65534)"));
            }
        }
        check_file(
            "path = \"/x\"\nretry-initial-delay = 1.0",
            0o666,
            None,
            None,
        );
    }
}
