//! [`ConnectError`]: why a receiver could not be connected to HeyGen.

use std::error::Error;
use std::fmt;

use heygen_api::{ApiError, EndpointId, ErrorKind};
use heygen_inbox::InboxError;

/// Why something could not be done. No text of it holds a secret.
#[derive(Debug)]
pub struct ConnectError {
    kind: ConnectErrorKind,
    message: String,
    endpoint_id: Option<EndpointId>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What kind of failure it was, as far as a caller would act differently.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// HeyGen's API refused or could not be reached: [`ConnectError::api_error`] tells more.
    Api,
    /// The inbox could not be read or written.
    Inbox,
    /// The secrets could not be read or written. A damaged file is not written over.
    SecretStore,
    /// HeyGen created the endpoint and did not give its secret: replace that.
    NoSecret,
    /// The endpoint exists, and HeyGen does not show its secret again.
    UnknownSecret,
    /// HeyGen's event log says that there is more, and not where.
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

    /// What HeyGen's API said, where it was that.
    #[must_use]
    pub fn api_error(&self) -> Option<&ApiError> {
        self.source.as_deref()?.downcast_ref()
    }

    /// Whether HeyGen's API was asked and may answer otherwise later, without anybody changing anything.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        let Some(error) = self.api_error() else {
            return false;
        };
        match error.kind() {
            ErrorKind::Transport
            | ErrorKind::Timeout
            | ErrorKind::Server
            | ErrorKind::RateLimited
            | ErrorKind::QuotaExceeded => true,
            // 409 while HeyGen is still at work on what was asked for before.
            ErrorKind::Conflict => error.has_code("request_in_progress"),
            // What began as it should and breaks off; what answers otherwise than HeyGen does is not HeyGen.
            ErrorKind::UnexpectedBody => error
                .source()
                .and_then(|source| source.downcast_ref::<serde_json::Error>())
                .is_some_and(serde_json::Error::is_eof),
            _ => false,
        }
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
