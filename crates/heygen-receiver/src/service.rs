//! [`Receiver`]: verifies, stores and answers requests.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use heygen_inbox::{Appended, DeliveryId, Inbox, InboxErrorKind, NewDelivery};
use heygen_signature::Secrets;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

mod body;
mod encoding;
mod endpoint;
mod head;
mod rejection_log;
mod response;

use self::body::{Budget, Share};
use self::encoding::is_encoded;
use self::endpoint::Endpoint;
pub(crate) use self::head::MAX_HEADERS;
use self::rejection_log::RejectionLog;

use crate::callback_tokens::CallbackTokens;
use crate::delivery::{FORWARDED_ID, FORWARDED_VIA};
use crate::limits::Limits;
#[cfg(feature = "server")]
use crate::not_http::NotHttp;
use crate::observer::{ObservedDelivery, ObservedPost, Observer, Observers};
use crate::panics::catch_panic;
use crate::rejection::Rejection;
use crate::secrets::ActiveSecrets;
use crate::setters::setters;
use crate::unverified::Unverified;

/// Receives HeyGen's requests: verifies a delivery, stores it in the inbox, and only then answers
/// 200.
///
/// A cloneable [`tower` service](tower_service::Service) over `http` types: mount it in your own
/// server, or pass it to [`Server`](crate::Server). A [`Dispatcher`](crate::Dispatcher) dispatches
/// what it stores.
///
/// # Wire shape
///
/// | request | answer |
/// |---|---|
/// | OPTIONS, GET, HEAD on the path, with or without a trailing slash, with any query | 204 with `Allow`, also without a secret and while the inbox fails |
/// | POST, valid signature | 200 `{"status":"accepted","id":"…"}`, or `"duplicate"` |
/// | POST, signature missing, malformed, ambiguous or wrong | 401 |
/// | POST without a secret to verify with, inbox failing or full, limits reached | 503 with `Retry-After` |
/// | POST, body over the limit, too slow, compressed | 413, 408, 415 |
/// | POST that a handler forwarded back to a receiver that it came from, directly or over others | 508 |
/// | more than 100 headers | 431 |
/// | other method, other path | 405 with `Allow`, 404 |
///
/// `<path>/callbacks/<token>` works the same for each of the [`CallbackTokens`], except that
/// nothing is signed and no secret is needed. With any other token it is answered 404.
///
/// # Examples
///
/// In axum, next to your own routes:
///
/// ```
/// use axum::{Router, routing::get};
/// use heygen_inbox::MemoryInbox;
/// use heygen_receiver::{Receiver, Secret};
///
/// let receiver = Receiver::mounted(Secret::new("whsec_test")?, MemoryInbox::new());
/// let app: Router = Router::new()
///     .route("/", get(async || "hello"))
///     .route_service("/hooks/video", receiver);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Receiver<I> {
    shared: Arc<Shared<I>>,
}

/// The path, tokens, observers and limits of a receiver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceiverOptions {
    /// The path of deliveries, with or without a trailing slash. `None` accepts every path, for a
    /// router that has already chosen; route both spellings to the receiver. Default:
    /// `/webhooks/heygen`.
    ///
    /// With `None`, every path that ends in `/callbacks/<segment>` is that of a callback. If there
    /// are [`callback_tokens`](Self::callback_tokens), route `/hooks/callbacks/{token}` to the
    /// receiver too.
    pub path: Option<String>,
    /// The valid tokens of the callback path, whose requests are not signed. Default: none.
    pub callback_tokens: CallbackTokens,
    /// Notified of stored and rejected requests. Default: none.
    pub observers: Observers,
    /// Bounds on size, time, connections and memory.
    pub limits: Limits,
}

struct Shared<I> {
    inbox: I,
    secrets: ActiveSecrets,
    options: ReceiverOptions,
    budget: Budget,
    rejection_log: RejectionLog,
}

impl<I: Inbox> Receiver<I> {
    /// Receives deliveries at `/webhooks/heygen`, within the default [`Limits`].
    ///
    /// In a router of your own use [`mounted`](Self::mounted), since this one answers 404 on any
    /// other path.
    #[must_use]
    pub fn new(secrets: impl Into<ActiveSecrets>, inbox: I) -> Self {
        Self::with(secrets, inbox, ReceiverOptions::default())
    }

    /// Receives deliveries on every path, for a router that has already chosen one.
    #[must_use]
    pub fn mounted(secrets: impl Into<ActiveSecrets>, inbox: I) -> Self {
        Self::with(secrets, inbox, ReceiverOptions::default().with_path(None))
    }

    /// A receiver with these options.
    #[must_use]
    pub fn with(secrets: impl Into<ActiveSecrets>, inbox: I, options: ReceiverOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                inbox,
                secrets: secrets.into(),
                budget: Budget::new(
                    options.limits.max_buffered_bytes,
                    options.limits.max_connections,
                ),
                options,
                rejection_log: RejectionLog::default(),
            }),
        }
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.options.limits
    }

    /// Answers one request. Never fails: the status of the response says what is wrong.
    pub async fn receive<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send,
    {
        match self.shared.route(&request) {
            Route::Probe => response::probe(),
            Route::Deliver(endpoint) => match self.shared.deliver(request, endpoint).await {
                Ok(appended) => response::stored(appended),
                Err(rejected) => self.shared.answer(rejected),
            },
            Route::Misdirected => self.shared.answer(self.shared.misdirected(request).await),
            Route::Reject(rejection) => {
                let is_unread = !request.body().is_end_stream();
                self.shared.answer(self.shared.rejected(
                    rejection,
                    request.method(),
                    request.headers(),
                    is_unread,
                ))
            }
        }
    }

    /// Answers one request of a connection over the limit: probes pass, deliveries get 503 unread.
    #[cfg(feature = "server")]
    pub(crate) fn shed<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let rejection = match self.shared.route(request) {
            Route::Probe => return response::probe(),
            Route::Deliver(_) => Rejection::Overloaded,
            Route::Misdirected => Rejection::NotFound,
            Route::Reject(rejection) => rejection,
        };
        self.shared.answer(self.shared.rejected(
            rejection,
            request.method(),
            request.headers(),
            true,
        ))
    }

    /// Counts a request that hyper rejected for the size of its headers.
    #[cfg(feature = "server")]
    pub(crate) fn headers_were_rejected(&self) {
        self.shared.notify(Rejection::HeadersTooLarge, None);
    }

    /// Logs what came instead of a request, and may have been meant to be one of HeyGen's.
    #[cfg(feature = "server")]
    pub(crate) fn was_not_http(&self, found: NotHttp) {
        self.shared.rejection_log.not_http(found);
    }
}

enum Route {
    Probe,
    Deliver(Endpoint),
    /// A POST with a well-formed signature to a path that is not served.
    Misdirected,
    Reject(Rejection),
}

/// A request that was rejected.
#[derive(Clone, Copy)]
struct Rejected {
    rejection: Rejection,
    /// Whether part of it may still arrive, so that the connection cannot be reused.
    is_unread: bool,
}

impl<I> Shared<I> {
    fn route<B>(&self, request: &Request<B>) -> Route {
        if request.headers().len() > MAX_HEADERS {
            return Route::Reject(Rejection::HeadersTooLarge);
        }
        let (own, tokens) = (&self.options.path, &self.options.callback_tokens);
        let Some(endpoint) = Endpoint::of(request.uri().path(), own.as_deref(), tokens) else {
            return if is_signed_post(request.method(), request.headers()) {
                Route::Misdirected
            } else {
                Route::Reject(Rejection::NotFound)
            };
        };
        match *request.method() {
            Method::POST => Route::Deliver(endpoint),
            Method::OPTIONS | Method::GET | Method::HEAD => Route::Probe,
            _ => Route::Reject(Rejection::MethodNotAllowed),
        }
    }

    fn answer(&self, rejected: Rejected) -> Response<Full<Bytes>> {
        let Rejected {
            rejection,
            is_unread,
        } = rejected;
        response::rejected(rejection, self.options.limits.retry_after, is_unread)
    }

    /// Notifies the observers of a rejection whose label is the reason, and logs it if the request
    /// may be HeyGen's.
    fn notify(&self, rejection: Rejection, post: Option<ObservedPost<'_>>) {
        if post.as_ref().is_some_and(ObservedPost::is_signed) {
            self.log(rejection);
        }
        let observers = &self.options.observers;
        observers.rejected(rejection, rejection.label(), post);
    }

    /// Reports a rejected request whose body was not read.
    fn rejected(
        &self,
        rejection: Rejection,
        method: &Method,
        headers: &HeaderMap,
        is_unread: bool,
    ) -> Rejected {
        let post = is_signed_post(method, headers).then(|| ObservedPost::new(headers));
        self.notify(rejection, post);
        Rejected {
            rejection,
            is_unread,
        }
    }

    fn log(&self, rejection: Rejection) {
        let path = self.options.path.as_deref();
        self.rejection_log.rejected(rejection, path);
    }

    /// Rejects a POST whatever its body. Reads the body if it may be HeyGen's, so that it can be
    /// verified and stored after the cause is fixed.
    async fn reject<B>(
        &self,
        rejection: Rejection,
        headers: &HeaderMap,
        body: B,
        mut share: Share,
    ) -> Rejected
    where
        B: Body<Data = Bytes> + Send,
    {
        let limits = &self.options.limits;
        let mut is_unread = !body.is_end_stream();
        let mut post = ObservedPost::new(headers);
        let read = match post.is_signed()
            && rejection.reads_signed_body()
            && body::check_declared_len(&body, limits).is_ok()
        {
            true => body::read(body, limits, &mut share).await.ok(),
            false => None,
        };
        if read.is_some() {
            is_unread = false;
        }
        post.body = read.as_ref();
        self.notify(rejection, Some(post));
        Rejected {
            rejection,
            is_unread,
        }
    }

    async fn misdirected<B>(&self, request: Request<B>) -> Rejected
    where
        B: Body<Data = Bytes> + Send,
    {
        let (headers, body) = detach(request);
        let mut share = self.budget.share();
        // Without room for its headers there is none for its body, but it is reported anyway.
        let rejection = Rejection::NotFound;
        match share.take(head::cost(&headers)) {
            Ok(()) => self.reject(rejection, &headers, body, share).await,
            Err(_) => self.rejected(rejection, &Method::POST, &headers, !body.is_end_stream()),
        }
    }
}

impl<I: Inbox> Shared<I> {
    async fn deliver<B>(
        self: &Arc<Self>,
        request: Request<B>,
        endpoint: Endpoint,
    ) -> Result<Appended, Rejected>
    where
        B: Body<Data = Bytes> + Send,
    {
        let (headers, body) = detach(request);
        let forwarded = [FORWARDED_ID, FORWARDED_VIA].map(|name| headers.get(name).cloned());
        let mut share = self.budget.share();
        let limits = self.limits();
        let secrets = match self.check(&headers, &body, endpoint, &limits, &mut share) {
            Ok(secrets) => secrets,
            Err(rejection) => return Err(self.reject(rejection, &headers, body, share).await),
        };
        let read = body::read(body, &limits, &mut share).await;
        let body = read.map_err(|rejection| {
            self.notify(rejection, Some(ObservedPost::new(&headers)));
            Rejected {
                rejection,
                is_unread: true,
            }
        })?;
        let received_at = SystemTime::now();
        let is_read = |rejection| Rejected {
            rejection,
            is_unread: false,
        };

        let unverified = Unverified::new(headers, body);
        if let Some(secrets) = secrets
            && let Err(error) = unverified.check(&secrets)
        {
            let kind = error.kind();
            let diagnosis = self.rejection_log.unauthorized(kind, &unverified, &secrets);
            self.options.observers.rejected(
                Rejection::Unauthorized,
                kind.label(),
                Some(unverified.observed(diagnosis.as_ref())),
            );
            return Err(is_read(Rejection::Unauthorized));
        }
        // Signed, or sent to an address with a valid token.
        let accepted = unverified.accept();
        let headers = accepted.headers();
        let delivery = NewDelivery::new(
            received_at,
            endpoint.source(),
            headers,
            accepted.into_body(),
        );
        let stored = self
            .store(delivery, share)
            .await
            .and_then(|appended| match appended {
                Appended::Duplicate(id) if is_among(id, &forwarded) => Err(Rejection::Loop),
                appended => Ok(appended),
            });
        stored.map_err(|rejection| {
            self.notify(rejection, None);
            if matches!(rejection, Rejection::Overloaded | Rejection::Loop) {
                self.log(rejection);
            }
            is_read(rejection)
        })
    }

    /// Its limits, with the longest body that the inbox takes: a longer one is rejected for its
    /// length, and not each time it is sent again. An inbox knows that once it is open.
    fn limits(&self) -> Limits {
        let mut limits = self.options.limits.clone();
        if let Some(max_body_bytes) = self.inbox.max_body_bytes() {
            limits.max_body_bytes = limits.max_body_bytes.min(max_body_bytes);
        }
        limits
    }

    /// The checks before the body is read. Returns the secrets to verify it with, unless it is a
    /// callback.
    fn check<B>(
        &self,
        headers: &HeaderMap,
        body: &B,
        endpoint: Endpoint,
        limits: &Limits,
        share: &mut Share,
    ) -> Result<Option<Arc<Secrets>>, Rejection>
    where
        B: Body<Data = Bytes> + Send,
    {
        share.take(head::cost(headers))?;
        if is_encoded(headers) {
            return Err(Rejection::EncodedBody);
        }
        body::check_declared_len(body, limits)?;
        match endpoint {
            Endpoint::Webhook => Ok(Some(self.secrets.get().ok_or(Rejection::NoSecret)?)),
            Endpoint::Callback => Ok(None),
        }
    }

    async fn store(
        self: &Arc<Self>,
        delivery: NewDelivery,
        share: Share,
    ) -> Result<Appended, Rejection> {
        let source = delivery.source();
        let observers = &self.options.observers;
        let (drift, event_type) = match observers.is_empty() {
            true => (Vec::new(), None),
            false => {
                let event_type = delivery.event_type().map(ToOwned::to_owned);
                (delivery.drift().to_vec(), event_type)
            }
        };
        let outcome = delivery.outcome();
        let clock = Instant::now();
        let shared = Arc::clone(self);
        let mut append = Box::pin(async move {
            let appended = catch_panic(async { shared.inbox.append(delivery).await }).await;
            // A delivery that waits for the inbox still uses memory.
            drop(share);
            appended
        });
        let stored = tokio::time::timeout(self.options.limits.commit_timeout, &mut append).await;
        let Ok(stored) = stored else {
            tracing::error!(
                "inbox took too long to store a delivery; answered 503, so HeyGen sends it again"
            );
            // It continues in the background, and its memory stays counted.
            tokio::spawn(append);
            return Err(Rejection::NotStored);
        };
        let appended = stored.map_err(|error| match error.kind() {
            InboxErrorKind::Busy => Rejection::Overloaded,
            // The inbox logs the failure, once for all deliveries of a commit.
            _ => Rejection::NotStored,
        })?;
        observers.stored(&ObservedDelivery {
            appended,
            source,
            event_type: event_type.as_deref(),
            outcome,
            commit_time: clock.elapsed(),
            drift: &drift,
        });
        Ok(appended)
    }
}

impl<I> Clone for Receiver<I> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<I> fmt::Debug for Receiver<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

setters! {
    ReceiverOptions {
        with_path sets path: Option<String>;
        with_callback_tokens sets callback_tokens: CallbackTokens;
        with_limits sets limits: Limits;
    }
}

impl ReceiverOptions {
    /// Adds an observer.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer) -> Self {
        self.observers.add(observer);
        self
    }
}

impl Default for ReceiverOptions {
    fn default() -> Self {
        Self {
            path: Some(DEFAULT_PATH.to_owned()),
            callback_tokens: CallbackTokens::none(),
            observers: Observers::default(),
            limits: Limits::default(),
        }
    }
}

impl<I, B> Service<Request<B>> for Receiver<I>
where
    I: Inbox,
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let receiver = self.clone();
        Box::pin(async move { Ok(receiver.receive(request).await) })
    }
}

/// The headers that are needed while the body is received, and the body.
fn detach<B>(request: Request<B>) -> (HeaderMap, B) {
    let (head, body) = request.into_parts();
    (head::detached(&head.headers), body)
}

/// Whether the receivers that a delivery came through stored it under this id.
fn is_among(id: DeliveryId, forwarded: &[Option<HeaderValue>]) -> bool {
    let ids = forwarded
        .iter()
        .flatten()
        .filter_map(|ids| ids.to_str().ok());
    let mut ids = ids.flat_map(|ids| ids.split(','));
    let id = id.to_string();
    ids.any(|other| other.trim() == id)
}

fn is_signed_post(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::POST && ObservedPost::new(headers).is_signed()
}

const DEFAULT_PATH: &str = "/webhooks/heygen";
