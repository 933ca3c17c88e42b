//! [`RejectionLog`]: logs why deliveries are rejected, at a limited rate.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use heygen_signature::{Diagnosis, Secrets, VerifyErrorKind, signature_like_headers};

#[cfg(feature = "server")]
use crate::not_http::NotHttp;
use crate::panics::locked;
use crate::rejection::Rejection;
use crate::unverified::Unverified;

/// Logs one line every few seconds for each reason, with the number of rejections that got none.
///
/// A flood of unsigned requests neither fills the log nor hides a line about a request of HeyGen's.
/// A diagnosis costs several times the check itself, so it is made only for a line.
#[derive(Debug, Default)]
pub(super) struct RejectionLog {
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
    suppressed: u64,
}

impl RejectionLog {
    /// Logs a request that does not verify, and returns its diagnosis if it got a line.
    pub(super) fn unauthorized(
        &self,
        kind: VerifyErrorKind,
        unverified: &Unverified,
        secrets: &Secrets,
    ) -> Option<Diagnosis> {
        let suppressed = self.take_turn(kind.label(), Instant::now())?;
        let diagnosis = unverified.diagnose(secrets);
        let headers: Vec<_> = signature_like_headers(unverified.header_names()).collect();
        tracing::warn!(
            reason = diagnosis.label(),
            signature_like_headers = ?headers,
            suppressed,
            "delivery rejected: {diagnosis}",
        );
        Some(diagnosis)
    }

    /// Logs a POST with a well-formed signature that was rejected for another reason.
    ///
    /// Most of these come from HeyGen, which retries them for a day and then gives up. The path
    /// they were sent to may hold a token and is not logged.
    pub(super) fn rejected(&self, rejection: Rejection, served_path: Option<&str>) {
        let Some(suppressed) = self.take_turn(rejection.label(), Instant::now()) else {
            return;
        };
        tracing::warn!(
            reason = rejection.label(),
            status = rejection.status().as_u16(),
            served_path,
            suppressed,
            "signed delivery rejected: {}",
            explanation(rejection),
        );
    }

    /// Logs what came instead of a request.
    #[cfg(feature = "server")]
    pub(super) fn not_http(&self, found: NotHttp) {
        let (reason, explanation) = match found {
            NotHttp::ProxyProtocol => (
                "proxy-protocol",
                "a connection was closed without a request: it begins with a header of the PROXY protocol, which is \
                 not read here; turn it off in the load balancer or proxy in front",
            ),
            NotHttp::Tls => (
                "tls",
                "a connection was closed without a request: it begins with TLS, and this port is plain http; let the \
                 proxy in front connect with http, or serve a certificate",
            ),
            #[cfg(feature = "tls")]
            NotHttp::NotTls => (
                "not-tls",
                "a connection was closed without a request: it does not begin with TLS, which alone is served on this \
                 port; let the load balancer or proxy in front connect with https, and without the PROXY protocol",
            ),
            #[cfg(feature = "tls")]
            NotHttp::Distrust => (
                "certificate-distrusted",
                "a client did not trust the certificate and sent no request; HeyGen needs one of a public authority, for \
                 the name of the registered address, with the whole chain (fullchain.pem)",
            ),
            NotHttp::LargePostHead => (
                "large-head",
                "a POST was answered 431 unread: it has more than 100 headers, or more than 16 KiB of them; find the \
                 proxy that adds them",
            ),
            NotHttp::PostHead => (
                "unreadable-head",
                "a POST was answered 400 unread: its request line or headers are not valid HTTP; find the proxy that \
                 writes them",
            ),
        };
        if let Some(suppressed) = self.take_turn(reason, Instant::now()) {
            tracing::warn!(reason, suppressed, "{explanation}");
        }
    }

    /// How many rejections had no line since the last one; `None` when it is too early for a line.
    fn take_turn(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut state = locked(&self.state);
        let last_line = state.last_line;
        let lines = state.by_reason.entry(reason).or_default();
        // An unsigned request also waits for the lines of all other reasons.
        let last = if reason == VerifyErrorKind::Missing.label() {
            last_line
        } else {
            lines.last
        };
        if last.is_some_and(|last| now.saturating_duration_since(last) < BETWEEN_LINES) {
            lines.suppressed += 1;
            return None;
        }
        lines.last = Some(now);
        let suppressed = std::mem::take(&mut lines.suppressed);
        state.last_line = Some(now);
        Some(suppressed)
    }
}

fn explanation(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::NotFound => {
            "its path is not served; compare the address registered at HeyGen with the path served here, \
             and with the path that a proxy or router passes on"
        }
        Rejection::EncodedBody => {
            "its Content-Encoding names a compression, but HeyGen signs the plain body; find the proxy that \
             compresses requests"
        }
        Rejection::HeadersTooLarge => "it has more than 100 headers; find the proxy that adds them",
        Rejection::BodyTooLarge => "its body is longer than the limit",
        Rejection::BodyTooSlow => "its body did not arrive in time",
        Rejection::BodyBroken => "the connection ended within its body",
        Rejection::NoSecret => "there is no secret yet to verify it with",
        Rejection::Overloaded => {
            "connections, memory or the inbox's queue are at their limit; HeyGen sends it again"
        }
        Rejection::Loop => {
            "a handler, here or of another receiver on its way, forwards deliveries back to this receiver, so no \
             application gets them; forward to the address of the application"
        }
        // Logged elsewhere, or not a delivery.
        Rejection::MethodNotAllowed | Rejection::Unauthorized | Rejection::NotStored => "",
    }
}

const BETWEEN_LINES: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flood_is_logged_at_a_limited_rate() {
        let log = RejectionLog::default();
        let start = Instant::now();
        assert_eq!(log.take_turn("a", start), Some(0));
        for _ in 0..1000 {
            assert_eq!(log.take_turn("a", start + BETWEEN_LINES / 2), None);
        }
        assert_eq!(log.take_turn("b", start), Some(0), "a reason of its own");
        assert_eq!(
            log.take_turn("missing-signature", start),
            None,
            "unsigned requests wait"
        );
        assert_eq!(log.take_turn("a", start + BETWEEN_LINES), Some(1000));
    }
}
