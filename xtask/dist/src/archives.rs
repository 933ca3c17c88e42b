//! [`Archives`]: what is published, each from the same stage.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use xtask_checks::workspace::{cargo, without_package};

use crate::stage::{LICENSES, Stage};
use crate::system::{self, copy, has, output, run, write};

pub(crate) struct Archives {
    pub(crate) tarball: PathBuf,
    /// Without cargo-deb's system there is none.
    pub(crate) deb: Option<PathBuf>,
    pub(crate) wheel: PathBuf,
    /// The command, and the program for this system, which it finds.
    pub(crate) npm: [PathBuf; 2],
    /// As `sha256sum --check` reads them.
    pub(crate) checksums: String,
}

impl Archives {
    pub(crate) fn pack(stage: &Stage) -> Result<Self> {
        let mut archives = Self {
            tarball: tarball(stage)?,
            deb: if has("dpkg") { Some(deb(stage)?) } else { None },
            wheel: wheel(stage)?,
            npm: npm(stage)?,
            checksums: String::new(),
        };
        let sbom = sbom(stage, &archives.wheel)?;
        let all = [&archives.tarball, &archives.wheel, &sbom];
        let all = all.into_iter().chain(&archives.deb).chain(&archives.npm);
        for archive in all {
            let bytes = fs::read(archive).with_context(|| format!("read {}", archive.display()))?;
            let name = archive.file_name().unwrap_or_default().to_string_lossy();
            for byte in Sha256::digest(&bytes) {
                write!(archives.checksums, "{byte:02x}")?;
            }
            writeln!(archives.checksums, "  {name}")?;
        }
        write(&stage.out.join("SHA256SUMS"), &archives.checksums)?;
        Ok(archives)
    }
}

fn tarball(stage: &Stage) -> Result<PathBuf> {
    let name = format!("heygen-webhooks-{}-{}", stage.version, stage.target);
    let folder = stage.path(&name);
    system::folder(&folder)?;
    for (from, to) in [
        (stage.program(), "heygen-webhooks"),
        (stage.path("systemd"), "systemd"),
        (stage.path("completions"), "completions"),
        (stage.path("man"), "man"),
        (stage.path(LICENSES[0]), LICENSES[0]),
        (stage.path(LICENSES[1]), LICENSES[1]),
        (stage.root.join("README.md"), "README.md"),
        (stage.root.join("CHANGELOG.md"), "CHANGELOG.md"),
    ] {
        run(Command::new("cp")
            .arg("--recursive")
            .args([from, folder.join(to)]))?;
    }
    let archive = stage.out.join(format!("{name}.tar.gz"));
    run(Command::new("tar")
        .args(["--owner=0", "--group=0", "--sort=name", "-czf"])
        .arg(&archive)
        .arg("-C")
        .arg(stage.path(""))
        .arg(&name))?;
    Ok(archive)
}

/// By cargo-deb, from `[package.metadata.deb]` of the program's manifest.
fn deb(stage: &Stage) -> Result<PathBuf> {
    deb_documents(stage)?;
    deb_of(stage, "1", &stage.out)?;
    only(&stage.out, ".deb")
}

/// With this revision after the version, into this folder.
pub(crate) fn deb_of(stage: &Stage, revision: &str, out: &Path) -> Result<()> {
    run(without_package(cargo_deb(&stage.root)?)
        .current_dir(&stage.root)
        .args(["--no-build", "--no-strip", "--package", "heygen-webhooks"])
        .args(["--deb-revision", revision, "--output"])
        .arg(out))
}

fn deb_documents(stage: &Stage) -> Result<()> {
    let mit = fs::read_to_string(stage.path("LICENSE-MIT")).context("read LICENSE-MIT")?;
    write(&stage.path("license"), format!("{APACHE}\n\n{mit}"))?;
    let changelog = format!(
        "heygen-webhooks ({}-1) stable; urgency=medium\n\n  * See CHANGELOG.md of the sources.\n\n -- {MAINTAINER}  {}\n",
        stage.version,
        String::from_utf8(output(Command::new("date").arg("--rfc-email"))?)?.trim(),
    );
    write(&stage.path("changelog.Debian"), changelog)?;
    for page in fs::read_dir(stage.path("man"))?.chain(fs::read_dir(stage.path(""))?) {
        let page = page?.path();
        let is_packed = page
            .extension()
            .is_some_and(|ending| ending == "1" || ending == "Debian");
        if is_packed {
            run(Command::new("gzip").args(["--best", "--no-name"]).arg(page))?;
        }
    }
    Ok(())
}

/// Debian has its text already.
const APACHE: &str = "The Apache License, version 2.0, is in /usr/share/common-licenses/Apache-2.0 on Debian systems.";
const MAINTAINER: &str = "heygen-webhooks contributors <maintainers@heygen-webhooks.invalid>";

/// Built once, into `target/dist-tools`.
fn cargo_deb(root: &Path) -> Result<PathBuf> {
    let tools = root.join("target/dist-tools/cargo");
    let program = tools.join("bin/cargo-deb");
    if !program.exists() {
        run(cargo(root)
            .args([
                "install",
                "--quiet",
                "--debug",
                "--locked",
                "cargo-deb",
                "--version",
                CARGO_DEB,
                "--root",
            ])
            .arg(tools))?;
    }
    Ok(program)
}

const CARGO_DEB: &str = "=3.8.0";

/// By maturin, which builds with cargo and finds the build done: it passes no option that would make another.
fn wheel(stage: &Stage) -> Result<PathBuf> {
    run(
        without_package(stage.root.join("target/dist-tools/python/bin/maturin"))
            .current_dir(stage.root.join("xtask/dist/wheel"))
            .args(["build", "--quiet", "--locked"])
            .args(stage.profile)
            .arg("--out")
            .arg(&stage.out),
    )?;
    only(&stage.out, ".whl")
}

/// maturin writes one of the whole program into the wheel.
fn sbom(stage: &Stage, wheel: &Path) -> Result<PathBuf> {
    let text = output(
        Command::new("python3")
            .args(["-c", "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); sys.stdout.buffer.write(z.read([n for n in z.namelist() if n.endswith('.cyclonedx.json')][0]))"])
            .arg(wheel),
    )?;
    let value: Value = serde_json::from_slice(&text).context("the SBOM")?;
    let has_hyper = value["components"]
        .as_array()
        .is_some_and(|all| all.iter().any(|component| component["name"] == "hyper"));
    ensure!(has_hyper, "the SBOM does not list hyper");
    let name = format!(
        "heygen-webhooks-{}-{}.cyclonedx.json",
        stage.version, stage.target
    );
    let file = stage.out.join(name);
    write(&file, text)?;
    Ok(file)
}

/// The usual pair: a command without a program, and the program for one system, which npm picks by `os` and `cpu`.
fn npm(stage: &Stage) -> Result<[PathBuf; 2]> {
    let node = |expression: &str| -> Result<String> {
        let text = output(Command::new("node").args(["-p", expression]))?;
        Ok(String::from_utf8(text)?.trim().to_owned())
    };
    let (os, cpu) = (node("process.platform")?, node("process.arch")?);
    let of_system = format!("heygen-webhooks-cli-{os}-{cpu}");

    let command = stage.path("npm/command");
    let source = stage.root.join("xtask/dist/npm");
    let mut manifest: Value =
        serde_json::from_slice(&fs::read(source.join("package.json"))?).context("package.json")?;
    manifest["version"] = json!(stage.version);
    // Each release job makes this package, and the same one: it names the systems of all of them.
    let systems = NPM_SYSTEMS.map(|system| format!("heygen-webhooks-cli-{system}"));
    ensure!(
        systems.contains(&of_system),
        "{of_system} is not among the packages that the command finds"
    );
    let systems = systems.map(|system| (system, json!(stage.version)));
    manifest["optionalDependencies"] = Value::Object(systems.into_iter().collect());
    write(&command.join("package.json"), format!("{manifest:#}\n"))?;
    copy(&source.join("README.md"), &command.join("README.md"))?;
    copy(&source.join("run.js"), &command.join("run.js"))?;

    let system = stage.path("npm/system");
    let manifest = json!({
        "name": of_system,
        "version": stage.version,
        "description": format!("The program of heygen-webhooks-cli for {os} on {cpu}"),
        "license": "MIT OR Apache-2.0",
        "os": [os],
        "cpu": [cpu],
        "files": ["heygen-webhooks", LICENSES[0], LICENSES[1]],
    });
    write(&system.join("package.json"), format!("{manifest:#}\n"))?;
    copy(&stage.program(), &system.join("heygen-webhooks"))?;
    fs::set_permissions(
        system.join("heygen-webhooks"),
        PermissionsExt::from_mode(0o755),
    )?;

    for package in [&command, &system] {
        for license in LICENSES {
            copy(&stage.path(license), &package.join(license))?;
        }
        run(Command::new("npm")
            .args(["pack", "--silent", "--pack-destination"])
            .arg(&stage.out)
            .current_dir(package))?;
    }
    let archive = |name: &str| stage.out.join(format!("{name}-{}.tgz", stage.version));
    Ok([archive("heygen-webhooks-cli"), archive(&of_system)])
}

/// The systems that `.github/workflows/release.yml` builds for, as npm calls them.
const NPM_SYSTEMS: [&str; 2] = ["linux-arm64", "linux-x64"];

/// The one file with this ending.
fn only(out: &Path, ending: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(ending) {
            return Ok(path);
        }
    }
    anyhow::bail!("no {ending} was made")
}
