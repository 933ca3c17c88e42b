//! [`BackfillError`]: why HeyGen's event log was not read to its end.

use std::error::Error;
use std::fmt;

use heygen_api::ApiError;
use heygen_inbox::InboxError;

use crate::backoff::is_temporary;

/// Why HeyGen's event log was not read to its end. What was read before is stored.
#[derive(Debug)]
pub struct BackfillError {
    reason: Reason,
}

/// What kind of failure it was, as far as a caller would act differently.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum BackfillErrorKind {
    /// HeyGen's API refused, or could not be reached.
    Api,
    /// The inbox could not be read or written.
    Inbox,
    /// HeyGen says that there is more, and not where.
    Endless,
}

#[derive(Debug)]
enum Reason {
    Api(ApiError),
    Inbox(InboxError),
    Endless,
}

impl BackfillError {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> BackfillErrorKind {
        match self.reason {
            Reason::Api(_) => BackfillErrorKind::Api,
            Reason::Inbox(_) => BackfillErrorKind::Inbox,
            Reason::Endless => BackfillErrorKind::Endless,
        }
    }

    /// Whether trying again can succeed without anybody changing anything. False only where HeyGen refuses.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.api_error().is_none_or(is_temporary)
    }

    /// What HeyGen's API said, where it was that.
    #[must_use]
    pub fn api_error(&self) -> Option<&ApiError> {
        match &self.reason {
            Reason::Api(error) => Some(error),
            Reason::Inbox(_) | Reason::Endless => None,
        }
    }

    /// What the inbox said, where it was that.
    #[must_use]
    pub fn inbox_error(&self) -> Option<&InboxError> {
        match &self.reason {
            Reason::Inbox(error) => Some(error),
            Reason::Api(_) | Reason::Endless => None,
        }
    }

    pub(super) fn endless() -> Self {
        let reason = Reason::Endless;
        Self { reason }
    }
}

impl fmt::Display for BackfillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.reason {
            Reason::Api(_) => "cannot read HeyGen's log of events",
            Reason::Inbox(_) => "cannot keep what HeyGen's log has",
            Reason::Endless => {
                "HeyGen's log does not come to its end: it says that there is more, and not where"
            }
        })
    }
}

impl Error for BackfillError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Api(error) => Some(error),
            Reason::Inbox(error) => Some(error),
            Reason::Endless => None,
        }
    }
}

impl From<ApiError> for BackfillError {
    fn from(error: ApiError) -> Self {
        let reason = Reason::Api(error);
        Self { reason }
    }
}

impl From<InboxError> for BackfillError {
    fn from(error: InboxError) -> Self {
        let reason = Reason::Inbox(error);
        Self { reason }
    }
}
