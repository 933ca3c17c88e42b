//! Which crate may reach which: `xtask/layers.toml`, compared with what `cargo tree` prints.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};
use xtask_checks::workspace::{self, Member};

/// Compares the dependencies of every member that has, or must have, a layer.
pub(super) fn check(root: &Path, members: &[Member], problems: &mut Vec<String>) -> Result<()> {
    let mut layers = workspace::parse(root, FILE)?;
    let nowhere = layers.remove("nowhere").unwrap_or(Value::Array(Vec::new()));
    let names: Vec<&str> = members.iter().map(Member::name).collect();
    let unknown = layers.keys().filter(|name| !names.contains(&name.as_str()));
    problems.extend(unknown.map(|name| format!("{FILE} has {name}, and there is no such crate")));
    for member in members {
        let name = member.name();
        let Some(layer) = layers.get(name).and_then(Value::as_table) else {
            if member.folder.starts_with("crates/") {
                problems.push(format!("{FILE} does not have {name}"));
            }
            continue;
        };
        let normal = ["--package", name, "--edges", "normal"];
        let tree = |more: &[&str]| tree(root, &[&normal[..], more].concat());
        problems.extend(violations(
            name,
            layer,
            &names,
            &tree(&["--all-features"])?,
            &tree(&["--all-features", "--depth", "1"])?,
            &tree(&["--no-default-features"])?,
        ));
    }
    let everything = tree(root, &["--workspace", "--all-features"])?;
    let reached = texts(&nowhere).filter(|name| everything.contains(*name));
    problems.extend(reached.map(|name| format!("{name} is reached: {INVERT} {name} --workspace")));
    Ok(())
}

/// What a member reaches against its layer: with all features, at the first step, and without default features.
fn violations(
    name: &str,
    layer: &Table,
    members: &[&str],
    full: &BTreeSet<String>,
    direct: &BTreeSet<String>,
    bare: &BTreeSet<String>,
) -> Vec<String> {
    let listed =
        |key: &str| -> BTreeSet<&str> { layer.get(key).into_iter().flat_map(texts).collect() };
    let (may, never) = (listed("members"), listed("never"));
    let mut problems = Vec::new();
    for reached in full.iter().map(String::as_str) {
        let is_member = members.contains(&reached) && reached != name;
        if is_member && !may.contains(reached) || never.contains(reached) {
            problems.push(format!(
                "{name} reaches {reached}: {INVERT} {reached} --package {name}"
            ));
        }
    }
    let reached_bare = listed("never_bare")
        .into_iter()
        .filter(|it| bare.contains(*it));
    problems.extend(reached_bare.map(|reached| {
        format!("{name} reaches {reached} without its default features: {INVERT} {reached} --package {name}")
    }));
    let most = layer.get("most_bare").and_then(Value::as_integer);
    let count = bare.len();
    if most.is_some_and(|most| usize::try_from(most).is_ok_and(|most| count > most)) {
        problems.push(format!(
            "{name} reaches {count} crates without its default features, and {FILE} says fewer: \
             cargo tree --edges normal --no-default-features --package {name}"
        ));
    }
    if layer.contains_key("names") {
        let allowed = listed("names");
        let others = direct.iter().map(String::as_str).filter(|reached| {
            *reached != name && !allowed.contains(reached) && !may.contains(reached)
        });
        problems.extend(
            others
                .map(|reached| format!("{name} depends on {reached}, and {FILE} does not say so")),
        );
    }
    problems
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// The names of all packages that `cargo tree` prints.
fn tree(root: &Path, arguments: &[&str]) -> Result<BTreeSet<String>> {
    let output = workspace::cargo(root)
        .args(["tree", "--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .output()
        .context("start cargo tree")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`cargo tree {}` failed: {}",
            arguments.join(" "),
            said.trim()
        );
    }
    Ok(package_names(&String::from_utf8_lossy(&output.stdout)))
}

/// The first word of each line: `serde v1.0.229 (*)`.
fn package_names(tree: &str) -> BTreeSet<String> {
    let words = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    words.map(str::to_owned).collect()
}

const FILE: &str = "xtask/layers.toml";
const INVERT: &str = "cargo tree --edges normal --all-features --invert";

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a member that reaches `full`, `direct` and, without default features, `bare`.
    #[track_caller]
    fn check(full: &str, direct: &str, bare: &str, expected: &[&str]) {
        let layer = "members = ['b']\nnames = ['serde']\nnever = ['tokio']\nnever_bare = ['rusqlite']\nmost_bare = 2";
        let layer = layer.parse().unwrap();
        let [full, direct, bare] = [full, direct, bare].map(package_names);
        let problems = violations("a", &layer, &["a", "b", "c"], &full, &direct, &bare);
        let starts: Vec<&str> = problems
            .iter()
            .map(|problem| problem.split([':', ',']).next().unwrap_or(problem))
            .collect();
        assert_eq!(starts, expected);
    }

    #[test]
    fn member_stays_in_its_layer() {
        check(
            "a v1\nb v1\nserde v1\nserde_core v1 (*)",
            "a v1\nb v1\nserde v1",
            "a v1",
            &[],
        );
        check("a v1\nc v1", "a v1", "a v1", &["a reaches c"]);
        check("a v1\ntokio v1", "a v1", "a v1", &["a reaches tokio"]);
        check("a v1\nrusqlite v1", "a v1", "a v1", &[]);
        let bare = "a reaches rusqlite without its default features";
        check("a v1", "a v1", "a v1\nrusqlite v1", &[bare]);
        let many = "a reaches 3 crates without its default features";
        check("a v1", "a v1", "a v1\nb v1\nc v1", &[many]);
        check(
            "a v1\nlog v1",
            "a v1\nlog v1",
            "a v1",
            &["a depends on log"],
        );
    }
}
