//! [`Finding`]: the result of one check, and what to do about it.

use std::fmt;

use serde::Serialize;

use crate::commands::prose;
use crate::output::tame;

/// One thing that was looked at. Every run has the same ids in the same order, so that programs can rely on them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) id: &'static str,
    pub(super) level: Level,
    /// What was seen, in one line.
    pub(super) message: String,
    /// The endpoints, names or files that are meant, where there are several.
    pub(super) items: Vec<String>,
    pub(super) fix: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// Deliveries arrive, but something should be known or fixed.
    Warn,
    /// Deliveries do not arrive, or may not.
    Problem,
    /// Not looked at; `message` says why.
    Skipped,
}

impl Finding {
    pub(super) fn ok(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Level::Ok, message, None)
    }

    pub(super) fn skipped(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Level::Skipped, message, None)
    }

    pub(super) fn warn(
        id: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(id, Level::Warn, message, Some(fix.into()))
    }

    pub(super) fn problem(
        id: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(id, Level::Problem, message, Some(fix.into()))
    }

    /// A problem, or only good to know.
    pub(super) fn bad(
        id: &'static str,
        is_problem: bool,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        match is_problem {
            true => Self::problem(id, message, fix),
            false => Self::warn(id, message, fix),
        }
    }

    pub(super) fn new(
        id: &'static str,
        level: Level,
        message: impl Into<String>,
        fix: Option<String>,
    ) -> Self {
        Self {
            id,
            level,
            message: message.into(),
            items: Vec::new(),
            fix,
        }
    }

    pub(super) fn items(mut self, items: impl IntoIterator<Item = String>) -> Self {
        self.items.extend(items);
        self
    }

    /// For people: the finding in a line, and below it what is meant and what to do. Long lists are cut.
    pub(super) fn text(&self, width: Option<usize>) -> String {
        let broken = |line: &str| prose::broken(&tame(line), INDENT, width);
        let mut text = format!(
            "{:<8} {:<22} {}\n",
            self.level,
            self.id,
            broken(&self.message)
        );
        let mut below = |line: &str| {
            text.extend([" ".repeat(INDENT).as_str(), &broken(line), "\n"]);
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
        if let Some(fix) = &self.fix {
            below(&format!("→ {fix}"));
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

/// For people: what was not looked at, together where it has one reason.
pub(super) fn skipped_text(findings: &[Finding], width: Option<usize>) -> String {
    const INDENT: usize = 8 + 1;
    let skipped: Vec<_> = findings
        .iter()
        .filter(|it| it.level == Level::Skipped)
        .collect();
    let mut text = String::new();
    for (reason, ids) in prose::grouped(skipped.iter().map(|it| (it.id, it.message.as_str()))) {
        let line = format!("{}: {}", ids.join(", "), tame(reason));
        let line = prose::broken(&line, INDENT, width);
        let level = format!("{:<8} ", Level::Skipped);
        text.extend([&level, &*line, "\n"]);
        let first = skipped.iter().find(|it| it.message == reason);
        if let Some(fix) = first.and_then(|first| first.fix.as_ref()) {
            let line = prose::broken(&format!("→ {}", tame(fix)), INDENT, width);
            text.extend([" ".repeat(INDENT).as_str(), &line, "\n"]);
        }
    }
    text
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
        let text = finding.text(None);
        assert!(
            text.starts_with("PROBLEM  key                    no \u{fffd}[31mkey\n"),
            "{text}"
        );
        assert!(text.contains("- e7\n"), "{text}");
        assert!(!text.contains("- e8\n"), "{text}");
        assert!(text.contains("- … and 2 more; --json has all\n"), "{text}");
        assert!(text.ends_with("→ set it\n"), "{text}");
    }

    #[test]
    fn what_was_skipped_for_one_reason_is_told_once() {
        let mut findings = all_skipped(&["a", "b"], "no key");
        findings[0].fix = Some("set it".to_owned());
        findings.push(Finding::ok("c", "well"));
        findings.extend(all_skipped(&["d"], "no address"));
        findings.extend(all_skipped(&["e"], "no key"));
        assert_eq!(
            skipped_text(&findings, None),
            "skipped  a, b, e: no key\n         → set it\nskipped  d: no address\n"
        );
    }
}
