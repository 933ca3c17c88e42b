//! Every archive is installed where nothing of this repository is, and receives an event.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::archives::{Archives, deb_of};
use crate::stage::Stage;
use crate::system::{has, output, run};

/// Returns what could not be run, and why.
pub(crate) fn run_all(stage: &Stage, archives: &Archives) -> Result<Option<String>> {
    tarball(archives).context("the tarball")?;
    wheel(archives).context("the wheel")?;
    npm(archives).context("the packages of npm")?;
    deb(stage, archives).context("the .deb")
}

fn tarball(archives: &Archives) -> Result<()> {
    let folder = tempfile::tempdir()?;
    run(Command::new("tar")
        .args(["--strip-components=1", "-xzf"])
        .arg(&archives.tarball)
        .arg("-C")
        .arg(folder.path()))?;
    receives(&|| Command::new(folder.path().join("heygen-webhooks")))
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
    receives(&|| Command::new(folder.path().join("bin/heygen-webhooks")))
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
    receives(&|| Command::new(folder.path().join("node_modules/.bin/heygen-webhooks")))
}

/// Starts `serve`, sends it a signed event, stops it, and finds the event in the inbox.
fn receives(program: &dyn Fn() -> Command) -> Result<()> {
    let workdir = tempfile::tempdir()?;
    let command = || {
        let mut command = program();
        command.current_dir(workdir.path()).env(SECRET.0, SECRET.1);
        command
    };
    let serve =
        Serve::start(command().args(["serve", "--listen", "127.0.0.1:0", "--admin", "off"]))?;
    output(command().args(["trigger", "avatar_video.success", "--to", &serve.url]))?;
    serve.stop()?;
    stored(command().args(["inbox", "list", "--json"]), 1)
}

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

/// A running server, which is killed when a trial fails.
struct Serve {
    child: Child,
    url: String,
}

impl Serve {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .context("start serve")?;
        let mut line = String::new();
        let output = child.stdout.take().context("its output")?;
        BufReader::new(output).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ").map(str::to_owned);
        let mut serve = Self {
            child,
            url: String::new(),
        };
        serve.url = url.with_context(|| format!("it said {line:?}"))?;
        Ok(serve)
    }

    fn stop(mut self) -> Result<()> {
        run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        let status = self.child.wait()?;
        ensure!(status.success(), "serve ended with {status}");
        Ok(())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SECRET: (&str, &str) = ("HEYGEN_WEBHOOK_SECRET", "whsec_trial");

/// A Debian without anything of ours: install, run the unit's command as its user, upgrade while it runs, remove, purge.
fn deb(stage: &Stage, archives: &Archives) -> Result<Option<String>> {
    let Some(deb) = &archives.deb else {
        return Ok(Some("the .deb: this is no Debian".to_owned()));
    };
    for tool in ["debootstrap", "lintian"] {
        if !has(tool) {
            return Ok(Some(format!(
                "the .deb: {tool} is missing; `cargo xtask setup` brings it"
            )));
        }
    }
    run(Command::new("lintian")
        .args([
            "--fail-on",
            "error,warning",
            "--suppress-tags",
            LINTIAN,
            "--allow-root",
        ])
        .arg(deb))?;
    let id = String::from_utf8(output(Command::new("id").arg("-u"))?)?;
    if id.trim() != "0" {
        return Ok(Some(
            "installing the .deb: only root can make a Debian to install it in".to_owned(),
        ));
    }
    let debian = Debian::make(stage)?;
    debian.install(deb)?;
    let unit = fs::read_to_string(debian.path("usr/lib/systemd/system/heygen-webhooks.service"))?;
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let start = start.context("the unit has no ExecStart")?.to_owned();

    let serve = debian.serve(&start)?;
    debian.trigger(&serve.url)?;
    let newer = tempfile::tempdir()?;
    deb_of(stage, "2", newer.path())?;
    let newer = fs::read_dir(newer.path())?
        .next()
        .context("no newer .deb")??
        .path();
    debian.install(&newer)?;
    debian.trigger(&serve.url)?;
    serve.stop()?;
    let serve = debian.serve(&start)?;
    debian.stored(2)?;
    serve.stop()?;

    let configuration = debian.path("etc/heygen-webhooks.toml");
    debian.root(&["dpkg", "--remove", "heygen-webhooks"])?;
    ensure!(
        !debian.path("usr/bin/heygen-webhooks").exists(),
        "the program stays"
    );
    ensure!(
        configuration.exists(),
        "the configuration goes with the package"
    );
    debian.root(&["dpkg", "--purge", "heygen-webhooks"])?;
    ensure!(
        !configuration.exists(),
        "the configuration stays after a purge"
    );
    ensure!(debian.path(INBOX).exists(), "the inbox goes");
    Ok(None)
}

/// The archive is for everybody, so that a maintainer's script of Debian's own is not used; nobody filed a bug to close.
const LINTIAN: &str = "initial-upload-closes-no-bugs,no-manual-page,embedded-library";
const INBOX: &str = "var/lib/heygen-webhooks/heygen-inbox.db";

struct Debian {
    folder: TempDir,
}

impl Debian {
    /// From an archive that is made once.
    fn make(stage: &Stage) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("debian")
            .tempdir_in(&stage.out)?;
        let archive = stage.root.join("target/dist-tools/debian.tar.gz");
        if !archive.exists() {
            println!("making a Debian to install the .deb in");
            let include = "--include=adduser,ca-certificates";
            let made = tempfile::Builder::new()
                .prefix("new")
                .tempdir_in(&stage.out)?;
            run(Command::new("debootstrap")
                .args(["--variant=minbase", include, "bookworm"])
                .arg(made.path())
                .stdout(Stdio::null()))?;
            let part = archive.with_extension("part");
            run(Command::new("tar")
                .arg("-czf")
                .arg(&part)
                .arg("-C")
                .arg(made.path())
                .arg("."))?;
            fs::rename(part, &archive)?;
        }
        run(Command::new("tar")
            .arg("-xzf")
            .arg(archive)
            .arg("-C")
            .arg(folder.path()))?;
        Ok(Self { folder })
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    fn root(&self, words: &[&str]) -> Result<()> {
        run(Command::new("chroot").arg(self.folder.path()).args(words))
    }

    fn install(&self, deb: &Path) -> Result<()> {
        let name = "package.deb";
        fs::copy(deb, self.path(name)).context("copy the .deb")?;
        self.root(&["dpkg", "--install", name])?;
        self.root(&["getent", "passwd", "heygen"])
    }

    /// A command as the user of the unit, in its folder.
    fn user(&self, words: &str) -> Command {
        let mut command = Command::new("chroot");
        command
            .arg("--userspec=heygen:heygen")
            .arg(self.folder.path())
            .args([
                "sh",
                "-c",
                "cd /var/lib/heygen-webhooks && exec \"$@\"",
                "sh",
            ])
            .args(words.split_whitespace())
            .env(SECRET.0, SECRET.1);
        command
    }

    fn serve(&self, start: &str) -> Result<Serve> {
        Serve::start(
            self.user(start)
                .args(["--listen", "127.0.0.1:0", "--admin", "off"]),
        )
    }

    fn trigger(&self, url: &str) -> Result<()> {
        output(
            self.user("heygen-webhooks trigger avatar_video.success --to")
                .arg(url),
        )
        .map(drop)
    }

    fn stored(&self, expected: usize) -> Result<()> {
        if !self.path(INBOX).exists() {
            bail!("the inbox is not where the configuration says");
        }
        let mut list =
            self.user("heygen-webhooks inbox list --json --config /etc/heygen-webhooks.toml");
        stored(&mut list, expected)
    }
}
