//! docs/applications.md: the receivers in `docs/applications` stand in it verbatim.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use xtask_checks::workspace;

pub(super) const PAGE: &str = "docs/applications.md";

/// The page with the text of each file that it names in place of the code block below the name.
pub(super) fn page(root: &Path) -> Result<String> {
    let text = workspace::read(root, PAGE)?;
    included(&text, |path| workspace::read(root, path)).context(PAGE)
}

fn included(page: &str, read: impl Fn(&str) -> Result<String>) -> Result<String> {
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
        let code = read(path)?;
        write!(text, "{START}{path} -->\n```{language}\n{code}```\n{rest}")?;
    }
    Ok(text)
}

const START: &str = "<!-- include ";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(page: &str, expected: Result<&str, &str>) {
        let found = included(page, |path| Ok(format!("new {path}\n")));
        let found = found.map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn files_stand_in_the_page() {
        check("a\n", Ok("a\n"));
        check(
            "a\n<!-- include x.py -->\n```python\nold\n```\nb\n<!-- include y -->\n```text\n```\n",
            Ok(
                "a\n<!-- include x.py -->\n```python\nnew x.py\n```\nb\n<!-- include y -->\n```text\nnew y\n```\n",
            ),
        );
        check("<!-- include x -->\nb\n", Err("x: no code block follows"));
        check(
            "<!-- include x -->\n```text\nb\n",
            Err("x: the code block does not end"),
        );
    }
}
