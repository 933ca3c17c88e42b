//! [`ConnectError`]: why a receiver could not be connected to HeyGen.

use std::error::Error;
use std::fmt;

use heygen_api::{ApiError, ApiErrorKind, EndpointId};
use heygen_inbox::InboxError;

/// Why an operation failed. No text of it contains a secret.
#[derive(Debug)]
pub struct ConnectError {
    kind: ConnectErrorKind,
    message: String,
    endpoint_id: Option<EndpointId>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// HeyGen's API rejected a request or could not be reached: see [`ConnectError::api_error`].
    Api,
    /// The inbox could not be read or written.
    Inbox,
    /// The secrets could not be read or written. A damaged file is not overwritten.
    SecretStore,
    /// HeyGen created the endpoint without returning its secret. Rotate the secret.
    NoSecret,
    /// The endpoint exists, and HeyGen does not show its secret again.
    UnknownSecret,
    /// HeyGen's event log announces more pages without a new token.
    EndlessLog,
}

impl ConnectError {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ConnectErrorKind {
        self.kind
    }

    /// The endpoint whose secret is missing.
    #[must_use]
    pub fn endpoint_id(&self) -> Option<&EndpointId> {
        self.endpoint_id.as_ref()
    }

    /// The error of HeyGen's API, if it was one.
    #[must_use]
    pub fn api_error(&self) -> Option<&ApiError> {
        self.source.as_deref()?.downcast_ref()
    }

    /// Whether a later retry may succeed without any change.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.api_error().is_some_and(is_temporary)
    }

    pub(crate) fn new(kind: ConnectErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            endpoint_id: None,
            source: None,
        }
    }

    pub(crate) fn with_endpoint(mut self, endpoint_id: EndpointId) -> Self {
        self.endpoint_id = Some(endpoint_id);
        self
    }

    pub(crate) fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

/// Whether a later retry may succeed without any change.
pub(crate) fn is_temporary(error: &ApiError) -> bool {
    match error.kind() {
        ApiErrorKind::Transport
        | ApiErrorKind::Timeout
        | ApiErrorKind::Server
        | ApiErrorKind::RateLimited
        | ApiErrorKind::QuotaExceeded => true,
        // 409 while an earlier request is in progress.
        ApiErrorKind::Conflict => error.has_code("request_in_progress"),
        // A truncated answer is temporary. Any other unexpected body is not from HeyGen.
        ApiErrorKind::UnexpectedBody => error
            .source()
            .and_then(|source| source.downcast_ref::<serde_json::Error>())
            .is_some_and(serde_json::Error::is_eof),
        _ => false,
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|error| error as _)
    }
}

impl From<ApiError> for ConnectError {
    fn from(error: ApiError) -> Self {
        Self::new(ConnectErrorKind::Api, "HeyGen's API").with_source(error)
    }
}

impl From<InboxError> for ConnectError {
    fn from(error: InboxError) -> Self {
        Self::new(ConnectErrorKind::Inbox, "cannot read or write the inbox").with_source(error)
    }
}
