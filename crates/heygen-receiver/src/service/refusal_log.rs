//! [`RefusalLog`]: tells the operator why deliveries are rejected, without letting a stranger fill the log.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use heygen_signature::{Diagnosis, HeaderError, Refusal, Secrets, signature_like_headers};

use crate::rejection::Rejection;
use crate::unverified::Unverified;

/// For each reason one line every few seconds, with how many rejections it stands for: unsigned posts of strangers hide no
/// line about what may be HeyGen's. Finding out why costs several times the check itself, so that too is done only for the
/// refusals that get a line.
#[derive(Debug, Default)]
pub(super) struct RefusalLog {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_line: Option<Instant>,
    by_reason: HashMap<&'static str, Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    last: Option<Instant>,
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
        let untold = self.may_tell(word(refusal), Instant::now())?;
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

    /// Says that a post with a well-formed signature was rejected for another reason than that. Most of these come from
    /// HeyGen, which sends them again for a day and then never. The path they came to may hold a token and is not told.
    pub(super) fn rejected(&self, rejection: Rejection, served_path: Option<&str>) {
        let Some(untold) = self.may_tell(rejection.label(), Instant::now()) else {
            return;
        };
        tracing::warn!(
            reason = rejection.label(),
            status = rejection.status().as_u16(),
            served_path,
            refused_before_without_a_line = untold,
            "signed delivery rejected: {}",
            explanation(rejection),
        );
    }

    /// How many refusals had no line since the last one, when it is time for a line.
    fn may_tell(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut state = self.state();
        let last_line = state.last_line;
        let lines = state.by_reason.entry(reason).or_default();
        // What nobody signed waits for every other line, too.
        let last = if reason == MISSING {
            last_line
        } else {
            lines.last
        };
        if last.is_some_and(|last| now.saturating_duration_since(last) < BETWEEN_LINES) {
            lines.untold += 1;
            return None;
        }
        lines.last = Some(now);
        let untold = std::mem::take(&mut lines.untold);
        state.last_line = Some(now);
        Some(untold)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn explanation(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::NotFound => {
            "it came to a path that is not served; compare the address registered at HeyGen with the path served here, and with \
             what a proxy makes of it"
        }
        Rejection::EncodedBody => {
            "its Content-Encoding names a compression, and HeyGen signs the plain body: see what on the way compresses requests"
        }
        Rejection::HeadersTooLarge => "more than 100 headers: see what on the way adds them",
        Rejection::BodyTooLarge => "its body is longer than the limit",
        Rejection::BodyTooSlow => "its body did not come in time",
        Rejection::BodyBroken => "the connection ended within its body",
        Rejection::NoSecret => "there is no secret to verify it with",
        Rejection::Overloaded => {
            "more is under way than connections, memory or the inbox's queue allow; HeyGen sends it again"
        }
        // Told elsewhere, or no delivery.
        Rejection::MethodNotAllowed | Rejection::Unauthorized | Rejection::NotStored => "",
    }
}

/// The refusal in a word, which costs nothing to find.
pub(super) fn word(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Header(HeaderError::Missing) => MISSING,
        Refusal::Header(HeaderError::Malformed) => "malformed-signature",
        Refusal::Header(HeaderError::Ambiguous) => "ambiguous-signature",
        Refusal::Mismatch(_) => "signature-mismatch",
        // Whatever else a later version may find.
        _ => "bad-signature",
    }
}

const MISSING: &str = "missing-signature";

const BETWEEN_LINES: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gets_a_line_now_and_then() {
        let log = RefusalLog::default();
        let start = Instant::now();
        assert_eq!(log.may_tell("a", start), Some(0));
        for _ in 0..1000 {
            assert_eq!(log.may_tell("a", start + BETWEEN_LINES / 2), None);
        }
        assert_eq!(log.may_tell("b", start), Some(0), "a reason of its own");
        assert_eq!(log.may_tell(MISSING, start), None, "strangers wait");
        assert_eq!(log.may_tell("a", start + BETWEEN_LINES), Some(1000));
    }
}
