//! [`Stage`]: the build, and what is installed beside the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use xtask_checks::workspace::cargo;

use crate::system::{copy, folder, output, run, write};

/// Files under `target/dist/stage`, as the archives take them.
pub(crate) struct Stage {
    pub(crate) root: PathBuf,
    /// Where the archives go.
    pub(crate) out: PathBuf,
    pub(crate) version: String,
    /// The triple, as in the names of archives.
    pub(crate) target: String,
    /// What has cargo build the release, if it is one.
    pub(crate) profile: &'static [&'static str],
}

impl Stage {
    /// Builds the program and has it write its completions and man pages.
    pub(crate) fn build(root: &Path, is_dev: bool) -> Result<Self> {
        let out = root.join("target/dist");
        if out.exists() {
            fs::remove_dir_all(&out).context("empty target/dist")?;
        }
        let (profile, built): (&[&str], _) = match is_dev {
            true => (&[], "target/debug/heygen-webhooks"),
            false => (&["--release"], "target/release/heygen-webhooks"),
        };
        run(cargo(root)
            .args(["build", "--locked", "--package", "heygen-webhooks"])
            .args(profile))?;
        let target = output(Command::new("rustc").args(["--print", "host-tuple"]))?;
        let stage = Self {
            root: root.to_owned(),
            out,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: String::from_utf8(target)?.trim().to_owned(),
            profile,
        };
        copy(&root.join(built), &stage.program())?;
        if is_dev {
            // As the profile of releases does.
            run(Command::new("strip").arg(stage.program()))?;
        }
        for (shell, name) in [
            ("bash", "heygen-webhooks.bash"),
            ("zsh", "_heygen-webhooks"),
            ("fish", "heygen-webhooks.fish"),
        ] {
            let script = output(Command::new(stage.program()).args(["completions", shell]))?;
            write(&stage.path("completions").join(name), script)?;
        }
        folder(&stage.path("man"))?;
        run(Command::new(stage.program())
            .args(["man", "--dir"])
            .arg(stage.path("man")))?;
        for license in LICENSES {
            copy(&root.join(license), &stage.path(license))?;
        }
        stage.unit()?;
        Ok(stage)
    }

    /// The unit of `deploy/`, for a program that a package installs.
    fn unit(&self) -> Result<()> {
        let file = self.root.join(UNIT);
        let unit = fs::read_to_string(&file).context("read the unit")?;
        write(
            &self.path("systemd").join("heygen-webhooks.service"),
            packaged(unit)?,
        )
    }

    /// Size and start of the program, which users wait for.
    pub(crate) fn check(&self) -> Result<()> {
        let size = fs::metadata(self.program()).context("the program")?.len();
        println!("the program has {:.1} MB", size as f64 / 1e6);
        ensure!(
            size <= MOST,
            "the program is larger than {} MB",
            MOST / 1_000_000
        );
        // Other work on the machine only delays: one start that no one disturbs will do.
        let mut fastest = Duration::MAX;
        for attempt in 0..200 {
            let started = Instant::now();
            output(Command::new(self.program()).arg("-V"))?;
            fastest = fastest.min(started.elapsed());
            if attempt >= 20 && fastest <= SLOWEST {
                break;
            }
        }
        println!("it starts in {:.1} ms", fastest.as_secs_f64() * 1e3);
        ensure!(fastest <= SLOWEST, "it takes longer than {SLOWEST:?}");
        Ok(())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.out.join("stage").join(name)
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.path("bin/heygen-webhooks")
    }
}

pub(crate) const LICENSES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// What a user waits for when it is downloaded.
const MOST: u64 = 25_000_000;
/// What a user waits for with each command.
const SLOWEST: Duration = Duration::from_millis(20);
const UNIT: &str = "deploy/systemd/heygen-webhooks.service";

/// The unit as a package has it: its configuration names the secret, so that the service can start without one.
fn packaged(mut unit: String) -> Result<String> {
    for (from, to) in [
        ("/etc/systemd/system/", "/usr/lib/systemd/system/"),
        ("/usr/local/bin/", "/usr/bin/"),
        (
            " \\\n    --secret-file %d/secret --api-key-file %d/api-key",
            "",
        ),
        (
            "/etc/heygen-webhooks/heygen-webhooks.toml",
            "/etc/heygen-webhooks.toml",
        ),
        (
            " Credentials are read at the start: restart it for those.",
            "",
        ),
        ("LoadCredential=secret:/etc/heygen-webhooks/secret\n", ""),
        (
            "# Only for public-url and backfill; without them remove this line and --api-key-file.\n",
            "",
        ),
        ("LoadCredential=api-key:/etc/heygen-webhooks/api-key\n", ""),
    ] {
        ensure!(unit.contains(from), "{UNIT} lacks {from:?}");
        unit = unit.replace(from, to);
    }
    Ok(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_of_the_repository_becomes_that_of_the_package() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let unit = packaged(fs::read_to_string(root.join(UNIT)).unwrap()).unwrap();
        let start = "ExecStart=/usr/bin/heygen-webhooks serve --config /etc/heygen-webhooks.toml\n";
        assert!(unit.contains(start), "{unit}");
        assert!(!unit.contains("LoadCredential"), "{unit}");
    }
}
