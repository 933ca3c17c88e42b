//! The results of a probe and a delivery.

use std::{error::Error, fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::cause::Cause;

/// The result of a probe.
#[derive(Debug)]
pub struct ProbeReport {
    pub(super) attempt: Attempt,
}

impl ProbeReport {
    /// Whether HeyGen would continue the registration: 2xx within the timeout.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.attempt.accepted()
    }

    /// The request.
    #[must_use]
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }
}

/// The result of a delivery.
#[derive(Debug)]
pub struct DeliveryReport {
    pub(super) attempts: Vec<Attempt>,
    pub(super) duplicates: Vec<Attempt>,
}

impl DeliveryReport {
    /// Whether an attempt got 2xx within the timeout.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.attempts.last().is_some_and(Attempt::accepted)
    }

    /// Every attempt in order. Only the last one can be accepted.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The answer to the last attempt, if there is one.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        self.attempts
            .last()
            .and_then(|attempt| attempt.result.as_ref().ok())
    }

    /// The last attempt.
    #[cfg(feature = "sandbox")]
    pub(crate) fn into_attempt(mut self) -> Option<Attempt> {
        self.attempts.pop()
    }

    /// The duplicates. None are sent if the delivery was not accepted.
    #[must_use]
    pub fn duplicates(&self) -> &[Attempt] {
        &self.duplicates
    }
}

/// One request.
#[non_exhaustive]
#[derive(Debug)]
pub struct Attempt {
    /// The time until the end of the answer, or until the failure.
    pub duration: Duration,
    /// The answer, whatever its status.
    pub result: Result<Answer, AttemptError>,
}

impl Attempt {
    /// Whether HeyGen would count it as delivered: 2xx within the timeout.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.result
            .as_ref()
            .is_ok_and(|answer| answer.status.is_success())
    }

    /// The status of the answer, if there is one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.result.as_ref().ok().map(|answer| answer.status)
    }
}

/// The answer of a receiver.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, up to [`MAX_BODY_BYTES`](Self::MAX_BODY_BYTES).
    pub body: Bytes,
}

impl Answer {
    /// The largest body that is read: 64 KiB. The rest of a longer one is not read.
    pub const MAX_BODY_BYTES: usize = 64 * 1024;

    /// The body as text. Invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why an attempt got no answer. Its source says in words what common causes mean.
#[derive(Debug)]
pub struct AttemptError {
    kind: AttemptErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// How an attempt failed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AttemptErrorKind {
    /// The answer was not complete within the timeout.
    Timeout,
    /// No connection could be made.
    Connect,
    /// The connection broke, or the answer was not HTTP.
    Broken,
    /// The sender [closed the connection](super::Sender::hanging_up) before it read the answer.
    Dropped,
}

impl AttemptError {
    /// Without a cause.
    pub(super) fn of(kind: AttemptErrorKind) -> Self {
        Self { kind, source: None }
    }

    pub(super) fn request(source: hyper_util::client::legacy::Error) -> Self {
        let kind = if source.is_connect() {
            AttemptErrorKind::Connect
        } else {
            AttemptErrorKind::Broken
        };
        Self {
            kind,
            source: Some(Cause::named(source)),
        }
    }

    /// After the head of an answer. Its cause has no other name: those are for no answer at all.
    pub(super) fn broken(source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            kind: AttemptErrorKind::Broken,
            source: Some(Box::new(source)),
        }
    }

    /// Whether nothing that speaks HTTP is there: a further request would fail alike.
    #[cfg(feature = "drill")]
    pub(crate) fn is_unreachable(&self) -> bool {
        self.kind == AttemptErrorKind::Connect || self.cause() == Some(&Cause::NotHttp)
    }

    /// Whether the connection was closed without an answer.
    #[cfg(feature = "drill")]
    pub(crate) fn is_closed(&self) -> bool {
        self.cause() == Some(&Cause::Closed)
    }

    #[cfg(feature = "drill")]
    pub(crate) fn is_about_certificate(&self) -> bool {
        self.cause()
            .is_some_and(|cause| cause.is_about_certificate())
    }

    #[cfg(feature = "drill")]
    fn cause(&self) -> Option<&Cause> {
        self.source.as_ref()?.downcast_ref()
    }

    /// How it failed.
    #[must_use]
    pub fn kind(&self) -> AttemptErrorKind {
        self.kind
    }

    /// Whether the timeout expired.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == AttemptErrorKind::Timeout
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind() {
            AttemptErrorKind::Timeout => "the answer did not come in time",
            AttemptErrorKind::Connect => "the receiver cannot be reached",
            AttemptErrorKind::Broken => "the connection broke before the answer was complete",
            AttemptErrorKind::Dropped => "the connection was dropped before the answer was read",
        })
    }
}

impl Error for AttemptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}
