//! [`ApiError`]: why an operation failed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use heygen_events::text::visible;

use crate::credentials::Credentials;
use crate::fields::Mismatch;
use crate::idempotency::IdempotencyKey;

pub(crate) mod response;

/// Why an operation failed.
///
/// Act on [`kind`](Self::kind); the other methods return what HeyGen said. `Display` and `Debug`
/// show no API key, secret, body or URL. If the server repeats the key in its message, it is hidden
/// there.
///
/// # Examples
///
/// [`new`](Self::new) and [`from_response`](Self::from_response) make errors for tests of your own
/// error handling, without a server:
///
/// ```
/// use heygen_api::{ApiError, ApiErrorKind};
///
/// let body = br#"{"error": {"code": "webhook_not_found", "message": "No such webhook."}}"#;
/// let error = ApiError::from_response(404, body).ok_or("not an error")?;
/// assert_eq!(error.kind(), ApiErrorKind::NotFound);
/// assert!(error.has_code("webhook_not_found"));
///
/// assert!(ApiError::new(ApiErrorKind::Timeout).outcome_unknown());
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug)]
pub struct ApiError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ApiErrorKind,
    /// Our own words, more precise than the kind.
    context: Option<String>,
    status: Option<u16>,
    details: ErrorDetails,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    attempts: u32,
    idempotency_key: Option<IdempotencyKey>,
    reach: Reach,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What the server says about an error, in any of its envelopes.
#[derive(Debug, Default)]
pub(crate) struct ErrorDetails {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) param: Option<String>,
    pub(crate) doc_url: Option<String>,
}

/// How far a failed request got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reach {
    /// It was not sent, or HeyGen answered with an error: nothing was done.
    NotDone,
    /// No connection was made, so nothing was sent.
    NotSent,
    /// It was sent, and its outcome is unknown.
    Unknown,
    /// It was sent, and the answer is truncated.
    CutOff,
}

/// What went wrong, as far as a caller would act differently.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ApiErrorKind {
    /// The client or the request is configured wrongly; nothing was sent. The text says what to
    /// fix.
    Config,
    /// HeyGen rejects the API key or token (401).
    Authentication,
    /// The plan or the credit does not allow the operation (402).
    PaymentRequired,
    /// The API key or token is valid, but not for this operation (403).
    Forbidden,
    /// The resource does not exist (404, 410).
    NotFound,
    /// A parameter is invalid (400, 422). [`ApiError::param`] may name it.
    InvalidParameter,
    /// The operation conflicts with existing state or another request (409).
    Conflict,
    /// Too many requests (429). [`ApiError::retry_after`] says how long to wait.
    RateLimited,
    /// A quota is used up (429 with `quota_exceeded`). A short wait does not help.
    QuotaExceeded,
    /// Any other rejection: a redirect, another 4xx, another code of v1.
    Refused,
    /// HeyGen failed (5xx).
    Server,
    /// No connection, or one that broke before the answer was complete.
    Transport,
    /// No connection or no complete answer within the timeout.
    Timeout,
    /// The operation succeeded, but its answer cannot be read or is incomplete.
    UnexpectedBody,
}

impl ApiError {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ApiErrorKind {
        self.inner.kind
    }

    /// The HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.inner.status
    }

    /// HeyGen's error code as received: a word in v3, a number in v1.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.inner.details.code.as_deref()
    }

    /// Whether HeyGen's error code is this one. Case is ignored, because HeyGen uses both.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.code()
            .is_some_and(|given| given.eq_ignore_ascii_case(code))
    }

    /// HeyGen's message for people. It is cut after 1,000 characters.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.inner.details.message.as_deref()
    }

    /// The invalid parameter, if HeyGen names it.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        self.inner.details.param.as_deref()
    }

    /// The documentation page that HeyGen refers to.
    #[must_use]
    pub fn doc_url(&self) -> Option<&str> {
        self.inner.details.doc_url.as_deref()
    }

    /// HeyGen's id of the request (`X-Request-Id`). Quote it to HeyGen's support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.inner.request_id.as_deref()
    }

    /// How long HeyGen asks to wait. It is not limited by the
    /// [`max_delay`](crate::RetryPolicy::with_max_delay) of the retry policy.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// The number of requests made, including the first. 0 if nothing was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// The idempotency key of the request. Within 24 h the operation can be repeated safely with
    /// it.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.inner.idempotency_key.as_ref()
    }

    /// Whether HeyGen may have carried out the operation: an attempt was sent, and no answer says
    /// what came of it.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        matches!(self.inner.reach, Reach::Unknown | Reach::CutOff)
    }

    /// Whether the timeout expired.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.inner.kind == ApiErrorKind::Timeout
    }

    pub(crate) fn config(what: impl Into<String>) -> Self {
        Self::new(ApiErrorKind::Config).with_context(what)
    }

    pub(crate) fn invalid_id() -> Self {
        let details = ErrorDetails {
            param: Some("endpoint_id".to_owned()),
            ..ErrorDetails::default()
        };
        Self::refused(ApiErrorKind::InvalidParameter, details)
            .with_context("the id cannot be part of a path (empty, . or ..)")
    }

    pub(crate) fn timeout(limit: Duration) -> Self {
        Self::new(ApiErrorKind::Timeout)
            .with_context(format!("no complete answer within {limit:?}"))
    }

    pub(crate) fn not_connected_in_time(limit: Duration) -> Self {
        Self::new(ApiErrorKind::Timeout)
            .with_reach(Reach::NotSent)
            .with_context(format!("no connection to the server within {limit:?}"))
    }

    pub(crate) fn not_connected(source: impl Error + Send + Sync + 'static) -> Self {
        Self::new(ApiErrorKind::Transport)
            .with_reach(Reach::NotSent)
            .with_context("no connection to the server")
            .with_source(source)
    }

    pub(crate) fn broken(source: impl Error + Send + Sync + 'static) -> Self {
        Self::new(ApiErrorKind::Transport)
            .with_context("the connection broke before the answer was complete")
            .with_source(source)
    }

    pub(crate) fn unexpected(mismatch: &Mismatch) -> Self {
        Self::new(ApiErrorKind::UnexpectedBody).with_context(mismatch.to_string())
    }

    /// `source` is a syntax error, which quotes nothing.
    pub(crate) fn not_json(source: serde_json::Error) -> Self {
        let (reach, what) = match source.is_eof() {
            true => (Reach::CutOff, "the body is truncated"),
            false => (Reach::Unknown, "the body is not JSON"),
        };
        Self::new(ApiErrorKind::UnexpectedBody)
            .with_reach(reach)
            .with_context(what)
            .with_source(source)
    }

    pub(crate) fn refused(kind: ApiErrorKind, details: ErrorDetails) -> Self {
        let mut error = Self::new(kind);
        error.inner.details = details;
        error
    }

    /// The error of a response with this status and body, as the client reads it. `None` if the
    /// response is a success.
    #[must_use]
    pub fn from_response(status: u16, body: &[u8]) -> Option<Self> {
        let body = serde_json::from_slice(body).ok();
        let error = response::find_error(status, body.as_ref(), &Credentials::api_key(""))?;
        Some(error.with_answer(status, None).with_attempts(1, None))
    }

    /// An error of this kind.
    #[must_use]
    pub fn new(kind: ApiErrorKind) -> Self {
        let reach = match kind {
            // A server that fails may fail after the work was done.
            ApiErrorKind::Server
            | ApiErrorKind::Transport
            | ApiErrorKind::Timeout
            | ApiErrorKind::UnexpectedBody => Reach::Unknown,
            _ => Reach::NotDone,
        };
        Self {
            inner: Box::new(Inner {
                kind,
                context: None,
                status: None,
                details: ErrorDetails::default(),
                request_id: None,
                retry_after: None,
                attempts: 0,
                idempotency_key: None,
                reach,
                source: None,
            }),
        }
    }

    pub(crate) fn with_context(mut self, context: impl Into<String>) -> Self {
        self.inner.context = Some(context.into());
        self
    }

    pub(crate) fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.inner.source = Some(Box::new(source));
        self
    }

    pub(crate) fn with_answer(mut self, status: u16, request_id: Option<String>) -> Self {
        self.inner.status = Some(status);
        self.inner.request_id = request_id;
        self
    }

    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.inner.retry_after = wait;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32, key: Option<&IdempotencyKey>) -> Self {
        self.inner.attempts = attempts;
        self.inner.idempotency_key = key.cloned();
        self
    }

    pub(crate) fn with_reach(mut self, reach: Reach) -> Self {
        self.inner.reach = reach;
        self
    }

    pub(crate) fn reach(&self) -> Reach {
        self.inner.reach
    }
}

impl ApiErrorKind {
    fn text(self) -> &'static str {
        match self {
            Self::Config => "the client is configured wrongly",
            Self::Authentication => "HeyGen rejects the API key or token",
            Self::PaymentRequired => "the plan or the credit does not allow it",
            Self::Forbidden => "not allowed with this API key or token",
            Self::NotFound => "not found",
            Self::InvalidParameter => "a parameter is invalid",
            Self::Conflict => "conflict with another request or existing state",
            Self::RateLimited => "too many requests",
            Self::QuotaExceeded => "the quota is used up",
            Self::Refused => "refused",
            Self::Server => "HeyGen failed",
            Self::Transport => "no connection to the server",
            Self::Timeout => "no complete answer in time",
            Self::UnexpectedBody => "the answer is not as expected",
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        match (&inner.context, inner.kind) {
            (Some(context), ApiErrorKind::UnexpectedBody) => {
                write!(f, "{}: {context}", inner.kind.text())?;
            }
            (Some(context), _) => f.write_str(context)?,
            (None, _) => f.write_str(inner.kind.text())?,
        }
        if let Some(param) = self.param() {
            write!(f, ": {}", on_one_line(param))?;
        }
        if let Some(wait) = inner.retry_after {
            write!(f, ", wait {} s", wait.as_secs())?;
        }
        match (inner.status, self.code()) {
            (Some(status), Some(code)) => write!(f, " (HTTP {status}, {})", on_one_line(code))?,
            (Some(status), None) => write!(f, " (HTTP {status})")?,
            (None, _) => {}
        }
        if let Some(message) = self.message() {
            write!(f, ": {}", on_one_line(message))?;
        }
        Ok(())
    }
}

/// Control characters would end the line or move the cursor: each becomes a space.
fn on_one_line(text: &str) -> String {
    visible(&text.replace(char::is_control, " "))
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner
            .source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
