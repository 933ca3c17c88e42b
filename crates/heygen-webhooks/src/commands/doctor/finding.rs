//! [`Finding`]: the result of one check, and what to do about it.

use std::fmt;

use serde::Serialize;

use crate::output::tame;

/// One thing that was looked at. Every run has the same ids in the same order, so that programs can rely on them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) id: &'static str,
    pub(super) level: Level,
    /// What was seen, in one line.
    pub(super) what: String,
    /// The endpoints, names or files that are meant, where there are several.
    pub(super) items: Vec<String>,
    /// What to do about it.
    pub(super) todo: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// Deliveries arrive, but something should be known or fixed.
    Warn,
    /// Deliveries do not arrive, or may not.
    Problem,
    /// Not looked at; `what` says why.
    Skipped,
}

impl Finding {
    pub(super) fn ok(id: &'static str, what: impl Into<String>) -> Self {
        Self::new(id, Level::Ok, what, None)
    }

    pub(super) fn skipped(id: &'static str, what: impl Into<String>) -> Self {
        Self::new(id, Level::Skipped, what, None)
    }

    pub(super) fn warn(id: &'static str, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(id, Level::Warn, what, Some(todo.into()))
    }

    pub(super) fn problem(
        id: &'static str,
        what: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self::new(id, Level::Problem, what, Some(todo.into()))
    }

    pub(super) fn new(
        id: &'static str,
        level: Level,
        what: impl Into<String>,
        todo: Option<String>,
    ) -> Self {
        Self {
            id,
            level,
            what: what.into(),
            items: Vec::new(),
            todo,
        }
    }

    pub(super) fn items(mut self, items: impl IntoIterator<Item = String>) -> Self {
        self.items.extend(items);
        self
    }

    /// For people: the finding in a line, and below it what is meant and what to do. Long lists are cut.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{:<8} {:<22} {}\n", self.level, self.id, tame(&self.what));
        let mut below = |line: &str| {
            text.extend([" ".repeat(INDENT).as_str(), tame(line).as_str(), "\n"]);
        };
        for item in self.items.iter().take(SHOWN_ITEMS) {
            below(&format!("- {item}"));
        }
        if self.items.len() > SHOWN_ITEMS {
            below(&format!(
                "- … and {} more; --json has all",
                self.items.len() - SHOWN_ITEMS
            ));
        }
        if let Some(todo) = &self.todo {
            below(&format!("→ {todo}"));
        }
        text
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Problem => "PROBLEM",
            Self::Skipped => "skipped",
        })
    }
}

/// Every one of these ids was not looked at, for the same reason.
pub(super) fn all_skipped(ids: &[&'static str], why: &str) -> Vec<Finding> {
    ids.iter().map(|id| Finding::skipped(id, why)).collect()
}

const SHOWN_ITEMS: usize = 8;
const INDENT: usize = 8 + 1 + 22 + 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_for_people() {
        let items = (0..10).map(|number| format!("e{number}"));
        let finding = Finding::problem("key", "no \x1b[31mkey", "set it").items(items);
        let text = finding.text();
        assert!(
            text.starts_with("PROBLEM  key                    no \u{fffd}[31mkey\n"),
            "{text}"
        );
        assert!(text.contains("- e7\n"), "{text}");
        assert!(!text.contains("- e8\n"), "{text}");
        assert!(text.contains("- … and 2 more; --json has all\n"), "{text}");
        assert!(text.ends_with("→ set it\n"), "{text}");
    }
}
