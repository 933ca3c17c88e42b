//! Which crate may reach which: `xtask/layers.toml`, compared with what `cargo tree` prints.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use xtask_checks::workspace::{self, Member};

/// A table of `xtask/layers.toml`, which says what each is.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Layer {
    members: Names,
    names: Option<Names>,
    never: Names,
    never_bare: Names,
    most_bare: Option<usize>,
}

type Names = BTreeSet<String>;

/// Compares the dependencies of every member that has, or must have, a layer.
pub(super) fn check(root: &Path, members: &[Member], problems: &mut Vec<String>) -> Result<()> {
    let text = workspace::read(root, FILE)?;
    let layers: BTreeMap<String, Layer> =
        toml::from_str(&text).with_context(|| format!("parse {FILE}"))?;
    let names: Names = members.iter().map(|it| it.name().to_owned()).collect();
    let unknown = layers.keys().filter(|name| !names.contains(*name));
    problems.extend(unknown.map(|name| format!("{FILE} has {name}, and there is no such crate")));
    for member in members {
        let name = member.name();
        if let Some(layer) = layers.get(name) {
            let all = tree(root, name, &["--all-features"])?;
            let direct = tree(root, name, &["--all-features", "--depth", "1"])?;
            let bare = tree(root, name, &["--no-default-features"])?;
            let others = &names - &Names::from([name.to_owned()]);
            problems.extend(layer.violations(name, &others, [&all, &direct, &bare]));
        } else if member.is_published() {
            problems.push(format!("{FILE} does not have {name}"));
        }
    }
    Ok(())
}

impl Layer {
    /// What a member reaches against it: with all features, of that at the first step, and without default features.
    fn violations(&self, name: &str, others: &Names, reached: [&Names; 3]) -> Vec<String> {
        let [all, direct, bare] = reached;
        let mut problems = Vec::new();
        let forbidden = &(others - &self.members) | &self.never;
        for reached in all & &forbidden {
            problems.push(format!(
                "{name} reaches {reached}: {INVERT} {reached} --package {name}"
            ));
        }
        for reached in bare & &self.never_bare {
            problems.push(format!(
                "{name} reaches {reached} without its default features: {INVERT} {reached} --package {name}"
            ));
        }
        if self.most_bare.is_some_and(|most| bare.len() > most) {
            problems.push(format!(
                "{name} reaches {} crates without its default features, and {FILE} says fewer: \
                 cargo tree --edges normal --no-default-features --package {name}",
                bare.len()
            ));
        }
        if let Some(names) = &self.names {
            for reached in &(direct - names) - &self.members {
                if reached != name {
                    problems.push(format!(
                        "{name} depends on {reached}, and {FILE} does not say so"
                    ));
                }
            }
        }
        problems
    }
}

/// The names of all packages that `cargo tree` prints of one.
fn tree(root: &Path, name: &str, options: &[&str]) -> Result<Names> {
    let output = workspace::cargo(root)
        .args(["tree", "--prefix", "none", "--format", "{p}"])
        .args(["--edges", "normal", "--package", name])
        .args(options)
        .output()
        .context("start cargo tree")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`cargo tree` of {name} failed: {}", said.trim());
    }
    Ok(package_names(&String::from_utf8_lossy(&output.stdout)))
}

/// The first word of each line: `serde v1.0.229 (*)`.
fn package_names(tree: &str) -> Names {
    let words = tree.lines().filter_map(|line| line.split(' ').next());
    words.map(str::to_owned).collect()
}

const FILE: &str = "xtask/layers.toml";
const INVERT: &str = "cargo tree --edges normal --all-features --invert";

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a member that reaches this with all features, at the first step and without default features.
    #[track_caller]
    fn check(reached: [&str; 3], expected: &[&str]) {
        let layer = "members = ['b']\nnames = ['serde']\nnever = ['tokio']\nnever_bare = ['rusqlite']\nmost_bare = 2";
        let layer: Layer = toml::from_str(layer).unwrap();
        let [all, direct, bare] = reached.map(|names| package_names(&names.replace(", ", "\n")));
        let others = package_names("b\nc");
        let problems = layer.violations("a", &others, [&all, &direct, &bare]);
        let start = |problem: &String| problem.split([':', ',']).next().map(str::to_owned);
        let starts: Vec<String> = problems.iter().filter_map(start).collect();
        assert_eq!(starts, expected);
    }

    #[test]
    fn member_stays_in_its_layer() {
        let all = "a v1, b v1, serde v1, serde_core v1 (*)";
        check([all, "a v1, b v1, serde v1", "a v1"], &[]);
        check(["a v1, c v1", "a v1", "a v1"], &["a reaches c"]);
        check(["a v1, tokio v1", "a v1", "a v1"], &["a reaches tokio"]);
        check(["a v1, rusqlite v1", "a v1", "a v1"], &[]);
        let bare = "a reaches rusqlite without its default features";
        check(["a v1", "a v1", "a v1, rusqlite v1"], &[bare]);
        let many = "a reaches 3 crates without its default features";
        check(["a v1", "a v1", "a v1, b v1, c v1"], &[many]);
        let named = "a depends on log";
        check(["a v1, log v1", "a v1, log v1", "a v1"], &[named]);
    }
}
