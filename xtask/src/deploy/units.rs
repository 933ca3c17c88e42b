//! The systemd units: their syntax by our own reading, everywhere, and by `systemd-analyze verify` where that can be had.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Example, FOLDER};
use crate::debian;

/// Sections in the order they stand in, and the keys that the examples use. A new one is added here after a look into
/// systemd.directives(7): systemd itself passes over a key it does not know.
const SECTIONS: [(&str, &[&str]); 3] = [
    ("Unit", &["After", "Description", "Wants"]),
    (
        "Service",
        &[
            "CapabilityBoundingSet",
            "DynamicUser",
            "ExecReload",
            "ExecStart",
            "KillSignal",
            "LimitNOFILE",
            "LoadCredential",
            "LockPersonality",
            "MemoryDenyWriteExecute",
            "NoNewPrivileges",
            "PrivateDevices",
            "PrivateTmp",
            "ProtectClock",
            "ProtectControlGroups",
            "ProtectHome",
            "ProtectHostname",
            "ProtectKernelLogs",
            "ProtectKernelModules",
            "ProtectKernelTunables",
            "ProtectProc",
            "ProtectSystem",
            "Restart",
            "RestartSec",
            "RestrictAddressFamilies",
            "RestrictNamespaces",
            "RestrictRealtime",
            "RestrictSUIDSGID",
            "StateDirectory",
            "StateDirectoryMode",
            "SystemCallArchitectures",
            "SystemCallFilter",
            "TimeoutStopSec",
            "UMask",
            "User",
            "WorkingDirectory",
        ],
    ),
    ("Install", &["WantedBy"]),
];

/// What every unit has to have, because it stands in the network.
const HARDENED: [(&str, &str); 5] = [
    ("NoNewPrivileges", "yes"),
    ("PrivateTmp", "yes"),
    ("ProtectHome", "yes"),
    ("ProtectSystem", "strict"),
    ("Restart", "always"),
];

/// Keys that may stand there more than once.
const REPEATABLE: [&str; 1] = ["LoadCredential"];

/// Checks what needs no program.
pub(super) fn check(units: &[Example], problems: &mut Vec<String>) {
    for Example { path, text } in units {
        let found = problems_of(text);
        problems.extend(found.iter().map(|problem| format!("{path}: {problem}")));
    }
}

fn problems_of(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut assignments: Vec<(&str, &str, String)> = Vec::new();
    let mut section: Option<(&str, &[&str])> = None;
    for line in logical_lines(text) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            section = SECTIONS.into_iter().find(|(known, _)| *known == name);
            if section.is_none() {
                problems.push(format!("section [{name}] is not known"));
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            problems.push(format!("`{line}` is no assignment"));
            continue;
        };
        let Some((name, keys)) = section else {
            problems.push(format!("`{key}` stands in no section"));
            continue;
        };
        match keys.iter().find(|known| **known == key) {
            None => problems.push(format!("`{key}` is not known in [{name}]")),
            Some(known) => assignments.push((name, known, value.to_owned())),
        }
    }
    let values = |key: &str| {
        let of_key = assignments.iter().filter(|(_, known, _)| *known == key);
        let values: Vec<&str> = of_key.map(|(_, _, value)| value.as_str()).collect();
        values
    };
    let mut seen = BTreeSet::new();
    for (_, key, _) in &assignments {
        if !seen.insert(key) && !REPEATABLE.contains(key) {
            problems.push(format!("`{key}` stands there twice"));
        }
    }
    for (key, wanted) in HARDENED {
        if values(key) != [wanted] {
            problems.push(format!("`{key}={wanted}` is missing"));
        }
    }
    if values("User").is_empty() && values("DynamicUser") != ["yes"] {
        problems.push("it runs as root".to_owned());
    }
    for key in ["RestartSec", "TimeoutStopSec"] {
        for value in values(key) {
            if value.parse::<u32>().is_err() {
                problems.push(format!("`{key}={value}` is no number of seconds"));
            }
        }
    }
    for key in ["ExecStart", "ExecReload"] {
        for value in values(key) {
            if !value.starts_with('/') {
                problems.push(format!("`{key}` begins with no absolute path"));
            }
        }
    }
    let credentials = values("LoadCredential").into_iter();
    let credentials: BTreeSet<&str> = credentials
        .filter_map(|value| Some(value.split_once(":/")?.0))
        .collect();
    match values("ExecStart")[..] {
        [command] => {
            let words = command.split_whitespace();
            for name in words.filter_map(|word| word.strip_prefix("%d/")) {
                if !credentials.contains(name) {
                    problems.push(format!("no LoadCredential is called `{name}`"));
                }
            }
        }
        _ => problems.push("it needs one `ExecStart`".to_owned()),
    }
    problems
}

/// Lines without comments, those that end in a backslash joined with the next.
pub(super) fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun = String::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        begun.push_str(line);
        match begun.strip_suffix('\\') {
            Some(rest) => begun = format!("{} ", rest.trim_end()),
            None => lines.push(std::mem::take(&mut begun)),
        }
    }
    if !begun.is_empty() {
        lines.push(begun);
    }
    lines
}

/// Has `systemd-analyze` read them; returns why it could not, where it could not.
pub(super) fn verify(
    root: &Path,
    units: &[Example],
    problems: &mut Vec<String>,
) -> Result<Option<String>> {
    let analyzer = match Analyzer::find(root) {
        Ok(analyzer) => analyzer,
        Err(error) => return Ok(Some(format!("{error:#}"))),
    };
    let staged = Staged::new(&root.join(FOLDER).join("units"), units)?;
    for unit in &staged.units {
        let output = analyzer
            .command()
            .env("SYSTEMD_UNIT_PATH", analyzer.unit_path(&staged.folder))
            .args(["verify", "--man=no"])
            .arg(unit)
            .output()
            .context("start systemd-analyze")?;
        // What it would ignore it tells, and ends well all the same: whatever it tells is a problem.
        let told = String::from_utf8_lossy(&output.stderr);
        let told = told.trim();
        if !output.status.success() || !told.is_empty() {
            problems.push(format!("systemd-analyze on {}: {told}", unit.display()));
        }
    }
    Ok(None)
}

/// Copies of the units whose programs exist: `systemd-analyze` looks for them.
struct Staged {
    folder: PathBuf,
    units: Vec<PathBuf>,
}

impl Staged {
    fn new(folder: &Path, units: &[Example]) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("empty {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let mut staged = Vec::new();
        for Example { path, text } in units {
            for word in text.split_whitespace() {
                let Some(name) = word.split_once("=/usr/local/bin/").map(|(_, name)| name) else {
                    continue;
                };
                let program = folder.join(name);
                fs::write(&program, "#!/bin/sh\n").context("write a program to be found")?;
                fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
                    .context("make a program executable")?;
            }
            let name = path.rsplit('/').next().unwrap_or(path);
            let unit = folder.join(name);
            let text = text.replace("=/usr/local/bin/", &format!("={}/", folder.display()));
            fs::write(&unit, text).with_context(|| format!("write {}", unit.display()))?;
            staged.push(unit);
        }
        Ok(Self {
            folder: folder.to_owned(),
            units: staged,
        })
    }
}

/// `systemd-analyze`: the one that is installed, or Debian's, unpacked.
struct Analyzer {
    /// Where it was unpacked, if it was.
    folder: Option<PathBuf>,
}

impl Analyzer {
    fn find(root: &Path) -> Result<Self> {
        let installed = Self { folder: None };
        if installed.runs() {
            return Ok(installed);
        }
        let folder = root.join(FOLDER).join("systemd");
        let unpacked = Self {
            folder: Some(folder.clone()),
        };
        if !unpacked.runs() {
            fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
            debian::unpack("systemd", &folder)?;
            // Since Debian 12; before, its library is in the same package.
            if let Err(error) = debian::unpack("libsystemd-shared", &folder) {
                eprintln!("without libsystemd-shared: {error:#}");
            }
        }
        match unpacked.runs() {
            true => Ok(unpacked),
            false => bail!("it does not run here, installed or unpacked"),
        }
    }

    fn runs(&self) -> bool {
        let output = self.command().arg("--version").output();
        output.is_ok_and(|output| output.status.success())
    }

    fn command(&self) -> Command {
        let Some(folder) = &self.folder else {
            return Command::new("systemd-analyze");
        };
        let mut command = Command::new(folder.join("usr/bin/systemd-analyze"));
        let libraries = fs::read_dir(folder.join("usr/lib")).into_iter().flatten();
        let libraries: Vec<String> = libraries
            .filter_map(|entry| Some(entry.ok()?.path().join("systemd").display().to_string()))
            .collect();
        command.env("LD_LIBRARY_PATH", libraries.join(":"));
        command
    }

    /// Ours first, then those that systemd brings.
    fn unit_path(&self, staged: &Path) -> String {
        let brought = self.folder.iter().flat_map(|folder| {
            ["lib/systemd/system", "usr/lib/systemd/system"].map(|path| folder.join(path))
        });
        let folders = std::iter::once(staged.to_owned()).chain(brought);
        let folders: Vec<String> = folders.map(|path| path.display().to_string()).collect();
        // Nothing after the last colon: and then the usual ones.
        format!("{}:", folders.join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::{changed, expect_problem};
    use crate::workspace;

    const RECEIVER: &str = "deploy/systemd/heygen-webhooks-receiver.service";

    #[track_caller]
    fn check(from: &str, to: &str, expected: &str) {
        let problems = problems_of(&changed(RECEIVER, from, to).text);
        expect_problem(&problems, expected);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        check("[Unit]", "[Unit]", "");
        check("[Service]", "[Servce]", "section [Servce]");
        check("[Unit]\n", "", "stands in no section");
        check("UMask=", "Umask=", "`Umask` is not known in [Service]");
        check("UMask=0077", "UMask 0077", "is no assignment");
        check(
            "UMask=0077",
            "UMask=0077\nUMask=0022",
            "`UMask` stands there twice",
        );
        check(
            "ProtectSystem=strict",
            "ProtectSystem=full",
            "ProtectSystem=strict",
        );
        check("DynamicUser=yes\n", "", "runs as root");
        check(
            "TimeoutStopSec=40",
            "TimeoutStopSec=fourty",
            "no number of seconds",
        );
        check(
            "ExecStart=/usr/local/bin/",
            "ExecStart=",
            "no absolute path",
        );
        check("ExecStart=", "ExecReload=", "needs one `ExecStart`");
        check(
            "LoadCredential=secret:",
            "LoadCredential=secrets:",
            "is called `secret`",
        );
    }

    #[test]
    fn lines_are_joined() {
        let lines = logical_lines("# a\\\nx=1 \\\n  2 \\\n# c\n  3\n\n; d\ny=\n");
        assert_eq!(lines, ["x=1 2 3", "y="]);
    }

    /// Where it cannot be had, `cargo xtask deploy` says so, and there is nothing to test here.
    #[test]
    fn systemd_analyze_refuses_what_it_does_not_know() {
        let analyzer = Analyzer { folder: None };
        if !analyzer.runs() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let found = |unit: Example| {
            let mut problems = Vec::new();
            let not_run = verify(folder.path(), &[unit], &mut problems).unwrap();
            assert_eq!(not_run, None);
            problems
        };
        let sound = changed(RECEIVER, "[Unit]", "[Unit]");
        assert_eq!(found(sound), [""; 0]);
        let broken = changed(RECEIVER, "Restart=always", "Restart=allways");
        assert!(found(broken).concat().contains("allways"));
    }

    #[test]
    fn units_are_staged_with_their_programs() {
        let folder = tempfile::tempdir().unwrap();
        let root = workspace::root();
        let units = crate::deploy::examples(&root, "deploy/systemd", ".service").unwrap();
        let staged = Staged::new(&folder.path().join("units"), &units).unwrap();
        assert_eq!(staged.units.len(), units.len());
        for program in ["heygen-webhooks", "nats-server"] {
            assert!(staged.folder.join(program).is_file(), "{program}");
        }
    }
}
