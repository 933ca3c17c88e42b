//! [`Rejection`]: why a request was rejected, as the sender sees it.

use std::error::Error;
use std::fmt;

use http::StatusCode;

/// One table of all rejections: the documentation, the variant, its status, its word for metrics, and
/// the phrase that the sender gets.
macro_rules! rejections {
    ($($(#[$doc:meta])+ $variant:ident = $status:ident, $label:literal, $phrase:literal;)+) => {
        /// Why a request was rejected.
        ///
        /// The sender gets the status and one phrase; details for the operator go to the log.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Rejection {
            $($(#[$doc])+ $variant,)+
        }

        impl Rejection {
            #[cfg(feature = "metrics")]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            /// The status of the response.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)+
                }
            }

            /// A short, stable word for metrics and programs.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)+
                }
            }
        }

        impl fmt::Display for Rejection {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $phrase,)+
                })
            }
        }
    };
}

rejections! {
    /// Not the webhook path.
    NotFound = NOT_FOUND, "not-found", "not found";
    /// A method other than POST, OPTIONS, GET and HEAD.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "method not allowed";
    /// More than 100 headers. The server rejects headers above 16 KiB itself, with the same status.
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", "too many headers";
    /// The body is compressed; nothing is decompressed before it is verified.
    EncodedBody = UNSUPPORTED_MEDIA_TYPE, "encoded-body", "encoded bodies are not accepted";
    /// The body, or its declared length, exceeds [`max_body_bytes`](crate::Limits::max_body_bytes).
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body-too-large", "body too large";
    /// The body took longer than [`body_timeout`](crate::Limits::body_timeout).
    BodyTooSlow = REQUEST_TIMEOUT, "body-too-slow", "body too slow";
    /// The connection ended within the body.
    BodyBroken = BAD_REQUEST, "body-broken", "body ended early";
    /// The signature is missing, malformed, ambiguous, or matches no active secret.
    Unauthorized = UNAUTHORIZED, "unauthorized", "not authorized";
    /// There is no secret yet to verify with.
    NoSecret = SERVICE_UNAVAILABLE, "no-secret", "not ready yet";
    /// Memory is at its limit, or the inbox's queue is full.
    Overloaded = SERVICE_UNAVAILABLE, "overloaded", "too busy";
    /// The inbox could not store the delivery.
    NotStored = SERVICE_UNAVAILABLE, "not-stored", "could not be stored";
    /// It is a delivery of this receiver's own inbox, which a handler forwarded back, directly or
    /// over other receivers. A 200 would acknowledge it, and no application would get it.
    Loop = LOOP_DETECTED, "loop", "forwarded to the receiver it comes from";
}

#[cfg(feature = "inbox")]
impl Rejection {
    /// Whether the body is read anyway if it may be HeyGen's, so that it can be verified and stored
    /// after the cause is fixed. Not without a secret: HeyGen sends those again.
    pub(crate) fn reads_signed_body(self) -> bool {
        matches!(self, Self::NotFound | Self::EncodedBody)
    }
}

impl Error for Rejection {}
