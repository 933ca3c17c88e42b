//! `cargo xtask setup`: what cargo does not bring. Names what is missing, asks once, installs it.
//!
//! `xtask/setup.toml` lists what commands need, how to see that it is there, and what brings it.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::Deserialize;
use xtask_checks::{debian, tools, workspace};

/// Which commands are set up; each includes those before it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    Test,
    Ci,
    All,
}

/// Something that a command needs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Need {
    name: String,
    what_for: String,
    check: String,
    /// Packages of Debian and its relatives that bring it, unless `command` does.
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
    let mut needs: BTreeMap<Scope, Vec<Need>> =
        toml::from_str(&text).with_context(|| format!("parse {FILE}"))?;
    needs.retain(|of, _| *of <= scope);
    Ok(needs.into_values().flatten().collect())
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

/// A command of the shell, started as a person starts it.
pub(crate) fn shell(command: &str) -> Command {
    let mut shell = workspace::without_package("sh");
    shell.args(["-c", command]).stdin(Stdio::null());
    shell
}

const FILE: &str = "xtask/setup.toml";

#[cfg(test)]
mod tests {
    use super::*;

    /// What the check of a need says after `before`, a command of the shell.
    #[track_caller]
    fn check(name: &str, before: &str, expected: bool) {
        let needs = needs(&workspace::root(), Scope::All).unwrap();
        let need = needs.into_iter().find(|need| need.name == name);
        let check = need.expect(name).check;
        assert_eq!(
            succeeds(&format!("{before}; {check}")),
            expected,
            "{before}"
        );
    }

    #[test]
    fn only_a_compiler_compiles() {
        check("C compiler", "CC=no-such-compiler", false);
        check("C compiler", "CC=false", false);
        check("C compiler", "CC=${CC:-cc}", true);
        check("C compiler", "CC=\"${CC:-cc} -O1\"", true);
    }

    #[test]
    fn version_of_node_is_compared() {
        for (version, expected) in [
            ("v20.1.0", true),
            ("v100.0.0", true),
            ("v18.19.0", false),
            ("v2.0.0", false),
            ("", false),
        ] {
            let programs = format!("node() {{ echo {version}; }}; npm() {{ :; }}");
            check("Node.js 20 or newer with npm", &programs, expected);
        }
    }

    #[test]
    fn each_need_is_installed_by_itself() {
        let own = [(Some("a b"), None), (None, Some("c")), (Some("d"), None)];
        let needs = own.map(|(debian, command)| Need {
            name: String::new(),
            what_for: String::new(),
            check: String::new(),
            debian: debian.map(str::to_owned),
            command: command.map(str::to_owned),
        });
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
