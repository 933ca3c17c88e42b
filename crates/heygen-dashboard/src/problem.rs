//! [`Problem`]: why a page cannot be shown. The middleware makes a page of it.

use axum::response::{IntoResponse, Response};
use heygen_inbox::InboxError;
use http::StatusCode;

/// Why a page cannot be shown, in words for a person.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }
}

impl From<InboxError> for Problem {
    fn from(error: InboxError) -> Self {
        tracing::warn!(%error, "the dashboard could not read or change the inbox");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("The inbox did not answer: {error}."),
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
