//! [`RefusalLog`]: tells the operator why deliveries are refused, without letting a stranger fill the log.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use heygen_signature::{Diagnosis, HeaderError, Refusal, Secrets, signature_like_headers};

use crate::Unverified;

/// One line every few seconds, with how many refusals it stands for. Finding out why costs several times the check itself,
/// so that too is done only for the refusals that get a line.
#[derive(Debug, Default)]
pub(super) struct RefusalLog {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_line: Option<Instant>,
    untold: u64,
}

impl RefusalLog {
    /// Says what the matter is, where that was found out.
    pub(super) fn refused(
        &self,
        refusal: &Refusal,
        unverified: &Unverified,
        secrets: &Secrets,
    ) -> Option<Diagnosis> {
        let untold = self.may_tell(Instant::now())?;
        let diagnosis = unverified.diagnose(secrets);
        let headers: Vec<_> = signature_like_headers(unverified.header_names()).collect();
        tracing::warn!(
            reason = diagnosis.label(),
            signature_like_headers = ?headers,
            refused_before_without_a_line = untold,
            "delivery refused ({refusal}): {diagnosis}",
        );
        Some(diagnosis)
    }

    /// How many refusals had no line since the last one, when it is time for a line.
    fn may_tell(&self, now: Instant) -> Option<u64> {
        let mut state = self.state();
        let is_early = state
            .last_line
            .is_some_and(|last| now.saturating_duration_since(last) < BETWEEN_LINES);
        if is_early {
            state.untold += 1;
            return None;
        }
        state.last_line = Some(now);
        Some(std::mem::take(&mut state.untold))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The refusal in a word, which costs nothing to find.
pub(super) fn word(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Header(HeaderError::Missing) => "missing-signature",
        Refusal::Header(HeaderError::Malformed) => "malformed-signature",
        Refusal::Header(HeaderError::Ambiguous) => "ambiguous-signature",
        Refusal::Mismatch(_) => "signature-mismatch",
        // Whatever else a later version may find.
        _ => "bad-signature",
    }
}

const BETWEEN_LINES: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gets_a_line_now_and_then() {
        let log = RefusalLog::default();
        let start = Instant::now();
        assert_eq!(log.may_tell(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(log.may_tell(start + BETWEEN_LINES / 2), None);
        }
        assert_eq!(log.may_tell(start + BETWEEN_LINES), Some(1000));
    }
}
