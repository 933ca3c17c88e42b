//! The paths and tests that documents name: each must exist.

use std::path::Path;

use anyhow::Result;
use xtask_checks::workspace;

/// Documents at the root; all others are found.
pub(super) const DOCUMENTS: [&str; 4] = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
];

/// What a path in this repository begins with.
const FOLDERS: [&str; 8] = [
    ".ci/",
    "crates/",
    "deploy/",
    "docs/",
    "fixtures/",
    "fuzz/",
    "schemas/",
    "xtask/",
];

/// Looks up every path in every document.
pub(super) fn check(root: &Path, files: &[String], problems: &mut Vec<String>) -> Result<()> {
    let mut sources = String::new();
    let is_test = |path: &&String| path.contains("/tests/") && path.ends_with(".rs");
    for path in files.iter().filter(is_test) {
        sources.push_str(&workspace::read(root, path)?);
    }
    for document in files.iter().filter(|path| path.ends_with(".md")) {
        let text = workspace::read(root, document)?;
        let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
        let links = links(&text)
            .into_iter()
            .map(|link| format!("{folder}/{link}"));
        let named = mentions(&text).into_iter().map(str::to_owned);
        for path in named.chain(links) {
            if !root.join(path.trim_start_matches('/')).exists() {
                problems.push(format!("{document} names {path}, which does not exist"));
            }
        }
        for test in tests(&text) {
            if !sources.contains(&format!("fn {test}(")) {
                problems.push(format!(
                    "{document} names the test {test}, which does not exist"
                ));
            }
        }
    }
    Ok(())
}

/// Paths in backticks, and words of code blocks that are paths of crates.
///
/// A path with a placeholder (`fixtures/events/<event_type>/`) or a pattern is no path.
fn mentions(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut is_code_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code_block = !is_code_block;
        } else if is_code_block {
            let words = line.split_whitespace();
            found.extend(
                words.filter(|word| word.starts_with("crates/") || word.starts_with("xtask/")),
            );
        } else {
            // Outside and inside take turns, beginning outside.
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found.retain(|path| FOLDERS.iter().any(|folder| path.starts_with(folder)));
    found.retain(|path| !path.contains(|c: char| c.is_whitespace() || "<>{}*…$".contains(c)));
    found
}

/// The names of tests in backticks: paths of a module whose last part is a sentence.
fn tests(text: &str) -> Vec<&str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter_map(|code| code.rsplit_once("::"))
        .map(|(_, name)| name)
        .filter(|name| name.matches('_').count() >= 3)
        .collect()
}

/// The targets of links into this repository, without their anchors.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|target| target.split('#').next().unwrap_or(target))
        .filter(|target| {
            // Items, which rustdoc looks up, have `::`.
            let is_elsewhere = ["://", "::", "mailto:"];
            !target.is_empty() && !is_elsewhere.iter().any(|mark| target.contains(mark))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected_mentions: &[&str], expected_links: &[&str]) {
        assert_eq!(mentions(text), expected_mentions);
        assert_eq!(links(text), expected_links);
    }

    #[test]
    fn paths_are_found() {
        check(
            "see `crates/a/src/lib.rs`, and `other/x`",
            &["crates/a/src/lib.rs"],
            &[],
        );
        check(
            "`xtask/src/main.rs` `docs/`",
            &["xtask/src/main.rs", "docs/"],
            &[],
        );
        check(
            "`fixtures/events/<event_type>/<case>.json` `schemas/*.json`",
            &[],
            &[],
        );
        check(
            "```text\ncrates/a/  what it holds\n```\n",
            &["crates/a/"],
            &[],
        );
        check(
            "[a](docs/a.md#b) [b](#c) [d](https://example.com/) [e](a::b) [f](mailto:a@b)",
            &[],
            &["docs/a.md"],
        );
    }

    #[test]
    fn tests_are_found() {
        let text =
            "`a::b::bodies_have_one_bound`, `c::full_disk_answers_503`\n`transfer::to_record`";
        assert_eq!(
            tests(text),
            ["bodies_have_one_bound", "full_disk_answers_503"]
        );
    }
}
