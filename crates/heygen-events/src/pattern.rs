//! [`Pattern`]: a set of event names, written as a name with `*` in it.

use std::fmt;
use std::str::FromStr;

/// A set of event names: a name in which each `*` stands for any run of characters, also an empty one.
///
/// `avatar_video.*` takes all that became of avatar videos, `*.fail` all failures, `*` everything. Other characters stand
/// for themselves, upper and lower case differ, and a name of which nobody knows yet is as good as any. Matching takes time in
/// proportion to the lengths of name and pattern, whatever is in them.
///
/// # Examples
///
/// ```
/// use heygen_events::Pattern;
///
/// let failures: Pattern = "*.fail".parse()?;
/// assert!(failures.matches("avatar_video.fail"));
/// assert!(!failures.matches("avatar_video.success"));
/// # Ok::<(), heygen_events::PatternError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Pattern {
    text: Box<str>,
}

impl Pattern {
    /// Whether the name is in the set.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        Self::text_matches(&self.text, name)
    }

    /// As [`matches`](Self::matches), for any text as the pattern, also one that is hardly meant as one.
    #[must_use]
    pub fn text_matches(pattern: &str, name: &str) -> bool {
        let Some((start, rest)) = pattern.split_once('*') else {
            return name == pattern;
        };
        let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
        let Some(name) = name.strip_prefix(start) else {
            return false;
        };
        let Some(mut name) = name.strip_suffix(end) else {
            return false;
        };
        // The leftmost place for each part leaves the most for those behind it, so nothing is ever tried twice.
        for part in middle.split('*') {
            let Some((_, behind)) = name.split_once(part) else {
                return false;
            };
            name = behind;
        }
        true
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`PatternErrorKind::Empty`] when there is nothing in it; [`PatternErrorKind::Character`] where it holds white space or
    /// a control character, which no event name does: it was meant to be two patterns, or was cut from a text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(PatternError::new(PatternErrorKind::Empty));
        }
        let is_strange = |character: char| character.is_whitespace() || character.is_control();
        if text.contains(is_strange) {
            return Err(PatternError::new(PatternErrorKind::Character));
        }
        Ok(Self { text: text.into() })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The error for a text that is not a pattern of event names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PatternError {
    kind: PatternErrorKind,
}

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// There is nothing in it.
    Empty,
    /// It holds white space or a control character.
    Character,
}

impl PatternError {
    fn new(kind: PatternErrorKind) -> Self {
        Self { kind }
    }

    /// What is wrong with it.
    #[must_use]
    pub fn kind(&self) -> PatternErrorKind {
        self.kind
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            PatternErrorKind::Empty => "the pattern of event names is empty",
            PatternErrorKind::Character => {
                "the pattern of event names holds white space or a control character"
            }
        })
    }
}

impl std::error::Error for PatternError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, expected: bool) {
        let pattern: Pattern = pattern.parse().unwrap();
        assert_eq!(pattern.matches(name), expected, "{pattern} {name:?}");
    }

    #[test]
    fn a_star_is_any_run_of_characters() {
        check("avatar_video.success", "avatar_video.success", true);
        check("avatar_video.success", "avatar_video.success2", false);
        check("avatar_video.success", "avatar_video.Success", false);
        check("avatar_video.*", "avatar_video.success", true);
        check("avatar_video.*", "avatar_video.", true);
        check("avatar_video.*", "avatar_video_gif.success", false);
        check("*.fail", "avatar_video.fail", true);
        check("*.fail", "avatar_video.failed", false);
        check(
            "video_translate.*.download_failed",
            "video_translate.preflight.download_failed",
            true,
        );
        check(
            "video_translate.*.download_failed",
            "video_translate.download_failed",
            false,
        );
        check("*video*.s*", "avatar_video_gif.success", true);
        check("*gif*video*", "avatar_video_gif.success", false);
        check("**", "batch.finished", true);
        check("*é*", "café.x", true);
    }

    #[test]
    fn parts_do_not_overlap() {
        check("a*a", "a", false);
        check("a*a", "aa", true);
        check("ab*b*bc", "abbc", false);
        check("ab*b*bc", "abbbc", true);
        check("*aa*aa*", "aaa", false);
        check("*aa*aa*", "aaaa", true);
        check("*aba*ba", "xababa", true);
    }

    #[test]
    fn only_stars_match_the_name_of_what_is_no_event() {
        check("*", "", true);
        check("***", "", true);
        check("a*", "", false);
        check("*.*", "", false);
    }

    #[test]
    fn many_stars_take_no_more_time() {
        // A matcher that tries every place for every star would not end within a lifetime.
        let name = "a".repeat(100_000);
        check(&format!("{}b", "*a".repeat(1000)), &name, false);
        check(&format!("{}*b*", "*a".repeat(1000)), &name, false);
        check(&"*a".repeat(1000), &name, true);
    }

    #[track_caller]
    fn check_error(text: &str, kind: PatternErrorKind) {
        assert_eq!(
            text.parse::<Pattern>().unwrap_err().kind(),
            kind,
            "{text:?}"
        );
    }

    #[test]
    fn what_is_no_pattern() {
        check_error("", PatternErrorKind::Empty);
        check_error(" ", PatternErrorKind::Character);
        check_error("a.*, b.*", PatternErrorKind::Character);
        check_error("a.*\n", PatternErrorKind::Character);
        check_error("a\0", PatternErrorKind::Character);
    }
}
