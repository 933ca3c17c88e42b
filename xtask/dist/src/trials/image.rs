//! The image of deploy/Dockerfile around the program of the archives, run as a container runs it:
//! with its configuration, as process 1, with a network of its own.
//!
//! The stage that compiles is left out, because its base image comes from a registry: a Debian with
//! the program stands for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use xtask_checks::not_run::{InCi, note};

use super::debian::Debian;
use super::{SECRET, Serve, stored};
use crate::stage::Stage;
use crate::system::{folder, has, output, run, write};

pub(super) fn trial(stage: &Stage) -> Result<()> {
    if !has("buildah") {
        let why = "buildah is missing; `cargo xtask setup` brings it";
        return note(&stage.root, InCi::Fails, "the image", why);
    }
    let archive = match Debian::archive(stage)? {
        Ok(archive) => archive,
        Err((in_ci, why)) => return note(&stage.root, in_ci, "the image", &why),
    };
    let container = Container::build(stage, &archive)?;
    let serve = container.start()?;
    let process = child_of(serve.process_id())?;
    run(inside(process).args(["--net", "ip", "link", "set", "lo", "up"]))?;

    let health = container.words("/Healthcheck/Test")?;
    ensure!(health[0] == "CMD", "the image has no health check");
    run(container.beside(process)?.args(&health[1..]))?;
    let program = container.words("/Entrypoint")?;
    let mut trigger = container.beside(process)?;
    output(trigger.args(&program).args(["trigger", SAMPLE]))?;
    let mut list = container.beside(process)?;
    stored(list.args(&program).args(["inbox", "list", "--json"]), 1)?;
    let inbox = container.root.join("var/lib/heygen-webhooks");
    ensure!(
        inbox.join("heygen-inbox.db").exists(),
        "the inbox is not in the volume"
    );
    serve.stop_at(process, "TERM")
}

struct Container {
    folder: TempDir,
    root: PathBuf,
    configuration: Value,
}

impl Container {
    fn build(stage: &Stage, archive: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("image")
            .tempdir_in(&stage.out)?;
        let mut container = Self {
            folder,
            root: PathBuf::new(),
            configuration: Value::Null,
        };
        let buildah = |words: &[&str]| container.buildah(words);
        let base = buildah(&["from", "scratch"])?;
        let program = stage.program();
        for (word, from, to) in [("add", archive, "/"), ("copy", &program, "/program/")] {
            buildah(&[word, "--quiet", &base, &from.to_string_lossy(), to])?;
        }
        buildah(&["commit", "--quiet", &base, "localhost/build"])?;
        let text = fs::read_to_string(stage.root.join("deploy/Dockerfile"))?;
        let context = container.folder.path().join("context");
        write(&context.join("Dockerfile"), without_build(&text)?)?;
        buildah(&[
            "bud",
            "--quiet",
            "--isolation=chroot",
            "--format=docker",
            "--pull-never",
            "--tag",
            IMAGE,
            &context.to_string_lossy(),
        ])?;
        let described = buildah(&["inspect", "--type=image", IMAGE])?;
        let described: Value = serde_json::from_str(&described).context("the image")?;
        let name = buildah(&["from", "--pull-never", IMAGE])?;
        container.root = PathBuf::from(container.buildah(&["mount", &name])?);
        container.configuration = described["Docker"]["config"].clone();
        Ok(container)
    }

    /// With a storage of its own.
    fn buildah(&self, words: &[&str]) -> Result<String> {
        let place = |name| self.folder.path().join(name);
        let mut command = Command::new("buildah");
        command
            .args(["--storage-driver=vfs", "--root"])
            .arg(place("storage"))
            .arg("--runroot")
            .arg(place("run"))
            .args(words);
        Ok(String::from_utf8(output(&mut command)?)?.trim().to_owned())
    }

    /// What the image says at this place, such as `/Cmd`.
    fn words(&self, place: &str) -> Result<Vec<String>> {
        let words = self.configuration.pointer(place).cloned();
        let words: Option<Vec<String>> = serde_json::from_value(words.unwrap_or_default())?;
        let words = words.filter(|words| !words.is_empty());
        words.with_context(|| format!("the image has no {place}"))
    }

    fn start(&self) -> Result<Serve> {
        // A container has one.
        folder(&self.root.join("proc"))?;
        let mut command = Command::new("/usr/bin/unshare");
        command
            .args(["--pid", "--net", "--mount-proc", "--fork", "--kill-child"])
            .arg(format!("--root={}", self.root.display()))
            .arg(format!("--wd={}", self.text("WorkingDir")?));
        self.as_user(&mut command)?;
        command
            .args(self.words("/Entrypoint")?)
            .args(self.words("/Cmd")?);
        Serve::start(&mut command)
    }

    /// A command beside this process.
    fn beside(&self, process: u32) -> Result<Command> {
        let mut command = inside(process);
        command.args(["--mount", "--pid", "--net", "--root", "--wd"]);
        self.as_user(&mut command)?;
        Ok(command)
    }

    /// With the user and the environment of the image.
    fn as_user(&self, command: &mut Command) -> Result<()> {
        let user = self.text("User")?;
        let (user, group) = user.split_once(':').context("the image names no group")?;
        command.args(["--setuid", user, "--setgid", group]);
        let variables = self.words("/Env")?;
        let variables = variables.iter().filter_map(|pair| pair.split_once('='));
        command.env_clear().envs(variables).env(SECRET.0, SECRET.1);
        Ok(())
    }

    fn text(&self, key: &str) -> Result<&str> {
        let text = self.configuration[key].as_str();
        text.with_context(|| format!("the image has no {key}"))
    }
}

/// A command where this process is: which parts of that, the arguments say.
fn inside(process: u32) -> Command {
    let mut command = Command::new("/usr/bin/nsenter");
    command.args(["--target", &process.to_string()]);
    command
}

/// The process that this one has started.
fn child_of(process: u32) -> Result<u32> {
    let file = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
    let child = children.split_whitespace().next();
    Ok(child.context("it has started no process")?.parse()?)
}

/// The rest of deploy/Dockerfile, for which an image of the name of the stage stands.
fn without_build(text: &str) -> Result<String> {
    let stages: Vec<&str> = text.split_inclusive("\nFROM ").collect();
    match stages.as_slice() {
        [head, build, rest @ ..] if build.contains(" AS build\n") => {
            Ok(format!("{head}{}", rest.concat()))
        }
        _ => anyhow::bail!("deploy/Dockerfile does not begin with a stage `build`"),
    }
}

const IMAGE: &str = "localhost/heygen-webhooks";
const SAMPLE: &str = "avatar_video.success";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_that_compiles_is_left_out() {
        let text = "# x\n\nFROM a AS build\nRUN y\n\nFROM build AS layout\nRUN z\n\nFROM scratch\n";
        let rest = "# x\n\nFROM build AS layout\nRUN z\n\nFROM scratch\n";
        assert_eq!(without_build(text).unwrap(), rest);
        assert!(without_build("FROM a\n").is_err());
    }
}
