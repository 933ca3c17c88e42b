//! Words that public text no longer uses, with what to say for them: documents, doc comments, help and messages.

use std::path::Path;

use anyhow::Result;
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
pub(super) fn check(root: &Path, problems: &mut Vec<String>) -> Result<()> {
    let mut paths = super::paths::DOCUMENTS.map(str::to_owned).to_vec();
    for folder in [
        "crates", "deploy", "docs", "fixtures", "packages", "schemas",
    ] {
        paths.extend(workspace::files_below(root, folder)?);
    }
    for path in paths {
        let is_source =
            path.starts_with("crates/") && path.contains("/src/") && path.ends_with(".rs");
        // Help is checked as it is shown, wherever its words come from.
        let is_document = path.ends_with(".md") || path.contains("/cli/help/");
        if !is_source && !is_document {
            continue;
        }
        let text = workspace::read(root, &path)?;
        for (number, line) in text.lines().enumerate() {
            if is_document || is_read_by_users(line) {
                for (word, instead) in found(line) {
                    let number = number + 1;
                    problems.push(format!("{path}:{number} says `{word}`: say {instead}"));
                }
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

fn found(line: &str) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
    let line = line.to_lowercase();
    let is_word = move |word: &str| {
        line.match_indices(word).any(|(start, _)| {
            let before = line[..start].chars().next_back();
            let after = line[start + word.len()..].chars().next();
            [before, after]
                .iter()
                .flatten()
                .all(|c| !c.is_alphanumeric() && *c != '_')
        })
    };
    WORDS.into_iter().filter(move |(word, _)| is_word(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &[&str]) {
        let words: Vec<&str> = match is_read_by_users(line) {
            true => found(line).map(|(word, _)| word).collect(),
            false => Vec::new(),
        };
        assert_eq!(words, expected, "{line}");
    }

    #[test]
    fn words_of_public_text_are_found() {
        check("/// Handed out again.", &["handed out"]);
        check(
            "    tracing::warn!(\"nobody mends it\");",
            &["mends", "nobody"],
        );
        check(
            "         until somebody acknowledges it\\n\\",
            &["somebody"],
        );
        check("// Nobody reads this.", &[]);
        check("fn handed_out() {}", &[]);
        check("/// Recommended, amended, renewed.", &[]);
    }
}
