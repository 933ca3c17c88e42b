//! [`Scorecard`]: the results of a drill.

use std::time::Duration;

use super::check::Check;
use super::mistake::Mistake;

/// The results of a drill.
#[derive(Clone, Debug)]
pub struct Scorecard {
    pub(super) results: Vec<CheckResult>,
    pub(super) requests: usize,
    pub(super) slowest: Option<Duration>,
}

/// The result of one check.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// The check.
    pub check: Check,
    /// The verdict.
    pub verdict: Verdict,
    /// What was observed, for people. It may quote the endpoint.
    pub seen: String,
    /// The consequence of a failure: [`Check::cost`], unless what was seen costs something else.
    pub cost: &'static str,
    /// How to correct a failure: [`Check::fix`], unless what was seen tells more.
    pub fix: String,
    /// The mistakes in verifying that the endpoint was found to make.
    pub mistakes: Vec<Mistake>,
    /// How long the check took.
    pub duration: Duration,
}

/// The verdict of a check.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// Passed.
    Pass,
    /// Passed, but barely.
    Warn,
    /// Failed. [`CheckResult::cost`] is the consequence, [`CheckResult::fix`] the correction.
    Fail,
    /// Not checked.
    Skip,
    /// Informative.
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
    /// Whether at least one check ran and none failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        let checked = self.results.len() - self.count(Verdict::Skip);
        checked > 0 && self.count(Verdict::Fail) == 0
    }

    /// Every selected check, in the order of [`Check::ALL`].
    #[must_use]
    pub fn results(&self) -> &[CheckResult] {
        &self.results
    }

    /// The verdict of a check. `None` if it was not selected.
    #[must_use]
    pub fn verdict(&self, check: Check) -> Option<Verdict> {
        let mut results = self.results.iter();
        results
            .find(|result| result.check == check)
            .map(|result| result.verdict)
    }

    /// The number of checks with this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        let results = self.results.iter();
        results.filter(|result| result.verdict == verdict).count()
    }

    /// The number of requests, including probes.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// The longest time of a delivery until its answer or failure. `None` if none was sent.
    #[must_use]
    pub fn slowest(&self) -> Option<Duration> {
        self.slowest
    }
}
