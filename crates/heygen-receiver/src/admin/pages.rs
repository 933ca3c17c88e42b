//! [`AdminPages`]: what the admin listener answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use heygen_inbox::Inbox;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use super::readiness::{Readiness, Verdict};
#[cfg(feature = "metrics")]
use crate::Metrics;

/// What the admin listener answers. Clones share it.
///
/// | path | answer |
/// |---|---|
/// | `/healthz` | 200 while the process lives |
/// | `/readyz` | 200 when the inbox commits within 2 s, asked at most once a second; else 503, and 503 once shutdown has begun. The body tells which check failed |
/// | `/metrics` | the metrics, where there are some |
///
/// GET and HEAD; other methods are answered 405, other paths 404.
pub struct AdminPages<I> {
    readiness: Arc<Readiness<I>>,
    is_ending: Arc<AtomicBool>,
    #[cfg(feature = "metrics")]
    metrics: Option<Metrics>,
}

impl<I: Inbox> AdminPages<I> {
    /// Tells of this inbox.
    #[must_use]
    pub fn new(inbox: I) -> Self {
        Self {
            readiness: Arc::new(Readiness::new(inbox)),
            is_ending: Arc::default(),
            #[cfg(feature = "metrics")]
            metrics: None,
        }
    }

    /// Shows these at `/metrics`.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// From now on `/readyz` answers 503, so that nothing new is sent here.
    pub fn begin_shutdown(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let is_known = match path {
            "/healthz" | "/readyz" => true,
            "/metrics" => self.has_metrics(),
            _ => false,
        };
        if !is_known {
            return json(StatusCode::NOT_FOUND, r#"{"error":"not found"}"#);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = json(
                StatusCode::METHOD_NOT_ALLOWED,
                r#"{"error":"method not allowed"}"#,
            );
            response.headers_mut().insert(header::ALLOW, ALLOWED);
            return response;
        }
        match path {
            "/healthz" => json(StatusCode::OK, r#"{"status":"ok"}"#),
            "/readyz" => self.ready().await,
            _ => self.show_metrics().await,
        }
    }

    async fn ready(&self) -> Response<Full<Bytes>> {
        if self.is_ending.load(Ordering::Relaxed) {
            let text = r#"{"status":"not ready","checks":{"shutdown":"begun"}}"#;
            return json(StatusCode::SERVICE_UNAVAILABLE, text);
        }
        let verdict = self.readiness.verdict().await;
        let (code, status) = match verdict {
            Verdict::Ok => (StatusCode::OK, "ready"),
            Verdict::Busy | Verdict::Failed | Verdict::TimedOut => {
                (StatusCode::SERVICE_UNAVAILABLE, "not ready")
            }
        };
        let inbox = verdict.as_str();
        let text =
            format!(r#"{{"status":"{status}","checks":{{"inbox":"{inbox}","shutdown":"ok"}}}}"#);
        json(code, text)
    }

    #[cfg(feature = "metrics")]
    fn has_metrics(&self) -> bool {
        self.metrics.is_some()
    }

    #[cfg(not(feature = "metrics"))]
    #[expect(clippy::unused_self, reason = "the other one looks")]
    fn has_metrics(&self) -> bool {
        false
    }

    async fn show_metrics(&self) -> Response<Full<Bytes>> {
        #[cfg(feature = "metrics")]
        if let Some(metrics) = &self.metrics {
            let text = metrics.scrape(self.readiness.inbox()).await;
            let mut response = Response::new(Full::from(text));
            let kind = HeaderValue::from_static(Metrics::CONTENT_TYPE);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            return response;
        }
        json(StatusCode::NOT_FOUND, r#"{"error":"not found"}"#)
    }
}

impl<I> Clone for AdminPages<I> {
    fn clone(&self) -> Self {
        Self {
            readiness: Arc::clone(&self.readiness),
            is_ending: Arc::clone(&self.is_ending),
            #[cfg(feature = "metrics")]
            metrics: self.metrics.clone(),
        }
    }
}

impl<I> fmt::Debug for AdminPages<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminPages")
            .field("is_ending", &self.is_ending)
            .finish_non_exhaustive()
    }
}

fn json(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD");
