//! `cargo xtask setup`: what cargo does not bring. Names what is missing, asks once, installs it.

use std::env;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use xtask_checks::workspace::OLDEST;
use xtask_checks::{debian, tools};
use xtask_nats::Program;

/// Which commands are set up; each includes those before it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(crate) enum Scope {
    Test,
    Ci,
    All,
}

/// Something that a command needs.
struct Need {
    name: &'static str,
    what_for: &'static str,
    scope: Scope,
    is_there: fn() -> bool,
    source: Source,
}

/// What brings it.
#[derive(Clone, Copy)]
enum Source {
    /// Packages of Debian and its relatives, which root installs.
    Debian(&'static str),
    /// A command that anyone may run.
    Command(&'static str),
}

const NEEDS: &[Need] = &[
    Need {
        name: "C compiler",
        what_for: "builds SQLite",
        scope: Scope::Test,
        is_there: || compiles(&env::var("CC").unwrap_or_else(|_| "cc".to_owned())),
        source: Source::Debian("gcc libc6-dev"),
    },
    Need {
        name: "Python with venv",
        what_for: "brings nats-server for tests, and the tools of ci",
        scope: Scope::Test,
        is_there: has_python,
        source: Source::Debian("python3 python3-venv"),
    },
    Need {
        name: "bash, zsh and fish",
        what_for: "complete the command line in tests",
        scope: Scope::Test,
        is_there: || {
            let mut shells = ["bash", "zsh", "fish"].into_iter();
            shells.all(|shell| succeeds(&format!("{shell} --version")))
        },
        source: Source::Debian("bash zsh fish"),
    },
    Need {
        name: "Chromium with chromedriver",
        what_for: "shows the dashboard to its tests",
        scope: Scope::Test,
        is_there: || succeeds("chromium --version") && succeeds("chromedriver --version"),
        source: Source::Debian("chromium chromium-driver"),
    },
    Need {
        name: "Node.js 20 or newer with npm",
        what_for: "brings axe-core for tests, tests packages/npm and receivers, and runs servers that bench compares with",
        scope: Scope::Test,
        is_there: || is_new_enough("node --version", OLDEST_NODE) && succeeds("npm --version"),
        source: Source::Debian("nodejs npm"),
    },
    Need {
        name: "openssl",
        what_for: "makes the certificate with which ci checks nats-server.conf",
        scope: Scope::Ci,
        is_there: || succeeds("openssl version"),
        source: Source::Debian("openssl"),
    },
    Need {
        name: "systemd-analyze",
        what_for: "checks the units in deploy/systemd",
        scope: Scope::Ci,
        is_there: || succeeds("systemd-analyze --version"),
        source: Source::Debian("systemd"),
    },
    Need {
        name: "wasm32-unknown-unknown",
        what_for: "checks the crates that functions in the cloud use",
        scope: Scope::Ci,
        is_there: has_wasm,
        source: Source::Command("rustup target add wasm32-unknown-unknown"),
    },
    Need {
        name: "Rust 1.88 and 1.89",
        what_for: "builds the crates with the oldest Rust that they declare",
        scope: Scope::Ci,
        is_there: || OLDEST.into_iter().all(has_toolchain),
        source: Source::Command("rustup toolchain install 1.88 1.89 --profile minimal"),
    },
    Need {
        name: "Java compiler",
        what_for: "compiles types that are generated from the schemas",
        scope: Scope::Ci,
        is_there: || succeeds("javac -version"),
        source: Source::Debian("default-jdk-headless"),
    },
    Need {
        name: "Go",
        what_for: "compiles a receiver in docs/applications, and generated types",
        scope: Scope::Ci,
        is_there: || succeeds("go version"),
        source: Source::Debian("golang-go"),
    },
    Need {
        name: "PHP, and Ruby with Puma",
        what_for: "run receivers in docs/applications",
        scope: Scope::Ci,
        is_there: || succeeds("php --version") && succeeds("puma --version"),
        source: Source::Debian("php-cli puma ruby-rack"),
    },
    Need {
        name: "debootstrap",
        what_for: "makes a Debian in which dist installs the .deb",
        scope: Scope::Ci,
        is_there: || succeeds("debootstrap --version"),
        source: Source::Debian("debootstrap"),
    },
    Need {
        name: "lintian",
        what_for: "checks the .deb in dist",
        scope: Scope::Ci,
        is_there: || succeeds("lintian --version"),
        source: Source::Debian("lintian"),
    },
    Need {
        name: "wrk",
        what_for: "loads the server in bench",
        scope: Scope::All,
        is_there: || starts("wrk"),
        source: Source::Debian("wrk"),
    },
    Need {
        name: "slowhttptest",
        what_for: "holds connections in faults",
        scope: Scope::All,
        is_there: || starts("slowhttptest"),
        source: Source::Debian("slowhttptest"),
    },
    Need {
        name: "C++ compiler",
        what_for: "builds libFuzzer for fuzz",
        scope: Scope::All,
        is_there: || succeeds("c++ --version"),
        source: Source::Debian("g++"),
    },
];

/// Installs what is missing. Fails when something is still missing that commands of `required` cannot do without; what
/// other commands miss, they list as not run.
pub(crate) fn run(root: &Path, scope: Scope, required: Scope, yes: bool) -> Result<()> {
    let missing = missing(scope);
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
            if let Err(error) = tools::run(in_words(command).current_dir(root)) {
                println!("{error:#}");
            }
        }
    }
    let names: Vec<_> = self::missing(required)
        .iter()
        .map(|need| need.name)
        .collect();
    if !names.is_empty() {
        bail!("still missing: {}", names.join(", "));
    }
    Ok(())
}

/// Whether this runs for everybody rather than for the person at the keyboard: `CI`, unless it is empty or `false`.
pub(crate) fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| !["", "false", "0"].contains(&&*value))
}

/// Python, unless the programs that it brings for tests are named.
fn has_python() -> bool {
    let is_named = |program: Program| env::var_os(program.variable()).is_some();
    let output = Command::new("python3")
        .args(["-c", "import ensurepip"])
        .output();
    Program::ALL.into_iter().all(is_named) || output.is_ok_and(|output| output.status.success())
}

/// Whether Rust can build for WebAssembly.
pub(crate) fn has_wasm() -> bool {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM])
        .output();
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// Whether rustup has this Rust.
pub(crate) fn has_toolchain(version: &str) -> bool {
    succeeds(&format!("rustup run {version} rustc --version"))
}

pub(crate) const WASM: &str = "wasm32-unknown-unknown";

fn missing(scope: Scope) -> Vec<&'static Need> {
    let needs = NEEDS.iter().filter(|need| need.scope <= scope);
    needs.filter(|need| !(need.is_there)()).collect()
}

/// All packages at once, after a fresh list of them.
fn commands(missing: &[&Need]) -> Vec<String> {
    let mut packages = Vec::new();
    let mut commands = Vec::new();
    for need in missing {
        match need.source {
            Source::Debian(names) => packages.push(names),
            Source::Command(command) => commands.push(command.to_owned()),
        }
    }
    if !packages.is_empty() {
        let install = "apt-get install --yes --no-install-recommends";
        let install = format!("{install} {}", packages.join(" "));
        commands.splice(0..0, ["apt-get update".to_owned(), install]);
    }
    commands
}

fn is_agreed(commands: &[String]) -> Result<bool> {
    print!("Run `{}`? [Y/n] ", commands.join("; "));
    io::stdout().flush().context("ask")?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("read the answer")?;
    Ok(["", "y", "yes"].contains(&&*answer.trim().to_lowercase()))
}

/// A program with its arguments.
fn in_words(command: &str) -> Command {
    let mut words = command.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    command
}

fn succeeds(command: &str) -> bool {
    let output = in_words(command).output();
    output.is_ok_and(|output| output.status.success())
}

/// Whether a program that prints its version (`v20.1.0`) is of this major version or a newer one: Debian 12 has Node.js 18.
fn is_new_enough(command: &str, oldest: u32) -> bool {
    let output = in_words(command).output();
    output.is_ok_and(|output| major(&String::from_utf8_lossy(&output.stdout)) >= Some(oldest))
}

fn major(version: &str) -> Option<u32> {
    let version = version.trim().trim_start_matches('v');
    version.split('.').next()?.parse().ok()
}

const OLDEST_NODE: u32 = 20;

/// For a program that has no way to ask for its version.
fn starts(program: &str) -> bool {
    in_words(program).arg("-h").output().is_ok()
}

/// Whether `compiler` takes a small program that needs the C library's headers.
///
/// `CC` may hold arguments after the name, as it may for the build of SQLite.
fn compiles(compiler: &str) -> bool {
    let child = in_words(compiler)
        .args(["-x", "c", "-fsyntax-only", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return false;
    };
    // A compiler that stops reading has failed, and its status says so.
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(b"#include <stdio.h>\nint main(void) { return puts(\"\"); }\n");
    }
    child.wait().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(compiler: &str, expected: bool) {
        assert_eq!(compiles(compiler), expected, "{compiler}");
    }

    #[test]
    fn only_a_compiler_compiles() {
        check("", false);
        check("no-such-compiler", false);
        check("false", false);
        check(&env::var("CC").unwrap_or_else(|_| "cc".to_owned()), true);
    }

    #[test]
    fn version_of_node_is_compared() {
        assert!(is_new_enough("echo v20.1.0", OLDEST_NODE));
        assert!(is_new_enough("echo v24.0.0", OLDEST_NODE));
        assert!(!is_new_enough("echo v18.19.0", OLDEST_NODE));
        assert!(!is_new_enough("echo", OLDEST_NODE));
        assert!(!is_new_enough("no-such-node --version", OLDEST_NODE));
    }

    #[test]
    fn packages_are_installed_at_once() {
        let missing: Vec<&Need> = NEEDS
            .iter()
            .filter(|need| need.scope < Scope::All)
            .collect();
        let install = "apt-get install --yes --no-install-recommends";
        assert_eq!(
            commands(&missing),
            [
                "apt-get update",
                &format!(
                    "{install} gcc libc6-dev python3 python3-venv bash zsh fish chromium chromium-driver nodejs npm \
                     openssl systemd default-jdk-headless golang-go php-cli puma ruby-rack debootstrap lintian"
                ),
                "rustup target add wasm32-unknown-unknown",
                &format!(
                    "rustup toolchain install {} --profile minimal",
                    OLDEST.join(" ")
                ),
            ]
        );
        assert_eq!(commands(&[]), [""; 0]);
    }

    #[test]
    fn test_needs_no_tool_of_other_commands() {
        let of_test = NEEDS.iter().filter(|need| need.scope <= Scope::Test);
        let names: Vec<_> = of_test.map(|need| need.name).collect();
        let expected = [
            "C compiler",
            "Python with venv",
            "bash, zsh and fish",
            "Chromium with chromedriver",
            "Node.js 20 or newer with npm",
        ];
        assert_eq!(names, expected);
    }
}
