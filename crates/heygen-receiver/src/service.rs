//! [`Receiver`]: one request in, verified, kept, answered.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use heygen_inbox::{Appended, Inbox, InboxErrorKind, NewDelivery};
use heygen_signature::Secrets;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

mod answer;
mod body;
mod encoding;
mod endpoint;
mod head;
mod rejection_log;

use self::body::{Budget, Share};
use self::encoding::is_encoded;
use self::endpoint::Endpoint;
pub(crate) use self::head::MAX_HEADERS;
use self::rejection_log::RejectionLog;

use crate::callback_tokens::CallbackTokens;
use crate::caught::caught;
use crate::limits::Limits;
use crate::observer::{ObservedDelivery, ObservedPost, Observers};
use crate::rejection::Rejection;
use crate::secrets::ActiveSecrets;
use crate::unverified::Unverified;

/// Takes HeyGen's requests: verifies a delivery, keeps it in the inbox, and only then answers 200.
///
/// A cloneable [`tower` service](tower_service::Service) over `http` types: mount it in a server of your own, or give it to
/// [`Server`](crate::Server). What was kept is handed to your code by a [`Dispatcher`](crate::Dispatcher).
///
/// # Wire shape
///
/// | request | answer |
/// |---|---|
/// | OPTIONS, GET, HEAD on the path, with or without a final slash, with any query | 204 with `Allow`, whatever the state of secrets and inbox |
/// | POST, valid signature | 200 `{"status":"accepted","id":"…"}`, or `"duplicate"` when it was here before |
/// | POST, signature missing, malformed, ambiguous or wrong | 401 |
/// | POST with no secret in force, inbox failing or full, too much under way | 503 with `Retry-After` |
/// | POST, body over the limit, too slow, encoded | 413, 408, 415 |
/// | more than 100 headers | 431 |
/// | other method, other path | 405 with `Allow`, 404 |
///
/// The same at `<path>/callbacks/<token>` under each of the [`CallbackTokens`], but that nothing has to be signed and no
/// secret be known. Under any other token that path is like any other: 404.
///
/// # Examples
///
/// In axum, beside your own routes:
///
/// ```
/// use axum::{Router, routing::get};
/// use heygen_inbox::MemoryInbox;
/// use heygen_receiver::{Receiver, Secret};
///
/// let receiver = Receiver::new(Secret::new("whsec_test")?, MemoryInbox::new());
/// let app: Router = Router::new()
///     .route("/", get(async || "hello"))
///     .route_service("/webhooks/heygen", receiver);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Receiver<I> {
    shared: Arc<Shared<I>>,
}

/// Where a receiver listens within its server, and how much it takes on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceiverOptions {
    /// The path deliveries come to, with or without a final slash; `None` when a router around it has chosen already, which then
    /// should lead both spellings here. Default: `/webhooks/heygen`.
    ///
    /// With `None`, a path whose last segment but one is `callbacks` is that of a callback, whatever stands before; so give the
    /// receiver a route such as `/hooks/callbacks/{token}` too, where there are [`callback_tokens`](Self::callback_tokens).
    pub path: Option<String>,
    /// The tokens that open the path of callbacks, which nobody signs. Default: none.
    pub callback_tokens: CallbackTokens,
    /// Who is told what happens. Default: nobody.
    pub observers: Observers,
    /// How much it takes on, and for how long.
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
    /// Takes deliveries at `/webhooks/heygen`, within the default [`Limits`].
    #[must_use]
    pub fn new(secrets: impl Into<ActiveSecrets>, inbox: I) -> Self {
        Self::with(secrets, inbox, ReceiverOptions::default())
    }

    /// Takes deliveries as `options` say.
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

    /// The limits it works within.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.options.limits
    }

    /// Answers one request. Never fails: whatever is wrong becomes the answer's status.
    pub async fn receive<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send,
    {
        match self.shared.route(&request) {
            Route::Probe => answer::probe(),
            Route::Deliver(endpoint) => match self.shared.deliver(request, endpoint).await {
                Ok(appended) => answer::kept(appended),
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

    /// Answers one request of a connection over the limit: probes pass, deliveries are sent away without being read.
    pub(crate) fn shed<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let rejection = match self.shared.route(request) {
            Route::Probe => return answer::probe(),
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

    /// Counts a request that the connection has refused for its headers, before anything of it was known.
    pub(crate) fn headers_were_refused(&self) {
        self.shared.tell(Rejection::HeadersTooLarge, None);
    }
}

enum Route {
    Probe,
    Deliver(Endpoint),
    /// A post with a well-formed signature that came to a path that is none of ours.
    Misdirected,
    Reject(Rejection),
}

/// A request that was rejected.
#[derive(Clone, Copy)]
struct Rejected {
    rejection: Rejection,
    /// Whether part of it may still be on its way, so that the connection cannot be used again.
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
        answer::rejected(rejection, self.options.limits.retry_after, is_unread)
    }

    /// Tells the observers of a request that was turned away for what its label says.
    fn tell(&self, rejection: Rejection, post: Option<ObservedPost<'_>>) {
        let observers = &self.options.observers;
        observers.rejected(rejection, rejection.label(), post);
    }

    /// Tells of a request of which no body was read; the log too, where it may be HeyGen's.
    fn rejected(
        &self,
        rejection: Rejection,
        method: &Method,
        headers: &HeaderMap,
        is_unread: bool,
    ) -> Rejected {
        let post = is_signed_post(method, headers).then(|| {
            self.log(rejection);
            ObservedPost::new(headers)
        });
        self.tell(rejection, post);
        Rejected {
            rejection,
            is_unread,
        }
    }

    fn log(&self, rejection: Rejection) {
        let path = self.options.path.as_deref();
        self.rejection_log.rejected(rejection, path);
    }

    /// Reads the body of a post that is rejected whatever it holds, if it may be HeyGen's: so that it can be verified, and
    /// stored, once what is in the way is gone.
    async fn turn_away<B>(
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
        let is_signed = is_signed_post(&Method::POST, headers);
        let mut is_unread = !body.is_end_stream();
        let mut post = ObservedPost::new(headers);
        let read = match is_signed
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
        if is_signed {
            self.log(rejection);
        }
        self.tell(rejection, Some(post));
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
        // Where there is no room for its headers there is none for its body: it is told of all the same.
        let rejection = Rejection::NotFound;
        match share.take(head::cost(&headers)) {
            Ok(()) => self.turn_away(rejection, &headers, body, share).await,
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
        let mut share = self.budget.share();
        let secrets = match self.check(&headers, &body, endpoint, &mut share) {
            Ok(secrets) => secrets,
            Err(rejection) => return Err(self.turn_away(rejection, &headers, body, share).await),
        };
        let read = body::read(body, &self.options.limits, &mut share).await;
        let body = read.map_err(|rejection| self.rejected_within_body(rejection, &headers))?;
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
        // Signed, or come to an address that only those know who may send.
        let accepted = unverified.accept();
        let headers = accepted.headers();
        let delivery = NewDelivery::new(
            received_at,
            endpoint.source(),
            headers,
            accepted.into_body(),
        );
        self.keep(delivery, share).await.map_err(|rejection| {
            self.tell(rejection, None);
            if rejection == Rejection::Overloaded {
                self.log(rejection);
            }
            is_read(rejection)
        })
    }

    /// What can be known before the body is: the secrets to check it against, where its way in asks for a signature.
    fn check<B>(
        &self,
        headers: &HeaderMap,
        body: &B,
        endpoint: Endpoint,
        share: &mut Share,
    ) -> Result<Option<Arc<Secrets>>, Rejection>
    where
        B: Body<Data = Bytes> + Send,
    {
        share.take(head::cost(headers))?;
        if is_encoded(headers) {
            return Err(Rejection::EncodedBody);
        }
        body::check_declared_len(body, &self.options.limits)?;
        match endpoint {
            Endpoint::Webhook => Ok(Some(self.secrets.get().ok_or(Rejection::NoSecret)?)),
            Endpoint::Callback => Ok(None),
        }
    }

    /// Tells of a post whose body was not read to its end.
    fn rejected_within_body(&self, rejection: Rejection, headers: &HeaderMap) -> Rejected {
        self.tell(rejection, Some(ObservedPost::new(headers)));
        if is_signed_post(&Method::POST, headers) {
            self.log(rejection);
        }
        Rejected {
            rejection,
            is_unread: true,
        }
    }

    async fn keep(
        self: &Arc<Self>,
        delivery: NewDelivery,
        share: Share,
    ) -> Result<Appended, Rejection> {
        let source = delivery.source();
        let observers = &self.options.observers;
        let drift = match observers.is_empty() {
            true => Vec::new(),
            false => delivery.drift().to_vec(),
        };
        let clock = Instant::now();
        let shared = Arc::clone(self);
        let mut append = Box::pin(async move {
            let appended = caught(async { shared.inbox.append(delivery).await }).await;
            // What waits for the inbox is memory too.
            drop(share);
            appended
        });
        let kept = tokio::time::timeout(self.options.limits.commit_timeout, &mut append).await;
        let Ok(kept) = kept else {
            tracing::error!(
                "the inbox took too long to keep a delivery; HeyGen is told to send it again"
            );
            // It waits on, and its memory is counted for as long.
            tokio::spawn(append);
            return Err(Rejection::NotStored);
        };
        let appended = kept.map_err(|error| match error.kind() {
            InboxErrorKind::Busy => Rejection::Overloaded,
            // The inbox has told the log what happened, once for everything that failed with it.
            _ => Rejection::NotStored,
        })?;
        observers.kept(&ObservedDelivery {
            appended,
            source,
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

/// What is needed of a request while its body is waited for.
fn detach<B>(request: Request<B>) -> (HeaderMap, B) {
    let (head, body) = request.into_parts();
    (head::detached(&head.headers), body)
}

fn is_signed_post(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::POST && ObservedPost::new(headers).is_signed()
}

const DEFAULT_PATH: &str = "/webhooks/heygen";
