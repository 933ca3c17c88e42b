//! [`ApiError`]: why an operation did not give what was asked for.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use heygen_events::text::visible;

use crate::fields::Mismatch;
use crate::idempotency::IdempotencyKey;

pub(crate) mod refusal;

/// Why an operation did not give what was asked for.
///
/// [`kind`](Self::kind) is what to act on; the other questions tell what HeyGen said. Neither text nor `Debug` shows the API key,
/// a secret, a body or an address; should the server repeat the key in its message, it is hidden there too.
pub struct ApiError {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    /// What we say ourselves, where the kind alone does not tell.
    what: Option<String>,
    status: Option<u16>,
    said: Said,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    attempts: u32,
    idempotency_key: Option<IdempotencyKey>,
    reach: Reach,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What the server says about a refusal, in whichever envelope.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) param: Option<String>,
    pub(crate) doc_url: Option<String>,
}

/// How far a request that failed has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reach {
    /// It was never sent, or it was answered with a refusal: nothing was done.
    NotDone,
    /// No connection was made, so that nothing was sent.
    NotSent,
    /// It was sent, and what became of it is not known.
    Unknown,
    /// It was sent, and the answer broke off.
    CutOff,
}

/// What went wrong, as far as a caller would act differently.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nothing was sent: the client or the request is set up wrongly. The text says what to mend.
    Config,
    /// HeyGen does not accept the key or token (401).
    Authentication,
    /// The plan or the credit does not allow it (402).
    PaymentRequired,
    /// The key or token is good, but not for this (403).
    Forbidden,
    /// There is no such thing (404, 410).
    NotFound,
    /// A value is wrong (400, 422); [`ApiError::param`] may name it.
    InvalidParameter,
    /// It collides with something that is there or at work (409).
    Conflict,
    /// Too many requests (429); [`ApiError::retry_after`] tells how long to wait.
    RateLimited,
    /// A quota is used up (429 with `quota_exceeded`); waiting a little does not help.
    QuotaExceeded,
    /// Refused in a way that has no kind of its own: a redirect, another 4xx, another code of v1.
    Refused,
    /// HeyGen failed (5xx).
    Server,
    /// No connection, or one that broke before the answer was complete.
    Transport,
    /// No complete answer in the time set.
    Timeout,
    /// HeyGen said yes, and the answer cannot be read or lacks what was asked for.
    UnexpectedBody,
}

impl ApiError {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The HTTP status, where there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.inner.status
    }

    /// HeyGen's code as received: a word in v3, a number in v1.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.inner.said.code.as_deref()
    }

    /// Whether HeyGen's code is this one. HeyGen writes codes in either case, so case does not count.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.code()
            .is_some_and(|given| given.eq_ignore_ascii_case(code))
    }

    /// HeyGen's message, for a person to read. A very long one is cut.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.inner.said.message.as_deref()
    }

    /// The parameter that is wrong, where HeyGen names it.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        self.inner.said.param.as_deref()
    }

    /// The page that HeyGen refers to.
    #[must_use]
    pub fn doc_url(&self) -> Option<&str> {
        self.inner.said.doc_url.as_deref()
    }

    /// HeyGen's id of the request (`X-Request-Id`), for its support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.inner.request_id.as_deref()
    }

    /// How long HeyGen asks to wait, as it said it: not cut to the longest wait of the [`RetryPolicy`](crate::RetryPolicy).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// How many requests were made, the first included; 0 where nothing was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// The key the request carried. Repeating the operation with it within 24 h cannot do it twice.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.inner.idempotency_key.as_ref()
    }

    /// Whether HeyGen may have done what was asked all the same: it was sent, and no refusal came back.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        matches!(self.inner.reach, Reach::Unknown | Reach::CutOff)
    }

    /// Whether time ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.inner.kind == ErrorKind::Timeout
    }

    pub(crate) fn config(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, Reach::NotDone).with_what(what)
    }

    pub(crate) fn invalid_id() -> Self {
        let said = Said {
            param: Some("endpoint_id".to_owned()),
            ..Said::default()
        };
        Self::refused(ErrorKind::InvalidParameter, said)
            .with_what("an id that cannot stand in a path (empty, . or ..)")
    }

    pub(crate) fn timeout(limit: Duration) -> Self {
        Self::new(ErrorKind::Timeout, Reach::Unknown)
            .with_what(format!("no complete answer within {limit:?}"))
    }

    pub(crate) fn not_connected(source: impl Error + Send + Sync + 'static) -> Self {
        Self::new(ErrorKind::Transport, Reach::NotSent)
            .with_what("no connection to the server")
            .with_source(source)
    }

    pub(crate) fn broken(source: impl Error + Send + Sync + 'static) -> Self {
        Self::new(ErrorKind::Transport, Reach::Unknown)
            .with_what("the connection broke before the answer was complete")
            .with_source(source)
    }

    pub(crate) fn unexpected(mismatch: &Mismatch) -> Self {
        Self::new(ErrorKind::UnexpectedBody, Reach::Unknown).with_what(mismatch.to_string())
    }

    /// `source` is an error of syntax, which quotes nothing.
    pub(crate) fn not_json(source: serde_json::Error) -> Self {
        let (reach, what) = match source.is_eof() {
            true => (Reach::CutOff, "the body breaks off"),
            false => (Reach::Unknown, "the body is not JSON"),
        };
        Self::new(ErrorKind::UnexpectedBody, reach)
            .with_what(what)
            .with_source(source)
    }

    pub(crate) fn refused(kind: ErrorKind, said: Said) -> Self {
        // A server that fails may fail after the work was done.
        let reach = match kind {
            ErrorKind::Server => Reach::Unknown,
            _ => Reach::NotDone,
        };
        let mut error = Self::new(kind, reach);
        error.inner.said = said;
        error
    }

    fn new(kind: ErrorKind, reach: Reach) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                what: None,
                status: None,
                said: Said::default(),
                request_id: None,
                retry_after: None,
                attempts: 0,
                idempotency_key: None,
                reach,
                source: None,
            }),
        }
    }

    pub(crate) fn with_what(mut self, what: impl Into<String>) -> Self {
        self.inner.what = Some(what.into());
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

    pub(crate) fn reach(&self) -> Reach {
        self.inner.reach
    }
}

impl ErrorKind {
    fn text(self) -> &'static str {
        match self {
            Self::Config => "the client is set up wrongly",
            Self::Authentication => "HeyGen does not accept the API key or token",
            Self::PaymentRequired => "the plan or the credit does not allow it",
            Self::Forbidden => "not allowed with this API key or token",
            Self::NotFound => "not found",
            Self::InvalidParameter => "a parameter is invalid",
            Self::Conflict => "in conflict with another request or state",
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
        match (&inner.what, inner.kind) {
            (Some(what), ErrorKind::UnexpectedBody) => {
                write!(f, "{}: {what}", inner.kind.text())?;
            }
            (Some(what), _) => f.write_str(what)?,
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

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        f.debug_struct("ApiError")
            .field("kind", &inner.kind)
            .field("what", &inner.what)
            .field("status", &inner.status)
            .field("said", &inner.said)
            .field("request_id", &inner.request_id)
            .field("retry_after", &inner.retry_after)
            .field("attempts", &inner.attempts)
            .field("idempotency_key", &inner.idempotency_key)
            .field("reach", &inner.reach)
            .field("source", &inner.source)
            .finish()
    }
}

/// What would end the line or move the cursor is a space there.
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
