//! `cargo xtask setup`: what cargo does not bring. Names what is missing, asks once, installs it.
//!
//! `xtask/setup.toml` lists what commands need, how to see that it is there, and what brings it.

use std::env;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::Deserialize;
use xtask_checks::{debian, tools, workspace};

/// Which commands are set up; each includes those before it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(crate) enum Scope {
    Test,
    Ci,
    All,
}

/// What commands need, by the scope that it begins with.
#[derive(Debug, Deserialize)]
struct Needs {
    test: Vec<Need>,
    ci: Vec<Need>,
    all: Vec<Need>,
}

/// Something that a command needs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Need {
    name: String,
    what_for: String,
    check: String,
    /// Brings it, unless `command` does.
    debian: Option<String>,
    command: Option<String>,
}

/// Installs what is missing. Fails when something is still missing that commands of `required` cannot do without; what
/// other commands miss, they list as not run.
pub(crate) fn run(root: &Path, scope: Scope, required: Scope, yes: bool) -> Result<()> {
    let missing = missing(root, scope)?;
    if missing.is_empty() {
        println!("setup: nothing is missing");
        return Ok(());
    }
    println!("missing:");
    for need in &missing {
        println!("  {}: {}", need.name, need.what_for);
    }
    let mut commands = commands(&missing);
    if !debian::may_install() {
        let (by_root, others): (Vec<_>, Vec<_>) = commands
            .into_iter()
            .partition(|command| command.starts_with("apt-get"));
        for command in by_root {
            println!("for root on Debian or Ubuntu, elsewhere what is like it: {command}");
        }
        commands = others;
    }
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if !commands.is_empty() && (yes || is_ci() || !is_terminal || is_agreed(&commands)?) {
        for command in &commands {
            println!("running: {command}");
            let mut shell = shell(command);
            let shell = shell.env("DEBIAN_FRONTEND", "noninteractive");
            if let Err(error) = tools::run(shell.current_dir(root)) {
                println!("{command}: {error:#}");
            }
        }
    }
    let missing = self::missing(root, required)?;
    let names: Vec<_> = missing.iter().map(|need| &*need.name).collect();
    if !names.is_empty() {
        bail!("still missing: {}", names.join(", "));
    }
    Ok(())
}

/// Whether this runs for everybody rather than for the person at the keyboard: `CI`, unless it is empty or `false`.
pub(crate) fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| !["", "false", "0"].contains(&&*value))
}

/// Whether a command of the shell succeeds.
pub(crate) fn succeeds(command: &str) -> bool {
    let output = shell(command).output();
    output.is_ok_and(|output| output.status.success())
}

fn missing(root: &Path, scope: Scope) -> Result<Vec<Need>> {
    let mut needs = needs(root, scope)?;
    needs.retain(|need| !succeeds(&need.check));
    Ok(needs)
}

fn needs(root: &Path, scope: Scope) -> Result<Vec<Need>> {
    let text = workspace::read(root, FILE)?;
    let Needs { test, ci, all } = toml::from_str(&text).with_context(|| format!("parse {FILE}"))?;
    let by_scope = [(Scope::Test, test), (Scope::Ci, ci), (Scope::All, all)];
    let wanted = by_scope.into_iter().filter(|(of, _)| *of <= scope);
    Ok(wanted.flat_map(|(_, needs)| needs).collect())
}

/// Each need by itself, after a fresh list of packages: one that this system lacks must not keep out the others.
fn commands(missing: &[Need]) -> Vec<String> {
    let packages = missing.iter().filter_map(|need| need.debian.as_deref());
    let mut commands: Vec<String> = packages
        .map(|packages| format!("apt-get install --yes --no-install-recommends {packages}"))
        .collect();
    if !commands.is_empty() {
        commands.insert(0, "apt-get update".to_owned());
    }
    commands.extend(missing.iter().filter_map(|need| need.command.clone()));
    commands
}

fn is_agreed(commands: &[String]) -> Result<bool> {
    print!("Run `{}`? [Y/n] ", commands.join("; "));
    io::stdout().flush().context("ask")?;
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    // Nothing at all is the end of the input, and no answer.
    let is_answer = read.context("read the answer")? > 0;
    Ok(is_answer && ["", "y", "yes"].contains(&&*answer.trim().to_lowercase()))
}

fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null());
    shell
}

const FILE: &str = "xtask/setup.toml";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn of(scope: Scope) -> Vec<Need> {
        needs(&workspace::root(), scope).unwrap()
    }

    /// What the check of a need says where a variable is set.
    #[track_caller]
    fn check(name: &str, variable: &str, value: &str, expected: bool) {
        let need = of(Scope::All).into_iter().find(|need| need.name == name);
        let mut shell = shell(&need.expect(name).check);
        let output = shell.env(variable, value).output().unwrap();
        assert_eq!(output.status.success(), expected, "{name}: {value}");
    }

    #[test]
    fn only_a_compiler_compiles() {
        check("C compiler", "CC", "no-such-compiler", false);
        check("C compiler", "CC", "false", false);
        let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        check("C compiler", "CC", &compiler, true);
        check("C compiler", "CC", &format!("{compiler} -O1"), true);
    }

    #[test]
    fn version_of_node_is_compared() {
        let folder = tempfile::tempdir().unwrap();
        let path = format!(
            "{}:{}",
            folder.path().display(),
            env::var("PATH").unwrap_or_default()
        );
        for (version, expected) in [
            ("v20.1.0", true),
            ("v24.0.0", true),
            ("v100.0.0", true),
            ("v18.19.0", false),
            ("v2.0.0", false),
            ("", false),
        ] {
            for (program, said) in [("node", version), ("npm", "10.0.0")] {
                let file = folder.path().join(program);
                fs::write(&file, format!("#!/bin/sh\necho {said}\n")).unwrap();
                assert!(succeeds(&format!("chmod +x {}", file.display())));
            }
            check("Node.js 20 or newer with npm", "PATH", &path, expected);
        }
    }

    #[test]
    fn each_need_has_one_source() {
        for need in of(Scope::All) {
            assert_ne!(need.debian.is_some(), need.command.is_some(), "{need:?}");
        }
    }

    #[test]
    fn each_need_is_installed_by_itself() {
        let need = |debian: Option<&str>, command: Option<&str>| Need {
            name: String::new(),
            what_for: String::new(),
            check: String::new(),
            debian: debian.map(str::to_owned),
            command: command.map(str::to_owned),
        };
        let needs = [
            need(Some("a b"), None),
            need(None, Some("c")),
            need(Some("d"), None),
        ];
        let install = "apt-get install --yes --no-install-recommends";
        let expected = [
            "apt-get update",
            &format!("{install} a b"),
            &format!("{install} d"),
            "c",
        ];
        assert_eq!(commands(&needs), expected);
        assert!(commands(&[]).is_empty());
    }
}
