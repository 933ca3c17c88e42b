//! The .deb in a Debian without anything of ours: install, run the unit's command as its user,
//! upgrade while it runs, remove, purge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use xtask_checks::not_run::{InCi, note};

use super::{SECRET, Serve, stored};
use crate::archives::deb_of;
use crate::stage::Stage;
use crate::system::{has, is_root, output, run};

pub(super) fn trial(stage: &Stage, deb: &Path) -> Result<()> {
    if has("lintian") {
        run(Command::new("lintian")
            .args(["--fail-on", "error,warning", "--suppress-tags", LINTIAN])
            .arg("--allow-root")
            .arg(deb))?;
    } else {
        note(
            &stage.root,
            InCi::Fails,
            "lintian on the .deb",
            "it is missing",
        )?;
    }
    let archive = match Debian::archive(stage)? {
        Ok(archive) => archive,
        Err((in_ci, why)) => return note(&stage.root, in_ci, "installing the .deb", &why),
    };
    let debian = Debian::unpack(stage, &archive)?;
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
    serve.stop("TERM")?;
    let serve = debian.serve(&start)?;
    debian.stored(2)?;
    serve.stop("TERM")?;

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
    Ok(())
}

/// The archive is for everybody, so that a maintainer's script of Debian's own is not used; nobody
/// filed a bug to close.
const LINTIAN: &str = "initial-upload-closes-no-bugs,no-manual-page,embedded-library";
const INBOX: &str = "var/lib/heygen-webhooks/heygen-inbox.db";
const NO_DEBIAN: &str =
    "only root can make a Debian, with debootstrap, which `cargo xtask setup` brings";
const NO_NAMESPACES: &str = "this machine refuses namespaces, as a container without rights does";

pub(super) struct Debian {
    folder: TempDir,
}

impl Debian {
    /// What debootstrap makes, made once; or why it cannot be made here.
    pub(super) fn archive(stage: &Stage) -> Result<Result<PathBuf, (InCi, String)>> {
        if !has("debootstrap") || !is_root()? {
            return Ok(Err((InCi::Fails, NO_DEBIAN.to_owned())));
        }
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--pid", "--net", "--fork", "true"]);
        if output(&mut unshare).is_err() {
            return Ok(Err((InCi::Passes, NO_NAMESPACES.to_owned())));
        }
        let suite = suite()?;
        let archive = format!("target/dist-tools/{suite}.tar.gz");
        let archive = stage.root.join(archive);
        if !archive.exists() {
            println!("making {suite} with debootstrap");
            let include = "--include=adduser,ca-certificates";
            let made = tempfile::Builder::new()
                .prefix("new")
                .tempdir_in(&stage.out)?;
            let mut debootstrap = Command::new("debootstrap");
            debootstrap.args(["--variant=minbase", include, &suite]);
            if let Err(error) = run(debootstrap.arg(made.path()).stdout(Stdio::null())) {
                let why = format!("debootstrap brings no Debian: {error:#}");
                return Ok(Err((InCi::Passes, why)));
            }
            let part = archive.with_extension("part");
            run(Command::new("tar")
                .arg("-czf")
                .arg(&part)
                .arg("-C")
                .arg(made.path())
                .arg("."))?;
            fs::rename(part, &archive)?;
        }
        Ok(Ok(archive))
    }

    fn unpack(stage: &Stage, archive: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("debian")
            .tempdir_in(&stage.out)?;
        run(Command::new("tar")
            .arg("-xzf")
            .arg(archive)
            .arg("-C")
            .arg(folder.path()))?;
        Ok(Self { folder })
    }

    fn path(&self, path: &str) -> PathBuf {
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

/// The release of Debian, or of its relative, that the program was built on: an older one may lack
/// what it loads.
fn suite() -> Result<String> {
    let about = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    let suite = about
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(suite.context("a system without a codename")?.to_owned())
}
