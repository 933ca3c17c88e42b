//! [`Scorecard`]: what came of a drill.

use std::time::Duration;

use super::check::Check;

/// What came of a drill.
#[derive(Clone, Debug)]
pub struct Scorecard {
    pub(super) results: Vec<CheckResult>,
    pub(super) requests: usize,
    pub(super) slowest: Option<Duration>,
}

/// What came of one check.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// What was looked at.
    pub check: Check,
    /// What came of it.
    pub verdict: Verdict,
    /// What was seen, for a person to read. It may quote the endpoint.
    pub seen: String,
    /// How long the check took.
    pub duration: Duration,
}

/// What came of a check.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It holds, and only just.
    Warn,
    /// It does not hold; [`Check::cost`] says what that costs.
    Fail,
    /// It could not be told.
    Skip,
    /// It is neither good nor bad, and worth knowing.
    Note,
}

impl Verdict {
    /// The word in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Note => "note",
        }
    }
}

impl Scorecard {
    /// Whether no check failed and at least one could be told.
    #[must_use]
    pub fn passed(&self) -> bool {
        let told = self.results.len() - self.count(Verdict::Skip);
        told > 0 && self.count(Verdict::Fail) == 0
    }

    /// Every check that was asked for, in the order of [`Check::ALL`].
    #[must_use]
    pub fn results(&self) -> &[CheckResult] {
        &self.results
    }

    /// What came of one check; `None` when it was not asked for.
    #[must_use]
    pub fn verdict(&self, check: Check) -> Option<Verdict> {
        let mut results = self.results.iter();
        results
            .find(|result| result.check == check)
            .map(|result| result.verdict)
    }

    /// How many checks came to this.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        let results = self.results.iter();
        results.filter(|result| result.verdict == verdict).count()
    }

    /// How many requests were sent, probes included.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// The longest time that a delivery took to be answered, or to be given up; `None` when none was sent.
    #[must_use]
    pub fn slowest(&self) -> Option<Duration> {
        self.slowest
    }
}
