//! [`SendError`]: nothing was sent, because of how the sender was set up.

use std::{error::Error, fmt};

/// Why a sender could not send at all.
///
/// What goes wrong on the way is not this error: it is part of the report.
#[derive(Debug)]
pub struct SendError {
    kind: SendErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What has to be mended before a sender can send.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendErrorKind {
    /// The address is no URL.
    Url,
    /// The address is neither `http` nor, with the feature `tls`, `https`.
    Scheme,
    /// The name of the signature header, or of an added one, is not one that HTTP allows.
    HeaderName,
    /// The value of an added header is not one that HTTP allows.
    HeaderValue,
    /// The HTTP client cannot be set up; with `tls`, the certificates of the system may be missing.
    Client,
}

impl SendError {
    /// What has to be mended.
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
    pub(super) fn client(source: std::io::Error) -> Self {
        Self::new(SendErrorKind::Client, Some(Box::new(source)))
    }

    fn new(kind: SendErrorKind, source: Option<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SendErrorKind::Url => "the address to send to is not a URL",
            SendErrorKind::Scheme if cfg!(feature = "tls") => {
                "the address to send to is neither http nor https"
            }
            SendErrorKind::Scheme => {
                "the address to send to is not http, and https needs the feature tls"
            }
            SendErrorKind::HeaderName => "the name of a header is not a header name",
            SendErrorKind::HeaderValue => "the value of a header is not a header value",
            SendErrorKind::Client => "the HTTP client cannot be set up",
        })
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}
