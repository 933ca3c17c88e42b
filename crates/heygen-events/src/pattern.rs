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
