//! [`Sender`]: probes and deliveries over HTTP, as HeyGen sends them.

use std::{
    mem,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use heygen_signature::{SIGNATURE, Secret};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, CONTENT_TYPE},
    uri::Scheme,
};
use http_body_util::BodyExt;
use url::Url;

use self::client::Client;
use crate::{
    request::{JSON, signature_value},
    setters::setters,
};

mod cause;
mod client;
mod error;
mod outgoing_body;
mod report;
mod retry;

pub use error::{SendError, SendErrorKind};
pub(crate) use outgoing_body::{OutgoingBody, Pace};
pub use report::{Answer, Attempt, AttemptError, AttemptErrorKind, DeliveryReport, ProbeReport};
pub use retry::{Delays, RetryPolicy};

/// Sends probes and deliveries to one URL, as HeyGen does.
///
/// By default it sends once and unsigned: [`secret`](Self::secret) signs, [`retry`](Self::retry)
/// retries. It follows no redirects and uses no proxy. Clones share their connections.
///
/// # Examples
///
/// ```no_run
/// use heygen_signature::Secret;
/// use heygen_testkit::{EventBuilder, Sender};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let sender = Sender::new("http://127.0.0.1:8080/webhooks/heygen")
///     .secret(Secret::new("whsec_test")?);
/// assert!(sender.probe().await?.passed());
///
/// let body = EventBuilder::new("avatar_video.success").body();
/// assert!(sender.deliver(body.clone()).await?.accepted());
/// assert!(!sender.tampered().deliver(body).await?.accepted());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sender {
    url: String,
    secret: Option<Secret>,
    header_name: String,
    extra_headers: Vec<(String, String)>,
    tampered: bool,
    doubled: bool,
    pace: Pace,
    hanging_up: bool,
    retry: RetryPolicy,
    duplicates: u32,
    timeout: Duration,
    probe_timeout: Duration,
    /// For `http` and for `https`.
    clients: Arc<[OnceLock<Client>; 2]>,
}

impl Sender {
    /// HeyGen's timeout for the answer to a delivery: 10 s.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhooks” (v3): documented.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// v1's timeout for the answer to a probe: 1 s. That v3 does the same is assumed.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events”, “Register a Webhook Endpoint”: documented.
    pub const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

    /// A sender to `url`. `https` needs the feature `tls`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            secret: None,
            header_name: SIGNATURE.to_owned(),
            extra_headers: Vec::new(),
            tampered: false,
            doubled: false,
            pace: Pace::Whole,
            hanging_up: false,
            retry: RetryPolicy::once(),
            duplicates: 0,
            timeout: Self::TIMEOUT,
            probe_timeout: Self::PROBE_TIMEOUT,
            clients: Arc::default(),
        }
    }

    /// Adds a header to deliveries, such as `Heygen-Event-Id`. The signature does not cover it.
    ///
    /// It replaces one that is sent anyway. Added twice, it is sent twice.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra_headers.push((name.into(), value.into()));
        self
    }

    /// Closes the connection as soon as an answer to a delivery starts. The attempt counts as
    /// [`Dropped`](AttemptErrorKind::Dropped): the receiver has accepted the delivery, and gets it
    /// again.
    #[must_use]
    pub fn hanging_up(mut self) -> Self {
        self.hanging_up = true;
        // A client of its own: the shared one keeps connections open.
        self.clients = Arc::default();
        self
    }

    /// Probes the URL, as v1 does when an endpoint is registered, and v3 perhaps.
    ///
    /// # Wire shape
    ///
    /// `OPTIONS` without a body or signature. v1 waits 1 s; that any 2xx passes is assumed.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the sender is misconfigured. A refused connection or a missing answer is
    /// part of the report.
    pub async fn probe(&self) -> Result<ProbeReport, SendError> {
        let uri = self.uri()?;
        let client = self.client(&uri)?;
        let mut request = Request::new(OutgoingBody::new(Bytes::new(), Pace::Whole));
        *request.method_mut() = Method::OPTIONS;
        *request.uri_mut() = uri;
        request.headers_mut().insert(ACCEPT, ANYTHING);
        let attempt = attempt(&client, request, self.probe_timeout, false).await;
        Ok(ProbeReport { attempt })
    }

    /// Delivers a body and reports every attempt.
    ///
    /// # Wire shape
    ///
    /// `POST`, `Content-Type: application/json`, and with a secret `Signature`: see
    /// [`heygen_signature`]. HeyGen waits 10 s for a 2xx.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the sender is misconfigured. Failed attempts are part of the report.
    pub async fn deliver(&self, body: impl Into<Bytes>) -> Result<DeliveryReport, SendError> {
        let delivery = self.delivery(body.into())?;
        let client = self.client(&delivery.uri)?;
        let attempt = || attempt(&client, delivery.request(), self.timeout, self.hanging_up);

        let mut last = attempt().await;
        let mut attempts = Vec::new();
        for delay in self.retry.delays() {
            if last.accepted() {
                break;
            }
            tokio::time::sleep(delay).await;
            attempts.push(mem::replace(&mut last, attempt().await));
        }
        let mut duplicates = Vec::new();
        if last.accepted() {
            for _ in 0..self.duplicates {
                duplicates.push(attempt().await);
            }
        }
        attempts.push(last);
        Ok(DeliveryReport {
            attempts,
            duplicates,
        })
    }

    fn delivery(&self, body: Bytes) -> Result<Delivery, SendError> {
        let mut headers = HeaderMap::from_iter([(ACCEPT, ANYTHING), (CONTENT_TYPE, JSON)]);
        if let Some(secret) = &self.secret {
            let name = HeaderName::try_from(&self.header_name).map_err(SendError::header_name)?;
            if self.doubled {
                headers.append(name.clone(), WRONG_SIGNATURE);
            }
            headers.append(name, signature_value(secret, &body));
        }
        for (name, _) in &self.extra_headers {
            headers.remove(name);
        }
        for (name, value) in &self.extra_headers {
            let name = HeaderName::try_from(name).map_err(SendError::header_name)?;
            let value = HeaderValue::try_from(value).map_err(SendError::header_value)?;
            headers.append(name, value);
        }
        Ok(Delivery {
            uri: self.uri()?,
            headers,
            body: if self.tampered { tamper(&body) } else { body },
            pace: self.pace,
        })
    }

    fn uri(&self) -> Result<Uri, SendError> {
        let mut url = Url::parse(&self.url).map_err(SendError::url)?;
        match url.scheme() {
            "http" => {}
            "https" if cfg!(feature = "tls") => {}
            _ => return Err(SendError::scheme()),
        }
        url.set_fragment(None);
        url.as_str().parse().map_err(SendError::url)
    }

    fn client(&self, uri: &Uri) -> Result<Client, SendError> {
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        let known = &self.clients[usize::from(is_https)];
        if let Some(client) = known.get() {
            return Ok(client.clone());
        }
        let client = client::new(!self.hanging_up, is_https)?;
        Ok(known.get_or_init(|| client).clone())
    }
}

setters! {
    impl Sender;

    /// Signs deliveries with this secret.
    secret(secret: Secret) sets secret: Some(secret);

    /// Sends without a signature, as HeyGen does to the `callback_url` of a single job.
    unsigned() sets secret: None;

    /// Sets the name of the signature header, for example `Heygen-Signature`. Default: `Signature`.
    header_name(name: impl Into<String>) sets header_name: name.into();

    /// Changes bodies after signing: an object gets `"tampered":true` as its first field, anything
    /// else a trailing space. A receiver that accepts it does not verify what it reads.
    tampered() sets tampered: true;

    /// Sends the signature header twice: first with a value that is wrong for every secret. A receiver
    /// must not crash on it.
    doubled_signature() sets doubled: true;

    /// Sends the first half of a body, and the second after this time.
    slow(pause: Duration) sets pace: Pace::Slow(pause);

    /// Closes the connection after the first half of a body.
    truncated() sets pace: Pace::Truncated;

    /// Sends to another URL. Everything else stays, including connections.
    to(url: impl Into<String>) sets url: url.into();

    /// Retries until the answer is 2xx or the policy ends. Default: [`RetryPolicy::once`].
    retry(policy: RetryPolicy) sets retry: policy;

    /// Sends each accepted body this many more times, as happens with at-least-once delivery.
    /// Default: 0.
    duplicates(count: u32) sets duplicates: count;

    /// Sets the timeout for the whole answer to a delivery. Default: [`TIMEOUT`](Self::TIMEOUT).
    timeout(timeout: Duration) sets timeout: timeout;

    /// Sets the timeout for the whole answer to a probe. Default:
    /// [`PROBE_TIMEOUT`](Self::PROBE_TIMEOUT).
    probe_timeout(timeout: Duration) sets probe_timeout: timeout;
}

/// What every attempt of one delivery sends.
struct Delivery {
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    pace: Pace,
}

impl Delivery {
    fn request(&self) -> Request<OutgoingBody> {
        let mut request = Request::new(OutgoingBody::new(self.body.clone(), self.pace));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

fn tamper(body: &Bytes) -> Bytes {
    match body.strip_prefix(b"{") {
        Some(rest) if rest.trim_ascii_start().starts_with(b"}") => {
            [b"{\"tampered\":true", rest].concat().into()
        }
        Some(rest) => [b"{\"tampered\":true,", rest].concat().into(),
        None => [body.as_ref(), b" "].concat().into(),
    }
}

/// One request with its answer or error.
async fn attempt(
    client: &Client,
    request: Request<OutgoingBody>,
    timeout: Duration,
    hanging_up: bool,
) -> Attempt {
    let started = Instant::now();
    let exchange = exchange(client, request, hanging_up);
    let result = tokio::time::timeout(timeout, exchange).await;
    Attempt {
        duration: started.elapsed(),
        result: result.unwrap_or_else(|_| Err(AttemptError::of(AttemptErrorKind::Timeout))),
    }
}

async fn exchange(
    client: &Client,
    request: Request<OutgoingBody>,
    hanging_up: bool,
) -> Result<Answer, AttemptError> {
    let response = client.request(request).await;
    let (head, mut incoming) = response.map_err(AttemptError::request)?.into_parts();
    if hanging_up {
        return Err(AttemptError::of(AttemptErrorKind::Dropped));
    }
    let mut body = Vec::new();
    while body.len() < Answer::MAX_BODY_BYTES
        && let Some(frame) = incoming.frame().await
    {
        let frame = frame.map_err(AttemptError::broken)?;
        body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    body.truncate(Answer::MAX_BODY_BYTES);
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: body.into(),
    })
}

const WRONG_SIGNATURE: HeaderValue =
    HeaderValue::from_static("0000000000000000000000000000000000000000000000000000000000000000");
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
