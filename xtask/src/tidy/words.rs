//! Words that public text no longer uses, with what to say for them: documents, doc comments, help and messages.

use std::path::Path;

use anyhow::{Context, Result};
use regex::Regex;
use xtask_checks::workspace;

/// Each is looked for as whole words, in any case.
const WORDS: [(&str, &str); 18] = [
    ("hand out", "dispatch"),
    ("hands out", "dispatches"),
    ("handed out", "dispatched"),
    ("handing out", "dispatching"),
    ("handing-out", "attempt"),
    ("turn away", "reject"),
    ("turned away", "rejected"),
    ("sameness", "deduplication"),
    ("misfit", "malformed"),
    ("misfits", "malformed data"),
    ("whoever", "the one who, or a name"),
    ("whomever", "the one whom, or a name"),
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("anew", "again"),
    ("nobody", "no one"),
    ("somebody", "someone, or a name"),
];

/// Looks through everything that a user reads.
pub(super) fn check(root: &Path, files: &[String], problems: &mut Vec<String>) -> Result<()> {
    let words = words()?;
    for path in files {
        let is_source = path.contains("/src/") && path.ends_with(".rs");
        // Help is checked as it is shown, wherever its words come from.
        let is_document = path.ends_with(".md") || path.contains("/cli/help/");
        if !is_source && !is_document {
            continue;
        }
        for (line, number) in workspace::read(root, path)?.lines().zip(1..) {
            if is_document || is_read_by_users(line) {
                let found = found(&words, line).into_iter();
                problems.extend(found.map(|advice| format!("{path}:{number} {advice}")));
            }
        }
    }
    Ok(())
}

/// A doc comment, or a line that may have a part of a text in it: all but plain comments.
fn is_read_by_users(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("///") || line.starts_with("//!") || !line.starts_with("//")
}

fn words() -> Result<Regex> {
    let words = WORDS.map(|(word, _)| word).join("|");
    Regex::new(&format!(r"(?i)\b(?:{words})\b")).context("look for words")
}

fn found(words: &Regex, line: &str) -> Vec<String> {
    let found = words.find_iter(line).map(|word| {
        let word = word.as_str().to_lowercase();
        let instead = WORDS.iter().find(|(old, _)| *old == word);
        let (_, instead) = instead.unwrap_or(&("", "something else"));
        format!("says `{word}`: say {instead}")
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_public_text_are_found() {
        let words = words().unwrap();
        let found = |line| found(&words, line).join(", ");
        let expected = "says `nobody`: say no one, says `mends`: say fixes";
        assert_eq!(found("    warn!(\"Nobody mends it\");"), expected);
        assert_eq!(found("fn handed_out() {} // recommended, renewed"), "");
        assert!(is_read_by_users("    /// Nobody"));
        assert!(!is_read_by_users("    // Nobody"));
    }
}
