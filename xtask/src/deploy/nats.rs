//! The configurations of nats-server, read by nats-server itself, with certificates that were made for the purpose.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::Example;

/// Without these lines a node does not keep what it acknowledges, or takes no body of a megabyte.
const NEEDED: [&str; 3] = ["sync_interval: always", "max_payload: 2MB", "store_dir:"];

/// Where the examples have their certificates.
const CREDENTIALS: [&str; 2] = ["/run/credentials/nats-server.service/", "/etc/nats-tls/"];

pub(super) fn check(
    program: &Path,
    configurations: &[Example],
    accounts: &str,
    problems: &mut Vec<String>,
) -> Result<()> {
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let folder = folder.path();
    make_certificate(folder)?;
    fs::write(folder.join("accounts.conf"), accounts).context("write accounts.conf")?;
    for Example { path, text } in configurations {
        for needed in NEEDED {
            if !text.lines().any(|line| line.trim().starts_with(needed)) {
                problems.push(format!("{path}: `{needed}` is missing"));
            }
        }
        let mut staged = text.clone();
        for place in CREDENTIALS {
            staged = staged.replace(place, &format!("{}/", folder.display()));
        }
        let file = folder.join("nats-server.conf");
        fs::write(&file, staged).context("write a configuration")?;
        let output = Command::new(program)
            .arg("-t")
            .arg("-c")
            .arg(&file)
            .env("SERVER_NAME", "node1")
            .output()
            .with_context(|| format!("start {}", program.display()))?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            problems.push(format!("nats-server on {path}: {}", told.trim()));
        }
    }
    Ok(())
}

/// One that is its own CA, under the names that the examples use.
fn make_certificate(folder: &Path) -> Result<()> {
    let key = rcgen::generate_simple_self_signed(["node1.example.com".to_owned()])
        .context("make a certificate")?;
    let certificate = key.cert.pem();
    for name in ["tls.crt", "ca.crt"] {
        fs::write(folder.join(name), &certificate).context("write a certificate")?;
    }
    fs::write(folder.join("tls.key"), key.signing_key.serialize_pem()).context("write a key")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::deploy::changed;
    use crate::workspace;

    /// Stands for nats-server, which not every test run has: it refuses a file in which `refused` stands, and one without
    /// the certificates that it names. What nats-server itself refuses, `cargo xtask deploy` shows.
    const STAND_IN: &str = "#!/bin/sh
test -n \"$SERVER_NAME\" || exit 3
for file in $(sed -n 's/.*cert_file: \"\\(.*\\)\".*/\\1/p' \"$3\"); do test -s \"$file\" || exit 4; done
test -s \"$(dirname \"$3\")/accounts.conf\" || exit 5
if grep refused \"$3\" >&2; then exit 1; fi
";

    fn found(example: Example) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("nats-server");
        fs::write(&program, STAND_IN).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let accounts = workspace::read(&workspace::root(), "deploy/nats/accounts.conf").unwrap();
        let mut problems = Vec::new();
        check(&program, &[example], &accounts, &mut problems).unwrap();
        problems
    }

    #[test]
    fn what_the_server_refuses_is_a_problem() {
        let path = "deploy/systemd/nats-server.conf";
        assert_eq!(found(changed(path, "cluster {", "cluster {")), [""; 0]);
        let problems = found(changed(path, "cluster {", "refused {"));
        assert!(problems.concat().contains("refused {"), "{problems:?}");
        let problems = found(changed(path, "sync_interval: always", "sync_interval: 1s"));
        assert!(problems.concat().contains("is missing"), "{problems:?}");
    }
}
