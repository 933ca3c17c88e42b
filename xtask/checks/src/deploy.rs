//! `cargo xtask deploy`: the deployment examples in `deploy/`, each format checked by the tool that is made for it.
//!
//! `references` checks what no tool does: that what one part of a manifest names is there. That the command lines fit
//! `heygen-webhooks` is a test beside the binary.

mod references;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask_nats::Program;

use crate::not_run::{self, InCi};
use crate::tools::Checks;
use crate::{debian, nats, workspace};

/// Runs every check, so that one run names every problem.
pub fn run(root: &Path) -> Result<()> {
    let folder = root.join("target/deploy");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("empty target/deploy")?;
    }
    fs::create_dir_all(&folder).context("make target/deploy")?;
    let manifests = examples(root, "deploy/kubernetes", ".yaml")?;
    let mut units = examples(root, "deploy/systemd", ".service")?;
    units.extend(examples(root, "deploy/systemd", ".socket")?);
    let mut problems = Vec::new();

    let config_map = workspace::read(root, NATS_MANIFEST)?;
    let config_map = block(&config_map, "nats-server.conf")?;
    let configurations = [
        (NATS_MANIFEST, config_map),
        read(root, "deploy/systemd/nats-server.conf")?,
        read(root, "deploy/compose/nats-server.conf")?,
    ];
    verify_configurations(root, &folder, &configurations, &mut problems)?;
    match Checks::ensure(root) {
        Ok(checks) => verify_manifests(root, &checks, &manifests, &mut problems)?,
        Err(error) => not_run::note(
            root,
            InCi::Fails,
            "kubernetes-validate, check-jsonschema, yamllint, hadolint and actionlint on deploy/ and .github",
            &format!("{error:#}"),
        )?,
    }
    match Command::new("systemd-analyze").arg("--version").output() {
        Ok(_) => verify_units(root, &folder, &units, &mut problems)?,
        Err(error) => not_run::note(
            root,
            InCi::Fails,
            "systemd-analyze on deploy/systemd",
            &format!("it does not start: {error}"),
        )?,
    }
    match ensure_promtool(root) {
        Ok(promtool) => verify_rules(root, &promtool, &mut problems)?,
        Err(error) => not_run::note(
            root,
            InCi::Fails,
            "promtool on deploy/prometheus",
            &format!("{error:#}"),
        )?,
    }
    for problem in &problems {
        println!("problem: {problem}");
    }
    if !problems.is_empty() {
        bail!("{} problems in deploy/", problems.len());
    }
    println!("deploy/ is sound");
    Ok(())
}

/// Kubernetes and Compose manifests, and the Dockerfile.
fn verify_manifests(
    root: &Path,
    checks: &Checks,
    manifests: &[String],
    problems: &mut Vec<String>,
) -> Result<()> {
    let tool = |program| checks.command(root, program);
    tell(
        tool("kubernetes-validate")
            .args(["--strict", "--quiet"])
            .args(manifests),
        problems,
    )?;
    tell(
        tool("check-jsonschema").args(["--builtin-schema", "vendor.compose-spec", COMPOSE]),
        problems,
    )?;
    for (schema, folder) in [
        ("vendor.github-workflows", ".github/workflows"),
        ("vendor.github-issue-forms", ".github/ISSUE_TEMPLATE"),
    ] {
        let files = examples(root, folder, ".yml")?;
        tell(
            tool("check-jsonschema")
                .args(["--builtin-schema", schema])
                .args(files),
            problems,
        )?;
    }
    // The parsers of both take the last of two equal keys.
    tell(
        tool("yamllint")
            .args(["--strict", "-d", "{rules: {key-duplicates: enable}}"])
            .args([
                "deploy/kubernetes",
                "deploy/compose",
                "deploy/prometheus",
                ".github",
            ]),
        problems,
    )?;
    tell(tool("hadolint").arg("deploy/Dockerfile"), problems)?;
    let workflows = examples(root, ".github/workflows", ".yml")?;
    tell(tool("actionlint").args(workflows), problems)?;

    let mut objects = Vec::new();
    for path in manifests {
        objects.extend(documents(root, checks, path)?);
    }
    let readme = workspace::read(root, "deploy/README.md")?;
    let accounts = workspace::read(root, "deploy/nats/accounts.conf")?;
    problems.extend(references::in_cluster(&objects, &readme, &accounts));
    for compose in documents(root, checks, COMPOSE)? {
        let folder = root.join("deploy/compose");
        problems.extend(references::in_compose(&compose, &folder));
    }
    Ok(())
}

/// The documents of a YAML file, read by the parser that the tools use.
fn documents(root: &Path, checks: &Checks, path: &str) -> Result<Vec<Value>> {
    const SCRIPT: &str =
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let output = checks
        .command(root, "python")
        .args(["-c", SCRIPT, path])
        .output()
        .context("start Python")?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{path}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// By `systemd-analyze`, which also grades how much of the system each unit can reach.
fn verify_units(
    root: &Path,
    folder: &Path,
    units: &[String],
    problems: &mut Vec<String>,
) -> Result<()> {
    let staged = |path: &str| folder.join(path.rsplit('/').next().unwrap_or(path));
    for path in units {
        let text = workspace::read(root, path)?;
        problems.extend(references::in_unit(path, &text));
        // Programs must exist, and ours are installed nowhere.
        let text = text.replace("=/usr/local/bin/", "=/bin/true /usr/local/bin/");
        fs::write(staged(path), text).with_context(|| format!("stage {path}"))?;
    }
    for path in units {
        let unit = staged(path);
        let analyze = || Command::new("systemd-analyze");
        tell(analyze().args(["verify", "--man=no"]).arg(&unit), problems)?;
        if path.ends_with(".socket") {
            continue;
        }
        let grade = ["security", "--offline=yes", "--no-pager", EXPOSURE];
        if !succeeds(analyze().args(grade).arg(&unit))? {
            problems.push(format!(
                "{path} is too exposed: systemd-analyze {} {path}",
                grade.join(" ")
            ));
        }
    }
    Ok(())
}

/// The one on the path, or that of Debian's package, which is unpacked and not installed, so that no service is started.
fn ensure_promtool(root: &Path) -> Result<PathBuf> {
    let starts = |program: &Path| {
        let output = Command::new(program).arg("--version").output();
        output.is_ok_and(|output| output.status.success())
    };
    let folder = root.join("target/prometheus");
    let unpacked = folder.join("usr/bin/promtool");
    let found = |places: [&Path; 2]| {
        places
            .into_iter()
            .find(|place| starts(place))
            .map(Path::to_owned)
    };
    let places = [Path::new("promtool"), &unpacked];
    if let Some(program) = found(places) {
        return Ok(program);
    }
    println!("bringing promtool into {}", folder.display());
    fs::create_dir_all(&folder).context("create target/prometheus")?;
    debian::unpack("prometheus", &folder)?;
    found(places).context("promtool does not start")
}

/// By promtool, which also runs the tests beside the rules.
fn verify_rules(root: &Path, promtool: &Path, problems: &mut Vec<String>) -> Result<()> {
    let files = examples(root, "deploy/prometheus", ".yml")?;
    let (tests, rules): (Vec<_>, Vec<_>) =
        files.iter().partition(|path| path.ends_with(".test.yml"));
    for (what, files) in [("check", rules), ("test", tests)] {
        let mut command = Command::new(promtool);
        command.args([what, "rules"]).args(files).current_dir(root);
        tell(&mut command, problems)?;
    }
    Ok(())
}

/// By nats-server, with a certificate under the names that the examples use.
fn verify_configurations(
    root: &Path,
    folder: &Path,
    configurations: &[(&str, String)],
    problems: &mut Vec<String>,
) -> Result<()> {
    nats::ensure(root)?;
    make_certificate(folder)?;
    let accounts = workspace::read(root, "deploy/nats/accounts.conf")?;
    fs::write(folder.join("accounts.conf"), accounts).context("write accounts.conf")?;
    for (path, text) in configurations {
        problems.extend(missing_lines(path, text));
        let mut staged = text.clone();
        for place in CREDENTIALS {
            staged = staged.replace(place, &format!("{}/", folder.display()));
        }
        let file = folder.join(path.replace('/', "-"));
        fs::write(&file, staged).context("write a configuration")?;
        tell(
            Command::new(Program::Current.path()?)
                .args(["-t", "-c"])
                .arg(&file)
                .env("SERVER_NAME", "node1"),
            problems,
        )?;
    }
    Ok(())
}

fn make_certificate(folder: &Path) -> Result<()> {
    let output = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
        ])
        .args(["-subj", "/CN=node1.example.com", "-keyout", "tls.key"])
        .args(["-out", "tls.crt"])
        .current_dir(folder)
        .output()
        .context("start openssl, which makes a certificate for nats-server")?;
    if !output.status.success() {
        bail!("openssl: {}", String::from_utf8_lossy(&output.stderr));
    }
    fs::copy(folder.join("tls.crt"), folder.join("ca.crt"))
        .map(drop)
        .context("copy the certificate")
}

/// Without these lines a node does not keep what it acknowledges, or takes no body of a megabyte.
fn missing_lines(path: &str, text: &str) -> Vec<String> {
    ["sync_interval: always", "max_payload: 2MB", "store_dir:"]
        .iter()
        .filter(|needed| !text.lines().any(|line| line.trim().starts_with(**needed)))
        .map(|needed| format!("{path}: `{needed}` is missing"))
        .collect()
}

/// The text under `key: |`, without its indentation.
fn block(yaml: &str, key: &str) -> Result<String> {
    let mut lines = yaml.lines();
    let head = lines
        .find(|line| line.trim() == format!("{key}: |"))
        .with_context(|| format!("{NATS_MANIFEST} has no `{key}: |`"))?;
    let depth = head.len() - head.trim_start().len();
    let indent = " ".repeat(depth + 2);
    Ok(lines
        .take_while(|line| line.is_empty() || line.starts_with(&indent))
        .map(|line| format!("{}\n", line.strip_prefix(&indent).unwrap_or(line)))
        .collect())
}

/// A tool that fails or warns has found a problem.
fn tell(command: &mut Command, problems: &mut Vec<String>) -> Result<()> {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let output = command.output();
    let output = output.with_context(|| format!("start {name}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    // systemd-analyze warns of what it ignores, and ends well.
    let warns = name == "systemd-analyze" && !said.trim().is_empty();
    if warns || !output.status.success() {
        problems.push(format!("{name}: {}", said.trim()));
    }
    Ok(())
}

fn succeeds(command: &mut Command) -> Result<bool> {
    Ok(command.output().context("start a tool")?.status.success())
}

fn read<'a>(root: &Path, path: &'a str) -> Result<(&'a str, String)> {
    Ok((path, workspace::read(root, path)?))
}

/// The files of a folder; none at all is an error, because a check of nothing would pass.
fn examples(root: &Path, folder: &str, ending: &str) -> Result<Vec<String>> {
    let mut found = workspace::files_below(root, folder)?;
    found.retain(|path| path.ends_with(ending));
    if found.is_empty() {
        bail!("{folder} holds no file that ends in {ending}");
    }
    Ok(found)
}

const NATS_MANIFEST: &str = "deploy/kubernetes/nats.yaml";
const COMPOSE: &str = "deploy/compose/compose.yaml";

/// Where the examples have their certificates.
const CREDENTIALS: [&str; 2] = ["/run/credentials/nats-server.service/", "/etc/nats-tls/"];

/// Tenths of systemd's grade, which goes to 10; a unit that restricts nothing has 9.6, ours have less than 2.
const EXPOSURE: &str = "--threshold=25";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_without_examples_is_an_error() {
        let error = examples(&workspace::root(), "deploy", ".nothing").unwrap_err();
        assert!(error.to_string().contains(".nothing"), "{error}");
    }

    #[test]
    fn block_of_yaml_ends_where_its_indentation_does() {
        let yaml = "data:\n  a.conf: |\n    one\n\n      two\n  b.conf: |\n    three\n";
        assert_eq!(block(yaml, "a.conf").unwrap(), "one\n\n  two\n");
        assert!(block(yaml, "c.conf").is_err());
    }

    #[test]
    fn line_that_makes_a_node_durable_is_needed() {
        let text = "  sync_interval: always\nmax_payload: 2MB\nstore_dir: \"/data\"\n";
        assert_eq!(missing_lines("x", text), [""; 0]);
        let found = missing_lines("x", &text.replace("always", "1s"));
        assert_eq!(found, ["x: `sync_interval: always` is missing"]);
    }

    #[test]
    fn tool_that_fails_has_found_a_problem() {
        let mut problems = Vec::new();
        tell(&mut Command::new("true"), &mut problems).unwrap();
        assert_eq!(problems, [""; 0]);
        tell(
            Command::new("sh").args(["-c", "echo wrong >&2; exit 1"]),
            &mut problems,
        )
        .unwrap();
        assert_eq!(problems, ["sh: wrong"]);
    }
}
