//! docs/applications.md: the receivers in `docs/applications` stand in it verbatim.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use xtask_checks::workspace;

pub(super) const PAGE: &str = "docs/applications.md";

/// The page with the text of each file that it names in place of the code block below the name.
pub(super) fn page(root: &Path) -> Result<String> {
    let page = workspace::read(root, PAGE)?;
    let mut parts = page.split(START);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (path, rest) = part
            .split_once(" -->\n")
            .context("a comment does not end")?;
        let rest = rest
            .strip_prefix("```")
            .with_context(|| format!("{path}: no code block follows"))?;
        let (language, rest) = rest.split_once('\n').unwrap_or_default();
        let end = format!("\n{rest}");
        let (_, rest) = end
            .split_once("\n```\n")
            .with_context(|| format!("{path}: the code block does not end"))?;
        let code = workspace::read(root, path)?;
        write!(text, "{START}{path} -->\n```{language}\n{code}```\n{rest}")?;
    }
    Ok(text)
}

const START: &str = "<!-- include ";
