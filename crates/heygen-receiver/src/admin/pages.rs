//! [`AdminPages`]: what the admin listener answers.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use heygen_inbox::InboxAdmin;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use super::readiness::{Readiness, Verdict};
#[cfg(feature = "metrics")]
use crate::Metrics;
#[cfg(feature = "metrics")]
use crate::metrics::exposition::asks_for_open_metrics;

/// What the admin listener answers. Clones share it.
///
/// | path | answer |
/// |---|---|
/// | `/healthz` | 200 while the process lives |
/// | `/readyz` | 200 when the inbox commits within 2 s, asked at most once a second; else 503, and 503 once shutdown has begun or a part of the process has ended ([`report_ended`](Self::report_ended)). The body tells which check failed |
/// | `/metrics` | the metrics, where there are some: as `OpenMetrics` for who asks for that, else in Prometheus' text format |
///
/// GET and HEAD; other methods are answered 405, other paths 404. A request whose `Host` is neither an address, nor
/// `localhost`, nor one of the [`hosts`](Self::hosts), is answered 421: a page in somebody's browser can have a name of its own
/// lead here, and would read what stands here.
pub struct AdminPages<I> {
    readiness: Arc<Readiness<I>>,
    is_ending: Arc<AtomicBool>,
    hosts: Arc<[String]>,
    /// What ended although it should not have.
    ended: Arc<OnceLock<&'static str>>,
    #[cfg(feature = "metrics")]
    metrics: Option<Metrics>,
}

impl<I: InboxAdmin> AdminPages<I> {
    /// Tells of this inbox.
    #[must_use]
    pub fn new(inbox: I) -> Self {
        Self {
            readiness: Arc::new(Readiness::new(inbox)),
            is_ending: Arc::default(),
            hosts: Arc::default(),
            ended: Arc::default(),
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

    /// Answers under these names too, which stand for this machine where it is asked from: that of a container or a service.
    #[must_use]
    pub fn hosts(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hosts = names.into_iter().map(Into::into).collect();
        self
    }

    /// From now on `/readyz` answers 503, so that nothing new is sent here.
    pub fn begin_shutdown(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// From now on `/readyz` answers 503 and names this part of the process, such as `dispatcher`,
    /// as the one that ended although nothing asked it to. Of several the first counts.
    pub fn report_ended(&self, part: &'static str) {
        let _ = self.ended.set(part);
    }

    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if !is_host_of_ours(request, &self.hosts) {
            return json(
                StatusCode::MISDIRECTED_REQUEST,
                r#"{"error":"unknown host"}"#,
            );
        }
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
            _ => self.show_metrics(request.headers()).await,
        }
    }

    async fn ready(&self) -> Response<Full<Bytes>> {
        let is_ending = self.is_ending.load(Ordering::Relaxed);
        let shutdown = if is_ending { "begun" } else { "ok" };
        if let Some(part) = self.ended.get() {
            // Its name is a key: nothing in it may end the string.
            let part: String = part.chars().filter(|c| !r#"\""#.contains(*c)).collect();
            let text = format!(
                r#"{{"status":"not ready","checks":{{"{part}":"ended","shutdown":"{shutdown}"}}}}"#
            );
            return json(StatusCode::SERVICE_UNAVAILABLE, text);
        }
        if is_ending {
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

    #[cfg_attr(
        not(feature = "metrics"),
        expect(unused_variables, reason = "the other one reads them")
    )]
    async fn show_metrics(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        #[cfg(feature = "metrics")]
        if let Some(metrics) = &self.metrics {
            let inbox = self.readiness.inbox();
            let (text, kind) = match asks_for_open_metrics(headers) {
                true => (metrics.scrape(inbox).await, Metrics::CONTENT_TYPE),
                false => (metrics.scrape_text(inbox).await, Metrics::TEXT_CONTENT_TYPE),
            };
            let mut response = Response::new(Full::from(text));
            let kind = HeaderValue::from_static(kind);
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response.headers_mut().insert(header::VARY, ACCEPT);
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
            hosts: Arc::clone(&self.hosts),
            ended: Arc::clone(&self.ended),
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

/// Whether who asks means this machine. The clients that send no `Host` at all speak HTTP/1.0, and no browser is among them.
fn is_host_of_ours<B>(request: &Request<B>, names: &[String]) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => return request.version() == http::Version::HTTP_10,
        (Some(host), None) => host,
        (Some(_), Some(_)) => return false,
    };
    let authority = host
        .to_str()
        .ok()
        .and_then(|host| host.parse::<Authority>().ok());
    let Some(authority) = authority.filter(|authority| !authority.as_str().contains('@')) else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.strip_suffix('.').unwrap_or(host);
    address.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| {
            let known = known.strip_suffix('.').unwrap_or(known);
            known.eq_ignore_ascii_case(name)
        })
}

#[cfg(feature = "metrics")]
const ACCEPT: HeaderValue = HeaderValue::from_static("accept");
const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD");

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(hosts: &[&str], expected: bool) {
        let mut request = Request::new(());
        for host in hosts {
            let host = HeaderValue::from_str(host).expect("a value");
            request.headers_mut().append(header::HOST, host);
        }
        let names = ["Metrics.Internal".to_owned()];
        assert_eq!(is_host_of_ours(&request, &names), expected, "{hosts:?}");
    }

    #[test]
    fn names_that_lead_here_by_somebody_elses_will_are_unknown() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:9180",
            "10.1.2.3:80",
            "[::1]",
            "[::1]:9180",
            "localhost",
            "LOCALHOST:9180",
            "localhost.",
            "metrics.internal",
            "metrics.internal.:9180",
        ] {
            check(&[host], true);
        }
        for host in [
            "attacker.example",
            "attacker.example:9180",
            "localhost.attacker.example",
            "x.localhost",
            "127.0.0.1.attacker.example",
            "127.0.0.1@attacker.example",
            "a@127.0.0.1",
            "",
            "a b",
            "evil.metrics.internal",
        ] {
            check(&[host], false);
        }
        check(&[], false);
        check(&["127.0.0.1", "attacker.example"], false);
    }
}
