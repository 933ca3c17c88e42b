//! [`Overlap`]: how long a replaced secret is taken beside the new one.

use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// How long a replaced secret is taken beside the new one. Default: 24 h, for as long HeyGen tries a delivery again, and it
/// is not known which of the two then signs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Overlap(pub(crate) Duration);

impl Overlap {
    /// As long as HeyGen tries a delivery again.
    pub(crate) const DEFAULT: Self = Self(Duration::from_secs(24 * 3600));
}

impl Default for Overlap {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl FromStr for Overlap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| "give a time span (90s, 30m, 24h, 7d)".to_owned())
    }
}

fn read(text: &str) -> Option<Overlap> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Some(Overlap(Duration::try_from(duration).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected_seconds: Option<u64>) {
        let read = text.parse().ok().map(|Overlap(duration)| duration);
        assert_eq!(read, expected_seconds.map(Duration::from_secs), "{text}");
    }

    #[test]
    fn spans_and_nothing_else() {
        check("90s", Some(90));
        check("24h", Some(24 * 3600));
        check("1d 6h", Some(30 * 3600));
        check("0s", Some(0));
        for text in ["", "12", "-2h", "2h ago", "tomorrow", "1 month"] {
            check(text, None);
        }
    }
}
