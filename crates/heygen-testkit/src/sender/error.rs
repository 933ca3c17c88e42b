//! [`SendError`]: the sender is misconfigured.

use std::{error::Error, fmt};

/// The sender is misconfigured, and sent nothing.
///
/// Failed attempts are not this error: they are part of the report.
#[derive(Debug)]
pub struct SendError {
    kind: SendErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What to correct in the configuration of a sender.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendErrorKind {
    /// The address is not a URL.
    Url,
    /// The address is neither `http` nor, with the feature `tls`, `https`.
    Scheme,
    /// The name of the signature header or of an added header is invalid.
    HeaderName,
    /// The value of an added header is invalid.
    HeaderValue,
    /// The HTTP client cannot be set up. For `https`, the system certificates may be missing.
    Client,
}

impl SendError {
    /// What to correct.
    #[must_use]
    pub fn kind(&self) -> SendErrorKind {
        self.kind
    }

    pub(super) fn url(source: impl Error + Send + Sync + 'static) -> Self {
        Self::new(SendErrorKind::Url, Some(Box::new(source)))
    }

    pub(super) fn scheme() -> Self {
        Self::new(SendErrorKind::Scheme, None)
    }

    pub(super) fn header_name(source: http::header::InvalidHeaderName) -> Self {
        Self::new(SendErrorKind::HeaderName, Some(Box::new(source)))
    }

    pub(super) fn header_value(source: http::header::InvalidHeaderValue) -> Self {
        Self::new(SendErrorKind::HeaderValue, Some(Box::new(source)))
    }

    #[cfg(feature = "tls")]
    pub(super) fn client(source: rustls::Error) -> Self {
        Self::new(SendErrorKind::Client, Some(Box::new(source)))
    }

    fn new(kind: SendErrorKind, source: Option<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SendErrorKind::Url => "the target is not a URL",
            SendErrorKind::Scheme if cfg!(feature = "tls") => {
                "the target URL is neither http nor https"
            }
            SendErrorKind::Scheme => "the target URL is not http, and https needs the feature tls",
            SendErrorKind::HeaderName => "a header name is invalid",
            SendErrorKind::HeaderValue => "a header value is invalid",
            SendErrorKind::Client => "the HTTP client cannot be set up",
        })
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}
