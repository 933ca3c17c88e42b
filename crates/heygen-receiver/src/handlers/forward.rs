//! [`Forward`]: sends each delivery on to an application, over HTTP.

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::{Client, Method, Request, redirect};

use crate::{ActiveSecrets, Delivery, Handled, Handler};

mod answer;
mod error;
mod headers;
mod retry_after;
mod target;
mod tls;

pub use error::{ForwardError, ForwardErrorKind};

use target::Target;

/// POSTs each delivery to an application, as HeyGen would, until the application has taken it.
///
/// The body is sent byte for byte and signed anew with the first of the secrets, so that whatever verifies HeyGen's own
/// deliveries verifies these. Without a secret nothing is sent; the delivery waits for one.
///
/// # Request
///
/// | header | |
/// |---|---|
/// | `Signature`, `Heygen-Signature` | the HMAC-SHA256 of the body, 64 lower-case hexadecimal digits |
/// | `Content-Type` | that of the original, else `application/json` |
/// | `User-Agent` | `heygen-webhooks/` and the version |
/// | `Heygen-Webhooks-Id` | the [id](Delivery::id), the same on every attempt: what an application drops duplicates by |
/// | `Heygen-Webhooks-Attempt` | 1 the first time |
/// | `Heygen-Webhooks-Authenticity` | what vouches for the original: `signature` where HeyGen signed it |
/// | `Heygen-Webhooks-Received-At` | when the original came in: RFC 3339, UTC, microseconds |
/// | `Heygen-Timestamp` | where the original had it: the time of this attempt in seconds since 1970. Nothing signs it, and applications refuse old ones, so that with the original's no second attempt would pass |
/// | other `Heygen-*`, `X-Request-Id`, `Traceparent`, `Tracestate` | as in the original |
///
/// No other header of the original is sent, and none that begins with `Heygen-Webhooks-`.
///
/// # Answer
///
/// 2xx is done and 410 is dead. Everything else is a retry, also a redirect, which is not followed, and so are an address
/// that cannot be reached and an answer that does not come in time. `Retry-After`, in seconds or as a date, is kept to, up to one
/// hour; the [schedule](crate::RetrySchedule) decides where it is missing or asks for no wait at all. The reason on record names
/// the status and the first 200 bytes of the answer.
///
/// Connections are kept open for the next delivery, and no proxy is taken from the environment.
///
/// # Examples
///
/// ```no_run
/// use heygen_inbox::MemoryInbox;
/// use heygen_receiver::handlers::Forward;
/// use heygen_receiver::{ActiveSecrets, Dispatcher, Receiver, Secret};
///
/// # fn wire() -> Result<(), Box<dyn std::error::Error>> {
/// // The receiver and the handler share the secrets: when one is replaced, what is sent on is signed with the new one.
/// let secrets = ActiveSecrets::from(Secret::new(std::env::var("HEYGEN_WEBHOOK_SECRET")?)?);
/// let inbox = MemoryInbox::new();
/// let receiver = Receiver::new(secrets.clone(), inbox.clone());
/// let application = Forward::new("http://127.0.0.1:3000/heygen", secrets)?;
/// let dispatcher = Dispatcher::new(inbox, application);
/// # let _ = (receiver, dispatcher);
/// # Ok(())
/// # }
/// ```
pub struct Forward {
    http: Client,
    target: Target,
    secrets: ActiveSecrets,
    options: ForwardOptions,
}

/// How long an application is waited for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForwardOptions {
    /// How long it may take until a connection stands, with its encryption. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long a whole attempt may take, up to the status of the answer. It should be shorter than the dispatcher's
    /// [`handler_time`](crate::DispatchOptions::handler_time), whose reason would say less. Default: 30 s.
    pub timeout: Duration,
}

impl Forward {
    /// Sends to `url`, with the default [`ForwardOptions`].
    ///
    /// `secrets` are those of the receiver, or a [`Secret`](crate::Secret) that only we and the application know.
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with).
    pub fn new(url: &str, secrets: impl Into<ActiveSecrets>) -> Result<Self, ForwardError> {
        Self::with(url, secrets, ForwardOptions::default())
    }

    /// Sends to `url`, as `options` say.
    ///
    /// # Errors
    ///
    /// [`ForwardErrorKind::Url`] when it is no address of an application: neither `http` nor `https`, or with a user or a password
    /// in it, which would be shown wherever the address is; [`ForwardErrorKind::Setup`] when encryption cannot be set up, which
    /// only `https` needs.
    pub fn with(
        url: &str,
        secrets: impl Into<ActiveSecrets>,
        options: ForwardOptions,
    ) -> Result<Self, ForwardError> {
        let target = Target::parse(url)?;
        let http = Client::builder()
            .tls_backend_preconfigured(tls::config(target.is_https())?)
            // The signature is for this address and no other.
            .redirect(redirect::Policy::none())
            // What is sent again, and when, is the dispatcher's to decide.
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|error| ForwardError::setup(error.without_url()))?;
        Ok(Self {
            http,
            target,
            secrets: secrets.into(),
            options,
        })
    }

    fn request(&self, delivery: &Delivery) -> Option<Request> {
        let secrets = self.secrets.get()?;
        let secret = secrets.iter().next()?;
        let signature = secret.sign(delivery.body());
        let mut request = Request::new(Method::POST, self.target.url().clone());
        *request.headers_mut() = headers::headers(delivery, &signature, SystemTime::now());
        *request.body_mut() = Some(delivery.body().clone().into());
        Some(request)
    }

    fn failure(&self, error: reqwest::Error) -> Handled {
        let target = &self.target;
        let error = error.without_url();
        Handled::retry(match (error.is_connect(), error.is_timeout()) {
            (true, true) => {
                let limit = self.options.connect_timeout;
                format!("{target} could not be connected to within {limit:?}")
            }
            (true, false) => format!("{target} could not be reached: {}", cause(&error)),
            (false, _) => format!("{target} gave no answer: {}", cause(&error)),
        })
    }
}

impl Handler for Forward {
    async fn handle(&self, delivery: Delivery) -> Handled {
        let Some(request) = self.request(&delivery) else {
            return Handled::retry(
                "there is no secret to sign with yet, and nothing is sent unsigned",
            );
        };
        drop(delivery);
        let sent = self.http.execute(request);
        match tokio::time::timeout(self.options.timeout, sent).await {
            Ok(Ok(response)) => answer::judge(response, &self.target).await,
            Ok(Err(error)) => self.failure(error),
            Err(_) => {
                let (target, limit) = (&self.target, self.options.timeout);
                Handled::retry(format!("{target} gave no answer within {limit:?}"))
            }
        }
    }
}

impl Default for ForwardOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward")
            .field("target", &self.target.to_string())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The innermost error says what happened ("connection refused"); those around it only where.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    super::printable::one_line(innermost.to_string().as_bytes())
}

/// Shorter than the 5 s after which Node.js closes a connection: one that is closed while a delivery is on its way into it costs
/// an attempt.
const IDLE: Duration = Duration::from_secs(4);
