//! [`RefusalLog`]: tells the operator why deliveries are refused, without letting a stranger fill the log.
//! [`RefusalNote`]: the same for programs.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use heygen_signature::{Diagnosis, HeaderError, Refusal, Secrets, signature_like_headers};

use crate::Unverified;

/// Why a delivery was refused: for the operator, never for the peer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RefusalNote {
    /// When.
    pub at: SystemTime,
    /// The reason in a word that stays the same: the `label` of the diagnosis.
    pub reason: &'static str,
    /// The reason in a sentence that says what to do.
    pub explanation: String,
    /// Which headers of the request look like signatures; the first eight.
    pub signature_like_headers: Vec<String>,
    /// How many were refused before it without a note, since the note before.
    pub untold: u64,
}

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
    notes: VecDeque<RefusalNote>,
}

impl RefusalLog {
    /// The newest notes, oldest first.
    pub(super) fn notes(&self) -> Vec<RefusalNote> {
        self.state().notes.iter().cloned().collect()
    }

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
        self.keep(RefusalNote {
            at: SystemTime::now(),
            reason: diagnosis.label(),
            explanation: diagnosis.to_string(),
            signature_like_headers: headers
                .iter()
                .take(NOTED_HEADERS)
                .map(ToString::to_string)
                .collect(),
            untold,
        });
        Some(diagnosis)
    }

    fn keep(&self, note: RefusalNote) {
        let notes = &mut self.state().notes;
        notes.push_back(note);
        if notes.len() > NOTES {
            notes.pop_front();
        }
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
const NOTES: usize = 20;
const NOTED_HEADERS: usize = 8;

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
