//! Every archive is installed where nothing of this repository is, and receives an event.

mod debian;
mod image;
mod serve;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xtask_checks::not_run::{InCi, note};

use crate::archives::Archives;
use crate::stage::Stage;
use crate::system::{output, run};
use serve::Serve;

pub(crate) fn run_all(stage: &Stage, archives: &Archives) -> Result<()> {
    tarball(archives).context("the tarball")?;
    wheel(archives).context("the wheel")?;
    npm(archives).context("the packages of npm")?;
    match &archives.deb {
        Some(deb) => debian::trial(stage, deb).context("the .deb")?,
        None => note(&stage.root, InCi::Fails, "the .deb", "this is no Debian")?,
    }
    image::trial(stage).context("the image")
}

fn tarball(archives: &Archives) -> Result<()> {
    let folder = tempfile::tempdir()?;
    run(Command::new("tar")
        .args(["--strip-components=1", "-xzf"])
        .arg(&archives.tarball)
        .arg("-C")
        .arg(folder.path()))?;
    receives(&folder.path().join("heygen-webhooks"))
}

fn wheel(archives: &Archives) -> Result<()> {
    let folder = tempfile::tempdir()?;
    run(Command::new("python3")
        .args(["-m", "venv"])
        .arg(folder.path()))?;
    run(Command::new(folder.path().join("bin/pip"))
        .args([
            "install",
            "--quiet",
            "--no-index",
            "--disable-pip-version-check",
        ])
        .arg(&archives.wheel))?;
    receives(&folder.path().join("bin/heygen-webhooks"))
}

fn npm(archives: &Archives) -> Result<()> {
    let folder = tempfile::tempdir()?;
    run(Command::new("npm")
        .args([
            "install",
            "--silent",
            "--offline",
            "--no-audit",
            "--no-fund",
            "--prefix",
        ])
        .arg(folder.path())
        .args(&archives.npm))?;
    receives(&folder.path().join("node_modules/.bin/heygen-webhooks"))
}

/// Starts `serve` and sends it a signed event, for each way to stop it, and finds the events in the
/// inbox. The command may be one that starts the program: then what reaches it reaches the program,
/// and it ends as the program does.
fn receives(program: &Path) -> Result<()> {
    let workdir = tempfile::tempdir()?;
    let command = || {
        let mut command = Command::new(program);
        command.current_dir(workdir.path()).env(SECRET.0, SECRET.1);
        command
    };
    for signal in ["TERM", "INT"] {
        let serve = Serve::start(command().args(SERVE))?;
        output(command().args(["trigger", "avatar_video.success", "--to", &serve.url]))?;
        serve.stop(signal).with_context(|| format!("SIG{signal}"))?;
    }
    stops_on_terminal(command().args(SERVE)).context("Ctrl-C on a terminal")?;
    let refused = command()
        .arg("--no-such-option")
        .stderr(Stdio::null())
        .status()?;
    ensure!(refused.code() == Some(2), "it ended with {refused}, not 2");
    stored(command().args(["inbox", "list", "--json"]), 2)
}

/// Types Ctrl-C, which a terminal sends to all that runs on it.
fn stops_on_terminal(serve: &Command) -> Result<()> {
    let mut terminal = Command::new("timeout");
    terminal
        .args(["60", "python3", "-c", TERMINAL])
        .arg(serve.get_program())
        .args(serve.get_args())
        .env(SECRET.0, SECRET.1);
    if let Some(folder) = serve.get_current_dir() {
        terminal.current_dir(folder);
    }
    let said = String::from_utf8(output(&mut terminal)?)?;
    serve::ensure_stopped(serve::url(&said)?)
}

/// Ends as the program ends, and prints what it said.
const TERMINAL: &str = r#"
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said = b""
while b"listening on" not in said or not said.endswith(b"\n"):
    said += os.read(terminal, 4096)
os.write(terminal, b"\x03")
try:
    while os.read(terminal, 4096):
        pass
except OSError:
    pass # Nothing has the terminal open any more.
sys.stdout.buffer.write(said)
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status := os.waitpid(child, 0)[1]) else 1)
"#;

#[track_caller]
fn stored(list: &mut Command, expected: usize) -> Result<()> {
    let listed: Value = serde_json::from_slice(&output(list)?)?;
    let found = listed.as_array().map_or(0, Vec::len);
    ensure!(
        found == expected,
        "{found} deliveries are stored, not {expected}"
    );
    Ok(())
}

const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--admin", "off"];
const SECRET: (&str, &str) = ("HEYGEN_WEBHOOK_SECRET", "whsec_trial");
