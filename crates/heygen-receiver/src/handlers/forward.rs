//! [`Forward`]: sends each delivery on to an application, over HTTP.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use heygen_events::text::one_line;
use heygen_inbox::Source;
use heygen_signature::{HEYGEN_SIGNATURE, SIGNATURE, Secret, Signature};
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use crate::{ActiveSecrets, Delivery, Disposition, Handler};

mod answer;
mod client;
mod error;
mod headers;
mod status;
mod target;

pub use error::{ForwardError, ForwardErrorKind};

use client::{HttpClient, SendError};
use target::Target;

/// POSTs each delivery to an application, as HeyGen would, until the application has taken it.
///
/// The body is sent byte for byte and signed with the first of the secrets, so that whatever verifies HeyGen's own
/// deliveries verifies these. Without a secret nothing is sent; the delivery waits for one.
///
/// # What is signed
///
/// A delivery that HeyGen signed ([`Source::Webhook`]) is always signed. One that HeyGen did not sign (a callback, a record of the
/// log) is signed only with a secret that is none of the receiver's, as [`ForwardOptions::receiver_secrets`] tells: under one of
/// those its signature would make it pass for HeyGen's, here and in the application. It is sent without a signature instead.
///
/// # Request
///
/// | header | |
/// |---|---|
/// | `Signature`, `Heygen-Signature` | the HMAC-SHA256 of the body, 64 lower-case hexadecimal digits; absent where nothing may be signed |
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
/// that cannot be reached and an answer that does not come in time. The status decides, whatever follows it: an answer that begins
/// with 2xx is done even if its headers or its body cannot be read. The reason on record names the status and the first 200 bytes
/// of the answer.
///
/// `Retry-After` with any other status, in seconds or as a date, up to one hour, is a [pause](Disposition::Pause) of the whole
/// destination: nothing is sent to it meanwhile, then one delivery at a time, and the attempt does not count. Where it is missing
/// or asks for no wait at all, the [schedule](crate::RetrySchedule) decides.
///
/// Connections are kept open for the next delivery, up to [`connection_lifetime`](ForwardOptions::connection_lifetime), and no
/// proxy is taken from the environment.
///
/// # Examples
///
/// ```no_run
/// use heygen_inbox::MemoryInbox;
/// use heygen_receiver::handlers::Forward;
/// use heygen_receiver::handlers::ForwardOptions;
/// use heygen_receiver::{ActiveSecrets, Dispatcher, Receiver, Secret};
///
/// # fn wire() -> Result<(), Box<dyn std::error::Error>> {
/// let secrets = ActiveSecrets::from(Secret::new(std::env::var("HEYGEN_WEBHOOK_SECRET")?)?);
/// // A secret that only we and the application know: it stays when HeyGen's is replaced.
/// let ours = Secret::new(std::env::var("FORWARD_SECRET")?)?;
/// let inbox = MemoryInbox::new();
/// let receiver = Receiver::new(secrets.clone(), inbox.clone());
/// let mut options = ForwardOptions::default();
/// options.receiver_secrets = Some(secrets);
/// let application = Forward::with("http://127.0.0.1:3000/heygen", ours, options)?;
/// let dispatcher = Dispatcher::new(inbox, application);
/// # let _ = (receiver, dispatcher);
/// # Ok(())
/// # }
/// ```
pub struct Forward {
    http: HttpClient,
    target: Target,
    secrets: ActiveSecrets,
    options: ForwardOptions,
    told: Arc<Told>,
}

/// How long an application is waited for, and what may be signed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForwardOptions {
    /// How long it may take until a connection stands, with its encryption. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long a whole attempt may take, up to the status of the answer. It should be shorter than the dispatcher's
    /// [`handler_timeout`](crate::DispatchOptions::handler_timeout), whose reason would say less. Default: 30 s.
    pub timeout: Duration,
    /// The secrets of the receiver, which never sign what HeyGen did not. They are looked at for each delivery, so that it may
    /// be a secret of the receiver now that was none before. Default: `None`, any secret may be the receiver's, so that only what
    /// HeyGen signed is signed.
    pub receiver_secrets: Option<ActiveSecrets>,
    /// Where whoever runs the application finds the secret that it must verify with; logged when the application answers 401 or
    /// 403, once a minute at the most. Default: `None`.
    pub secret_hint: Option<String>,
    /// How long a connection is used. Then a new one is made, and the name of the application is looked up again. Default: 5 min.
    pub connection_lifetime: Duration,
}

/// What the log has been told, and what was learned from deliveries.
#[derive(Debug, Default)]
struct Told {
    unsigned: Mutex<bool>,
    rejected_at: Mutex<Option<Instant>>,
    /// A secret under which a delivery of HeyGen's came in: whoever configured us does not always say.
    heygens: Mutex<Option<Secret>>,
}

impl Forward {
    /// Sends to `url`, with the default [`ForwardOptions`].
    ///
    /// `secrets` is best a [`Secret`] that only we and the application know; under these options what HeyGen did not sign is
    /// sent without a signature all the same, see [`ForwardOptions::receiver_secrets`].
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
        let tls = heygen_http::tls_config(target.is_https()).map_err(ForwardError::setup)?;
        let http = HttpClient::new(tls, options.connect_timeout, options.connection_lifetime);
        Ok(Self {
            http,
            target,
            secrets: secrets.into(),
            options,
            told: Arc::default(),
        })
    }

    fn request(&self, delivery: &Delivery) -> Option<Request<Full<Bytes>>> {
        let secrets = self.secrets.get()?;
        let secret = secrets.iter().next()?;
        let signature = secret.sign(delivery.body());
        let may_sign = self.may_sign(delivery, secret, &signature);
        if !may_sign && !std::mem::replace(&mut *lock(&self.told.unsigned), true) {
            tracing::warn!(
                target = %self.target,
                source = delivery.source().as_str(),
                "forwarded without a signature: the secret for it may be one of the receiver's own, under which this would pass \
                 for HeyGen's; forward with a secret that the receiver does not accept"
            );
        }
        let signature = may_sign.then_some(signature);
        let mut request = Request::new(Full::new(delivery.body().clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.uri().clone();
        *request.headers_mut() = headers::headers(delivery, signature.as_ref(), SystemTime::now());
        Some(request)
    }

    /// Whether nobody can present this signature as HeyGen's that did not come from HeyGen. Signatures are compared, and not
    /// secrets: different texts can be one key.
    fn may_sign(&self, delivery: &Delivery, secret: &Secret, signature: &Signature) -> bool {
        if delivery.source() == Source::Webhook {
            let came_with = |header: &&heygen_inbox::Header| {
                [SIGNATURE, HEYGEN_SIGNATURE].contains(&header.name.as_str())
            };
            let mut came_with = delivery.headers().iter().filter(came_with);
            let text = signature.to_string();
            if came_with.any(|header| header.value.trim().eq_ignore_ascii_case(&text)) {
                *lock(&self.told.heygens) = Some(secret.clone());
            }
            return true;
        }
        let Some(receivers) = &self.options.receiver_secrets else {
            return false;
        };
        let receivers = receivers.get();
        let learned = lock(&self.told.heygens).clone();
        let mut accepted = receivers.iter().flat_map(|all| all.iter()).chain(&learned);
        !accepted.any(|accepted| accepted.sign(delivery.body()) == *signature)
    }

    /// Tells the log which secret the application must verify with, where it seems to verify with another.
    fn tell_rejected(&self, status: StatusCode) {
        let is_about_secret = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
        let Some(hint) = self
            .options
            .secret_hint
            .as_ref()
            .filter(|_| is_about_secret)
        else {
            return;
        };
        let now = Instant::now();
        let mut told_at = lock(&self.told.rejected_at);
        if told_at.is_some_and(|last| now.saturating_duration_since(last) < BETWEEN_HINTS) {
            return;
        }
        *told_at = Some(now);
        tracing::warn!(
            target = %self.target,
            status = status.as_u16(),
            "the application rejects forwarded deliveries; it must verify them with {hint}"
        );
    }

    fn failure(&self, error: &SendError) -> String {
        let target = &self.target;
        match error {
            SendError::ConnectTimeout => {
                let limit = self.options.connect_timeout;
                format!("{target} could not be connected to within {limit:?}")
            }
            SendError::Connect(error) => {
                format!("{target} could not be reached: {}", cause(error))
            }
            SendError::Answer(error) => format!("{target} gave no answer: {}", cause(error)),
        }
    }
}

impl Handler for Forward {
    async fn handle(&self, delivery: Delivery) -> Disposition {
        let Some(request) = self.request(&delivery) else {
            return Disposition::retry(
                "there is no secret to sign with yet, and nothing is sent unsigned",
            );
        };
        drop(delivery);
        let (exchange, sending) = self.http.send(request);
        let failure = match tokio::time::timeout(self.options.timeout, sending).await {
            Ok(Ok(response)) => {
                self.tell_rejected(response.status());
                return answer::judge(response, &self.target).await;
            }
            Ok(Err(error)) => self.failure(&error),
            Err(_) => {
                let (target, limit) = (&self.target, self.options.timeout);
                format!("{target} gave no answer within {limit:?}")
            }
        };
        let status = exchange.status();
        status
            .into_iter()
            .for_each(|status| self.tell_rejected(status));
        match status {
            Some(status) if status.is_success() => Disposition::AckWithNote {
                note: format!("answered {status}, and the rest could not be read ({failure})"),
            },
            Some(StatusCode::GONE) => Disposition::dead_letter(format!("answered 410: {failure}")),
            Some(status) => Disposition::retry(format!("answered {status}: {failure}")),
            None => Disposition::retry(failure),
        }
    }
}

impl Default for ForwardOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            receiver_secrets: None,
            secret_hint: None,
            connection_lifetime: Duration::from_secs(5 * 60),
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The innermost error says what happened ("connection refused"); those around it only where.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    one_line(&innermost.to_string())
}

const BETWEEN_HINTS: Duration = Duration::from_secs(60);
