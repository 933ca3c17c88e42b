//! Comments in shell blocks of documents, which readers paste: zsh, the shell of macOS, takes no comments when it is typed into.

use std::path::Path;

use anyhow::Result;
use xtask_checks::workspace;

/// Looks at every shell block of every document.
pub(super) fn check(root: &Path, files: &[String], problems: &mut Vec<String>) -> Result<()> {
    for path in files.iter().filter(|path| path.ends_with(".md")) {
        for (number, problem) in found(&workspace::read(root, path)?) {
            problems.push(format!("{path}:{number} {problem}"));
        }
    }
    Ok(())
}

/// The numbers of lines that do something else in zsh, and what is wrong with them.
fn found(text: &str) -> Vec<(usize, &'static str)> {
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
                problems.push((number, "has a quote in a comment, which zsh reads as one"));
            }
        } else if line.contains(" # ") {
            problems.push((number, "ends in a comment: put it on a line of its own"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_that_zsh_takes_for_more_are_found() {
        #[track_caller]
        fn check(line: &str, is_found: bool) {
            let text = format!("text\n```sh\n{line}\n```\nHeyGen's # text\n");
            let numbers: Vec<usize> = found(&text).into_iter().map(|(number, _)| number).collect();
            assert_eq!(numbers, if is_found { vec![3] } else { vec![] }, "{line}");
        }
        check("# A comment on a line of its own.", false);
        check("# {\"data\": \"…\"}", false);
        check("curl http://127.0.0.1/#part", false);
        check("# HeyGen's", true);
        check("# see `serve`", true);
        check("serve # receives", true);
    }
}
