//! [`Forward`]: forwards each delivery to an application over HTTP.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use heygen_events::text::one_line;
use heygen_inbox::Source;
use heygen_signature::{HEYGEN_SIGNATURE, SIGNATURE, Secret, Signature};
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use crate::delivery::Delivery;
use crate::handler::{Disposition, Handler};
use crate::line_throttle::LineThrottle;
use crate::panics::locked;
use crate::running_time;
use crate::secrets::ActiveSecrets;
use crate::setters::setters;

mod client;
mod error;
mod headers;
mod proxy;
mod response;
mod status;
mod target;

pub use error::{ForwardError, ForwardErrorKind};
pub use proxy::ForwardProxy;

use client::{HttpClient, SendError, causes};
use target::Target;

/// POSTs each delivery to an application, as HeyGen would, until the application acknowledges it.
///
/// The body is sent byte for byte and signed with the first of the secrets, so that the application
/// verifies it as it would verify HeyGen's own deliveries. Without a secret nothing is sent, and
/// the delivery waits for one.
///
/// # What is signed
///
/// A delivery that HeyGen signed ([`Source::Webhook`]) is always signed. A delivery that HeyGen did
/// not sign (a callback, or an entry of the event log) is signed only with a secret that is not
/// among [`ForwardOptions::receiver_secrets`]: with one of those it would verify as HeyGen's, here
/// and in the application. It is sent without a signature instead.
///
/// # Request
///
/// | header | |
/// |---|---|
/// | `Signature`, `Heygen-Signature` | the HMAC-SHA256 of the body, 64 lower-case hexadecimal digits; absent if it may not be signed |
/// | `Content-Type` | that of the original, else `application/json` |
/// | `User-Agent` | `heygen-webhooks/` and the version |
/// | `Heygen-Webhooks-Id` | the [id](Delivery::id), the same on every attempt: use it to drop duplicates |
/// | `Heygen-Webhooks-Attempt` | the number of the attempt, from 1 |
/// | `Heygen-Webhooks-Authenticity` | what proves the origin: `signature` if HeyGen signed it |
/// | `Heygen-Webhooks-Received-At` | when the original was received: RFC 3339, UTC, microseconds |
/// | `Heygen-Webhooks-Via` | if another receiver forwarded the delivery here: its id there, after those of the receivers before it. A receiver that gets a delivery of its own back answers 508 |
/// | `Heygen-Webhooks-Dead-Letter` | in a [`DeadLetterHook`](crate::DeadLetterHook): why it was given up, at most 500 characters of ASCII |
/// | `Heygen-Timestamp` | if the original had it: the time of this attempt in seconds since 1970. It is not signed, and applications reject old ones, so the original value would fail every retry |
/// | other `Heygen-*`, `X-Request-Id`, `Traceparent`, `Tracestate` | as in the original |
///
/// No other header of the original is sent, in particular none that begins with `Heygen-Webhooks-`.
///
/// # Response
///
/// 2xx acknowledges and 410 dead-letters. Everything else is retried: other statuses, redirects
/// (which are not followed), an address that cannot be reached, and a response that does not arrive
/// in time. The status alone decides: a 2xx acknowledges even if the rest of the response cannot be
/// read. The status is recorded with every attempt, unless it acknowledges with the first 200 bytes
/// of the response.
///
/// `Retry-After` with any other status, in seconds or as a date, up to one hour, is a
/// [pause](Disposition::Pause) of the whole destination: nothing is sent to it meanwhile, then one
/// delivery at a time, and the attempt does not count. A delivery that gets it again after others
/// were acknowledged waits alone. If it is missing or zero, the [schedule](crate::RetrySchedule)
/// decides.
///
/// A request whose reused connection is closed at once and without an answer is sent again on
/// another one, within the same attempt: the application closed it as idle in that moment.
///
/// Connections are reused for up to [`connection_lifetime`](ForwardOptions::connection_lifetime).
/// Proxy variables of the environment are ignored; [`ForwardOptions::proxy`] sets one.
///
/// # Examples
///
/// ```no_run
/// use heygen_inbox::MemoryInbox;
/// use heygen_receiver::handlers::{Forward, ForwardOptions};
/// use heygen_receiver::{ActiveSecrets, Dispatcher, Receiver, Secret};
///
/// # fn wire() -> Result<(), Box<dyn std::error::Error>> {
/// let secrets = ActiveSecrets::from(Secret::new(std::env::var("HEYGEN_WEBHOOK_SECRET")?)?);
/// // A secret of your own for the application: it stays when HeyGen's is replaced.
/// let forward_secret = Secret::new(std::env::var("FORWARD_SECRET")?)?;
/// let inbox = MemoryInbox::new();
/// let receiver = Receiver::new(secrets.clone(), inbox.clone());
/// let options = ForwardOptions::default().with_receiver_secrets(Some(secrets));
/// let application = Forward::with("http://127.0.0.1:3000/heygen", forward_secret, options)?;
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
    state: Arc<State>,
}

/// Timeouts of [`Forward`], and what it may sign.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForwardOptions {
    /// How long a connection may take to open, including TLS. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long an attempt may take until the status of the response. It should be shorter than the
    /// dispatcher's [`handler_timeout`](crate::DispatchOptions::handler_timeout), which records a
    /// less specific reason. Default: 30 s.
    pub timeout: Duration,
    /// The secrets of the receiver, which never sign what HeyGen did not. They are read for each
    /// delivery, because they may change. Default: `None`; then any secret may be the receiver's,
    /// so only what HeyGen signed is signed.
    pub receiver_secrets: Option<ActiveSecrets>,
    /// Where an operator finds the secret that the application must verify with. Logged when the
    /// application answers 401 or 403, at most once a minute. Default: `None`.
    pub secret_hint: Option<String>,
    /// How long a connection is reused. After that a new one is opened, and the host name is
    /// resolved again. Default: 5 min.
    pub connection_lifetime: Duration,
    /// The certificate authorities to trust for `https`, in PEM, instead of those of the system.
    /// Default: `None`.
    pub certificate_authorities: Option<Bytes>,
    /// The proxy between us and the application. Default: `None`.
    pub proxy: Option<ForwardProxy>,
}

/// What was logged already, and what was learned from deliveries.
#[derive(Debug, Default)]
struct State {
    logged_unsigned: Mutex<bool>,
    rejection_log: Mutex<LineThrottle>,
    /// A secret that verified a delivery of HeyGen's: the options do not always name the receiver's
    /// secrets.
    heygen_secret: Mutex<Option<Secret>>,
}

impl Forward {
    /// Forwards to `url`, with the default [`ForwardOptions`].
    ///
    /// Prefer a [`Secret`] that only this process and the application know. With these options,
    /// what HeyGen did not sign is sent without a signature in any case; see
    /// [`ForwardOptions::receiver_secrets`].
    ///
    /// # Errors
    ///
    /// As [`with`](Self::with).
    pub fn new(url: &str, secrets: impl Into<ActiveSecrets>) -> Result<Self, ForwardError> {
        Self::with(url, secrets, ForwardOptions::default())
    }

    /// Forwards to `url`, with these options.
    ///
    /// # Errors
    ///
    /// [`ForwardErrorKind::Url`] when it is neither `http` nor `https`, or holds a user or a
    /// password, which would be shown wherever the address is; [`ForwardErrorKind::Certificates`] when
    /// [`certificate_authorities`](ForwardOptions::certificate_authorities) holds none; and
    /// [`ForwardErrorKind::Setup`] when TLS cannot be set up, for `https` only.
    pub fn with(
        url: &str,
        secrets: impl Into<ActiveSecrets>,
        options: ForwardOptions,
    ) -> Result<Self, ForwardError> {
        let target = Target::parse(url)?;
        let proxy = options.proxy.as_ref();
        let is_https = target.is_https() || proxy.is_some_and(ForwardProxy::is_https);
        let tls = match &options.certificate_authorities {
            Some(pem) => client::trusting(pem)?,
            None => heygen_http::tls_config(is_https).map_err(ForwardError::setup)?,
        };
        let proxy = proxy.map(ForwardProxy::matcher);
        let http = HttpClient::new(tls, proxy, &options);
        Ok(Self {
            http,
            target,
            secrets: secrets.into(),
            options,
            state: Arc::default(),
        })
    }

    fn request(&self, delivery: &Delivery) -> Option<Request<Full<Bytes>>> {
        let secrets = self.secrets.get()?;
        let secret = secrets.iter().next()?;
        let signature = secret.sign(delivery.body());
        let may_sign = self.may_sign(delivery, secret, &signature);
        if !may_sign && !std::mem::replace(&mut *locked(&self.state.logged_unsigned), true) {
            tracing::warn!(
                target = %self.target,
                source = delivery.source().as_str(),
                "forwarded without a signature: HeyGen did not sign this delivery, and the forwarding secret may be one \
                 of the receiver's; forward with a secret that the receiver does not accept"
            );
        }
        let signature = may_sign.then_some(signature);
        let mut request = Request::new(Full::new(delivery.body().clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.uri().clone();
        *request.headers_mut() = headers::headers(delivery, signature.as_ref(), SystemTime::now());
        if let Some(authorization) = self.http.proxy_authorization(self.target.uri()) {
            let name = http::header::PROXY_AUTHORIZATION;
            request.headers_mut().insert(name, authorization);
        }
        Some(request)
    }

    /// Whether this signature cannot make the delivery verify as HeyGen's if HeyGen did not sign
    /// it. Compares signatures, not secrets: different texts can be the same key.
    fn may_sign(&self, delivery: &Delivery, secret: &Secret, signature: &Signature) -> bool {
        if delivery.source() == Source::Webhook {
            let is_signature = |header: &&heygen_inbox::Header| {
                [SIGNATURE, HEYGEN_SIGNATURE].contains(&header.name.as_str())
            };
            let mut signatures = delivery.headers().iter().filter(is_signature);
            let text = signature.to_string();
            if signatures.any(|header| header.value.trim().eq_ignore_ascii_case(&text)) {
                *locked(&self.state.heygen_secret) = Some(secret.clone());
            }
            return true;
        }
        let Some(receivers) = &self.options.receiver_secrets else {
            return false;
        };
        let receivers = receivers.get();
        let learned = locked(&self.state.heygen_secret).clone();
        let mut accepted = receivers.iter().flat_map(|all| all.iter()).chain(&learned);
        !accepted.any(|accepted| accepted.sign(delivery.body()) == *signature)
    }

    /// Logs which secret the application must verify with, if it seems to verify with another.
    fn log_rejection(&self, status: StatusCode) {
        let is_about_secret = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
        let Some(hint) = self
            .options
            .secret_hint
            .as_ref()
            .filter(|_| is_about_secret)
        else {
            return;
        };
        let mut throttle = locked(&self.state.rejection_log);
        if throttle.pass(Instant::now()).is_none() {
            return;
        }
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
                let proxy = match &self.options.proxy {
                    Some(proxy) if self.http.is_proxied(target.uri()) => {
                        format!(" through {proxy}")
                    }
                    _ => String::new(),
                };
                format!("{target} could not be reached{proxy}: {}", cause(error))
            }
            SendError::Response(error) => format!("{target} gave no answer: {}", cause(error)),
        }
    }
}

impl Handler for Forward {
    async fn handle(&self, delivery: Delivery) -> Disposition {
        let Some(request) = self.request(&delivery) else {
            return Disposition::retry("there is no secret to sign with yet");
        };
        let (mut exchange, sending) = self.http.send(request);
        let mut sent = running_time::timeout(self.options.timeout, sending).await;
        if let Ok(Err(error)) = &sent
            && exchange.was_idle_connection(error)
            && let Some(request) = self.request(&delivery)
        {
            // No failure of the application's: it costs no attempt and no wait.
            let (again, sending) = self.http.send(request);
            exchange = again;
            sent = running_time::timeout(self.options.timeout, sending).await;
        }
        drop(delivery);
        let failure = match sent {
            Ok(Ok(response)) => {
                self.log_rejection(response.status());
                return response::disposition(response, &self.target).await;
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
            .for_each(|status| self.log_rejection(status));
        match status {
            Some(status) if status.is_success() => Disposition::AckWithNote {
                note: format!("answered {status}, but the rest could not be read ({failure})"),
            },
            Some(StatusCode::GONE) => Disposition::dead_letter(format!("answered 410: {failure}")),
            Some(status) => Disposition::retry(format!("answered {status}: {failure}")),
            None => Disposition::retry(failure),
        }
    }
}

setters! {
    ForwardOptions {
        with_connect_timeout sets connect_timeout: Duration;
        with_timeout sets timeout: Duration;
        with_receiver_secrets sets receiver_secrets: Option<ActiveSecrets>;
        with_secret_hint sets secret_hint: Option<String>;
        with_connection_lifetime sets connection_lifetime: Duration;
        with_certificate_authorities sets certificate_authorities: Option<Bytes>;
        with_proxy sets proxy: Option<ForwardProxy>;
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
            certificate_authorities: None,
            proxy: None,
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

/// The innermost error says what happened ("connection refused"); the outer ones only where.
fn cause(error: &(dyn Error + 'static)) -> String {
    let innermost = causes(error).last().unwrap_or(error);
    let text = innermost.to_string();
    match text {
        // What `openssl req -x509` makes is one, and rustls has no words for it.
        text if text.contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's (CA:TRUE), not a server's (CA:FALSE)".to_owned()
        }
        // How rustls reads an answer of plain HTTP, and hyper one of TLS.
        text if text.contains("InvalidContentType") => {
            "what answers there does not speak TLS; if it speaks HTTP, use http://".to_owned()
        }
        text if text.starts_with("invalid HTTP version") => {
            "what answers there does not speak HTTP; if it speaks TLS, use https://".to_owned()
        }
        text => one_line(&text),
    }
}
