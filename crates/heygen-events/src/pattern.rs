//! [`Pattern`]: a set of event names, written as a name with `*` in it.

use std::fmt;
use std::str::FromStr;

/// A set of event names: a name in which each `*` matches any characters, or none.
///
/// `avatar_video.*` matches all events of avatar videos, `*.fail` all failures, `*` everything.
/// Other characters match themselves, case matters, and unknown names match too. Matching takes
/// linear time.
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

    /// As [`matches`](Self::matches), with any text as the pattern, also one that does not parse.
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
        // The leftmost match of each part leaves the most for the next, so there is no
        // backtracking.
        for part in middle.split('*') {
            let Some((_, behind)) = name.split_once(part) else {
                return false;
            };
            name = behind;
        }
        true
    }

    /// The text of the pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// [`PatternErrorKind::Empty`] for an empty text; [`PatternErrorKind::Character`] if it
    /// contains white space or a control character, which no event name does.
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
    /// The pattern is empty.
    Empty,
    /// It contains white space or a control character.
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
