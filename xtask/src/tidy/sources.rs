//! The source files: how modules are laid out, and which file grows long.

use std::path::Path;

use anyhow::Result;

use super::Findings;
use crate::workspace::{self, Member};

/// Past this many lines a file probably holds two ideas.
const LONG: usize = 500;

/// Looks at every Rust file of every member.
pub(super) fn check(root: &Path, members: &[Member], findings: &mut Findings) -> Result<()> {
    for member in members {
        for path in workspace::files_below(root, &member.folder)? {
            if path.ends_with(".rs") {
                look_at(&path, &workspace::read(root, &path)?, findings);
            }
        }
    }
    Ok(())
}

fn look_at(path: &str, text: &str, findings: &mut Findings) {
    if path.contains("/src/") && path.ends_with("/mod.rs") {
        findings.problem(format!(
            "{path}: the module belongs into a file beside its folder"
        ));
    }
    let is_generated = text.starts_with("// @generated");
    let lines = text.lines().count();
    if lines > LONG && !is_generated {
        findings.warning(format!(
            "{path} has {lines} lines: are there two ideas in it?"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, problems: usize, warnings: usize) {
        let mut findings = Findings::default();
        look_at(path, text, &mut findings);
        assert_eq!(findings.problems.len(), problems, "{findings:?}");
        assert_eq!(findings.warnings.len(), warnings, "{findings:?}");
    }

    #[test]
    fn files_are_short_and_lie_beside_their_folder() {
        check("crates/a/src/b.rs", &"\n".repeat(LONG), 0, 0);
        check("crates/a/src/b.rs", &"\n".repeat(LONG + 1), 0, 1);
        check(
            "crates/a/src/b.rs",
            &format!("// @generated\n{}", "\n".repeat(LONG)),
            0,
            0,
        );
        check("crates/a/src/b/mod.rs", "", 1, 0);
        check("crates/a/tests/it/b/mod.rs", "", 0, 0);
    }
}
