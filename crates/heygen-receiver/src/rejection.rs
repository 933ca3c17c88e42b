//! [`Rejection`]: why a request was rejected, as the sender sees it.

use std::error::Error;
use std::fmt;

use http::StatusCode;

/// Why a request was rejected.
///
/// The sender gets the status and one phrase; details for the operator go to the log.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Rejection {
    /// Not the webhook path.
    NotFound,
    /// A method other than POST, OPTIONS, GET and HEAD.
    MethodNotAllowed,
    /// More than 100 headers. The server rejects headers above 16 KiB itself, with the same status.
    HeadersTooLarge,
    /// The body is compressed; nothing is decompressed before it is verified.
    EncodedBody,
    /// The body, or its declared length, exceeds [`max_body_bytes`](crate::Limits::max_body_bytes).
    BodyTooLarge,
    /// The body took longer than [`body_timeout`](crate::Limits::body_timeout).
    BodyTooSlow,
    /// The connection ended within the body.
    BodyBroken,
    /// The signature is missing, malformed, ambiguous, or matches no active secret.
    Unauthorized,
    /// There is no secret yet to verify with.
    NoSecret,
    /// Memory is at its limit, or the inbox's queue is full.
    Overloaded,
    /// The inbox could not store the delivery.
    NotStored,
    /// It is a delivery of this receiver's own inbox, which a handler forwarded to the receiver
    /// itself. A 200 would acknowledge it, and no application would get it.
    Loop,
}

impl Rejection {
    /// All but [`Unauthorized`](Self::Unauthorized), whose reasons are those of `VerifyErrorKind`.
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Self; 11] = [
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::HeadersTooLarge,
        Self::EncodedBody,
        Self::BodyTooLarge,
        Self::BodyTooSlow,
        Self::BodyBroken,
        Self::NoSecret,
        Self::Overloaded,
        Self::NotStored,
        Self::Loop,
    ];

    /// The status of the response.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::EncodedBody => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NoSecret | Self::Overloaded | Self::NotStored => StatusCode::SERVICE_UNAVAILABLE,
            Self::Loop => StatusCode::LOOP_DETECTED,
        }
    }

    /// A short, stable word for metrics and programs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::HeadersTooLarge => "headers-too-large",
            Self::EncodedBody => "encoded-body",
            Self::BodyTooLarge => "body-too-large",
            Self::BodyTooSlow => "body-too-slow",
            Self::BodyBroken => "body-broken",
            Self::Unauthorized => "unauthorized",
            Self::NoSecret => "no-secret",
            Self::Overloaded => "overloaded",
            Self::NotStored => "not-stored",
            Self::Loop => "loop",
        }
    }

    /// Whether the body is read anyway if it may be HeyGen's, so that it can be verified and stored
    /// after the cause is fixed. Not without a secret: HeyGen sends those again.
    #[cfg(feature = "inbox")]
    pub(crate) fn reads_signed_body(self) -> bool {
        matches!(self, Self::NotFound | Self::EncodedBody)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::MethodNotAllowed => "method not allowed",
            Self::HeadersTooLarge => "too many headers",
            Self::EncodedBody => "encoded bodies are not accepted",
            Self::BodyTooLarge => "body too large",
            Self::BodyTooSlow => "body too slow",
            Self::BodyBroken => "body ended early",
            Self::Unauthorized => "not authorized",
            Self::NoSecret => "not ready yet",
            Self::Overloaded => "too busy",
            Self::NotStored => "could not be stored",
            Self::Loop => "forwarded to the receiver it comes from",
        })
    }
}

impl Error for Rejection {}
