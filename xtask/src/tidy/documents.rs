//! What documents say, and other text that users read: paths and tests in them exist, what they have readers paste works in zsh, the
//! shell of macOS, and they use our words.

use std::path::Path;

use anyhow::{Context, Result};
use regex::Regex;
use xtask_checks::workspace;

/// Documents at the root; all others are found.
const DOCUMENTS: [&str; 4] = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
];

/// What users read and run.
const FOLDERS: [&str; 6] = [
    "crates", "deploy", "docs", "fixtures", "packages", "schemas",
];

/// Paths in backticks. What has a placeholder (`fixtures/events/<event_type>/`) or a pattern is no path.
const PATH: &str = r"`((?:\.ci|crates|deploy|docs|fixtures|fuzz|schemas|xtask)/[^\s<>{}*…$`]*)`";

/// The target of a link, without its anchor.
const LINK: &str = r"\]\(([^)#]+)";

/// A test in backticks: a path of a module whose last part is a sentence.
const TEST: &str = r"`[^`\n]*::(\w+_\w+_\w+_\w+)`";

/// Words that public text no longer uses, with what to say for them. Each is looked for as whole words, in any case.
const WORDS: [(&str, &str); 8] = [
    ("hand(?:s|ed|ing)?[ -]out", "dispatch, or attempt"),
    ("turn(?:ed)? away", "reject"),
    ("sameness", "deduplication"),
    ("misfits?", "malformed"),
    ("whom?ever", "the one who, or a name"),
    ("mend(?:s|ed)?", "fix"),
    ("anew", "again"),
    ("(?:no|some)body", "no one, someone, or a name"),
];

/// Looks through everything that a user reads.
pub(super) fn check(root: &Path, problems: &mut Vec<String>) -> Result<()> {
    let mut files = DOCUMENTS.map(str::to_owned).to_vec();
    for folder in FOLDERS {
        files.extend(workspace::files_below(root, folder)?);
    }
    let mut tests = String::new();
    let is_test = |path: &&String| path.contains("/tests/") && path.ends_with(".rs");
    for path in files.iter().filter(is_test) {
        tests.push_str(&workspace::read(root, path)?);
    }
    let rules = Rules::new()?;
    for path in &files {
        let is_source = path.contains("/src/") && path.ends_with(".rs");
        let is_document = path.ends_with(".md");
        // Help is checked as it is shown, wherever its words come from.
        if !is_source && !is_document && !path.contains("/cli/help/") {
            continue;
        }
        let text = workspace::read(root, path)?;
        let mut found = rules.words(&text, is_source);
        if is_document {
            found.extend(shell(&text));
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let (named, of_tests) = rules.names(&text, folder);
            let missing = named.iter().filter(|named| !root.join(named).exists());
            found.extend(missing.map(|named| format!(" names {named}, which does not exist")));
            let missing = of_tests
                .iter()
                .filter(|test| !tests.contains(&format!("fn {test}(")));
            found.extend(
                missing.map(|test| format!(" names the test {test}, which does not exist")),
            );
        }
        problems.extend(found.iter().map(|problem| format!("{path}{problem}")));
    }
    Ok(())
}

struct Rules {
    path: Regex,
    link: Regex,
    test: Regex,
    words: Vec<(Regex, &'static str)>,
}

impl Rules {
    fn new() -> Result<Self> {
        let regex = |text: &str| Regex::new(text).with_context(|| format!("look for {text}"));
        let word = |(word, instead)| Ok((regex(&format!(r"(?i)\b(?:{word})\b"))?, instead));
        Ok(Self {
            path: regex(PATH)?,
            link: regex(LINK)?,
            test: regex(TEST)?,
            words: WORDS.map(word).into_iter().collect::<Result<_>>()?,
        })
    }

    /// Paths from the root, and tests, that a document of this folder names.
    fn names(&self, text: &str, folder: &str) -> (Vec<String>, Vec<String>) {
        let all = |regex: &Regex| -> Vec<String> {
            let found = regex.captures_iter(text);
            found.map(|found| found[1].to_owned()).collect()
        };
        let mut links = all(&self.link);
        // Items, which rustdoc looks up, have `::`.
        links.retain(|link| {
            !["://", "::", "mailto:"]
                .iter()
                .any(|mark| link.contains(mark))
        });
        let links = links.iter().map(|link| format!("{folder}/{link}"));
        let links = links.map(|link| link.trim_start_matches('/').to_owned());
        // In code blocks paths of crates are words of their own.
        let is_path = |word: &&str| {
            ["crates/", "xtask/"]
                .iter()
                .any(|start| word.starts_with(start))
                && !word.contains(['<', '>', '{', '}', '*', '…', '$', '`'])
        };
        let words = text.split_whitespace().filter(is_path).map(str::to_owned);
        let paths = all(&self.path).into_iter().chain(words).chain(links);
        (paths.collect(), all(&self.test))
    }

    /// Of sources plain comments do not count, as any other line may have a part of a text in it.
    fn words(&self, text: &str, is_source: bool) -> Vec<String> {
        let is_comment = |line: &str| {
            let line = line.trim_start();
            line.starts_with("//") && !line.starts_with("///") && !line.starts_with("//!")
        };
        let mut problems = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            if is_source && is_comment(line) {
                continue;
            }
            for (word, instead) in &self.words {
                if let Some(word) = word.find(line) {
                    problems.push(format!(":{number} says `{}`: say {instead}", word.as_str()));
                }
            }
        }
        problems
    }
}

/// Lines of shell blocks that do something else in zsh, which takes no comments when it is typed into.
fn shell(text: &str) -> Vec<String> {
    let mut is_shell = false;
    let mut problems = Vec::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if let Some(language) = line.strip_prefix("```") {
            is_shell = !is_shell && matches!(language, "sh" | "console" | "bash");
        } else if !is_shell {
            // No one pastes it.
        } else if let Some(comment) = line.strip_prefix('#') {
            let is_odd = |quote| comment.matches(quote).count() % 2 == 1;
            if is_odd('\'') || is_odd('"') || comment.contains(['`', '>']) {
                problems.push(format!(
                    ":{number} has a quote in a comment, which zsh reads as one"
                ));
            }
        } else if line.contains(" # ") {
            problems.push(format!(
                ":{number} ends in a comment: put it on a line of its own"
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_names(text: &str, paths: &[&str], tests: &[&str]) {
        let found = Rules::new().unwrap().names(text, "docs");
        assert_eq!(
            (found.0.join(" "), found.1.join(" ")),
            (paths.join(" "), tests.join(" "))
        );
    }

    #[test]
    fn paths_and_tests_are_found() {
        check_names(
            "`crates/a/b.rs`, `other/x`, `docs/`",
            &["crates/a/b.rs", "docs/"],
            &[],
        );
        check_names(
            "`fixtures/<event_type>/<case>.json` `schemas/*.json`",
            &[],
            &[],
        );
        check_names(
            "```text\nxtask/a/  what it holds\n```\n",
            &["xtask/a/"],
            &[],
        );
        let links = "[a](../b.md#c) [d](#e) [f](https://example.com/) [g](h::i) [j](mailto:k@l)";
        check_names(links, &["docs/../b.md"], &[]);
        let tests = "`a::b::bodies_have_one_bound`\n`transfer::to_record`";
        check_names(tests, &[], &["bodies_have_one_bound"]);
    }

    #[track_caller]
    fn check_words(line: &str, is_source: bool, expected: &[&str]) {
        let found = Rules::new().unwrap().words(line, is_source);
        assert_eq!(found, expected);
    }

    #[test]
    fn words_of_public_text_are_found() {
        let nobody = ":1 says `Nobody`: say no one, someone, or a name";
        check_words(
            "    warn!(\"Nobody mends it\");",
            true,
            &[":1 says `mends`: say fix", nobody],
        );
        check_words("    /// Nobody", true, &[nobody]);
        check_words("    // Nobody", true, &[]);
        check_words("// Nobody", false, &[nobody]);
        check_words("fn handed_out() {} // recommended, renewed", true, &[]);
    }

    #[track_caller]
    fn check_shell(line: &str, is_found: bool) {
        let found = shell(&format!("text\n```sh\n{line}\n```\nHeyGen's # text\n"));
        assert_eq!(found.len(), usize::from(is_found), "{line}: {found:?}");
    }

    #[test]
    fn comments_that_zsh_takes_for_more_are_found() {
        check_shell("# A comment on a line of its own.", false);
        check_shell("# {\"data\": \"…\"}", false);
        check_shell("curl http://127.0.0.1/#part", false);
        check_shell("# HeyGen's", true);
        check_shell("# see `serve`", true);
        check_shell("serve # receives", true);
    }
}
