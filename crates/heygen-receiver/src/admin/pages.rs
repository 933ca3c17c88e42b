//! [`AdminPages`]: the pages of the admin listener.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use heygen_inbox::InboxAdmin;
#[cfg(feature = "metrics")]
use http::HeaderMap;
use http::uri::Authority;
use http::{StatusCode, header};

use super::readiness::{Readiness, Verdict};
#[cfg(feature = "metrics")]
use crate::metrics::Metrics;
#[cfg(feature = "metrics")]
use crate::metrics::exposition::asks_for_open_metrics;
use crate::observer::Observer;

/// The pages of the admin listener. Clones share their state.
///
/// | path | response |
/// |---|---|
/// | `/healthz` | 200 while the process lives |
/// | `/readyz` | 200 when the inbox commits within 2 s, checked at most once a second; else 503, also while the inbox is opened, after shutdown began or a part of the process ended ([`report_ended`](Self::report_ended)), or while a dispatcher stalls that these pages [observe](Observer::stalled). The body names the failed check, and says when dispatch is paused |
/// | `/metrics` | the metrics, if any: as `OpenMetrics` on request, else in Prometheus' text format |
///
/// GET and HEAD; other methods get 405, other paths 404. All but the metrics carry `Server:
/// heygen-webhooks`, which tells them from another program at the same address. A request whose `Host` is neither an
/// address, nor `localhost`, nor one of the [`hosts`](Self::hosts), gets 421: a web page could
/// resolve its own name to this machine (DNS rebinding) and read the pages. On a Unix socket, which no
/// page reaches, every `Host` is accepted.
pub struct AdminPages<I> {
    readiness: Arc<Readiness<I>>,
    is_ending: Arc<AtomicBool>,
    is_stalled: Arc<AtomicBool>,
    hosts: Arc<[String]>,
    /// The part that ended although it should not have.
    ended: Arc<OnceLock<&'static str>>,
    mounted: Router,
    #[cfg(feature = "metrics")]
    metrics: Option<Metrics>,
}

impl<I: InboxAdmin> AdminPages<I> {
    /// Pages about this inbox.
    #[must_use]
    pub fn new(inbox: I) -> Self {
        Self {
            readiness: Arc::new(Readiness::new(inbox)),
            is_ending: Arc::default(),
            is_stalled: Arc::default(),
            hosts: Arc::default(),
            ended: Arc::default(),
            mounted: Router::new(),
            #[cfg(feature = "metrics")]
            metrics: None,
        }
    }

    /// Serves these metrics at `/metrics`.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Accepts these names of this machine in `Host` too, such as that of a container or a service.
    #[must_use]
    pub fn hosts(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.hosts = names.into_iter().map(Into::into).collect();
        self
    }

    /// From now on `/readyz` answers 503, so that a load balancer sends nothing new.
    pub fn begin_shutdown(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// From now on `/readyz` answers 503 and names this part of the process, such as `dispatcher`,
    /// as unexpectedly ended. The first report counts.
    pub fn report_ended(&self, part: &'static str) {
        let _ = self.ended.set(part);
    }

    /// Serves these pages too, such as a dashboard, with the same check of `Host`.
    ///
    /// # Panics
    ///
    /// Panics when a path was mounted before; [`Admin::serve`](super::Admin::serve) panics when a
    /// path is in the table above.
    #[must_use]
    pub fn mount(mut self, pages: Router) -> Self {
        self.mounted = self.mounted.merge(pages);
        self
    }

    pub(super) fn router(self, checks_hosts: bool) -> Router {
        let hosts = Arc::clone(&self.hosts);
        let mounted = self.mounted.clone();
        let healthy = async || json(StatusCode::OK, r#"{"status":"ok"}"#);
        let router = Router::new()
            .route("/healthz", get(healthy))
            .route("/readyz", get(ready::<I>));
        #[cfg(feature = "metrics")]
        let router = match self.metrics.clone() {
            Some(metrics) => {
                let show = move |State(pages): State<Self>, headers: HeaderMap| async move {
                    show_metrics(&metrics, pages.readiness.inbox(), &headers).await
                };
                router.route("/metrics", get(show))
            }
            None => router,
        };
        let router = router
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(self)
            .merge(mounted)
            .fallback(async || json(StatusCode::NOT_FOUND, r#"{"error":"not found"}"#));
        if checks_hosts {
            router.layer(middleware::from_fn_with_state(hosts, reject_other_hosts))
        } else {
            router
        }
    }
}

async fn ready<I: InboxAdmin>(State(pages): State<AdminPages<I>>) -> Response {
    let is_ending = pages.is_ending.load(Ordering::Relaxed);
    let shutdown = if is_ending { "begun" } else { "ok" };
    if let Some(part) = pages.ended.get() {
        // The name becomes a JSON key, so quotes and backslashes are removed.
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
    let verdict = pages.readiness.verdict().await;
    let is_stalled = pages.is_stalled.load(Ordering::Relaxed);
    let (code, status) = match verdict {
        Verdict::Ok | Verdict::Paused if !is_stalled => (StatusCode::OK, "ready"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let inbox = verdict.as_str();
    let dispatch = match verdict {
        // Also where results cannot be recorded: the text stays, since monitors look for it.
        _ if is_stalled => r#""dispatch":"cannot claim deliveries","#,
        Verdict::Paused => r#""dispatch":"paused","#,
        _ => "",
    };
    let text = format!(
        r#"{{"status":"{status}","checks":{{"inbox":"{inbox}",{dispatch}"shutdown":"ok"}}}}"#
    );
    json(code, text)
}

#[cfg(feature = "metrics")]
async fn show_metrics(metrics: &Metrics, inbox: &impl InboxAdmin, headers: &HeaderMap) -> Response {
    let (text, kind) = if asks_for_open_metrics(headers) {
        (metrics.scrape(inbox).await, Metrics::CONTENT_TYPE)
    } else {
        (metrics.scrape_text(inbox).await, Metrics::TEXT_CONTENT_TYPE)
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::VARY, "accept")];
    (headers, text).into_response()
}

async fn method_not_allowed() -> Response {
    let rejected = json(
        StatusCode::METHOD_NOT_ALLOWED,
        r#"{"error":"method not allowed"}"#,
    );
    ([(header::ALLOW, "GET, HEAD")], rejected).into_response()
}

async fn reject_other_hosts(
    State(hosts): State<Arc<[String]>>,
    request: Request,
    next: Next,
) -> Response {
    if is_known_host(&request, &hosts) {
        return next.run(request).await;
    }
    json(
        StatusCode::MISDIRECTED_REQUEST,
        r#"{"error":"unknown host"}"#,
    )
}

/// For a process whose readiness is about dispatching, such as a worker: `/readyz` answers 503 while
/// its dispatcher stalls. A receiver stores what it is sent all the same.
impl<I: InboxAdmin> Observer for AdminPages<I> {
    fn stalled(&self, is_stalled: bool) {
        self.is_stalled.store(is_stalled, Ordering::Relaxed);
    }
}

impl<I> Clone for AdminPages<I> {
    fn clone(&self) -> Self {
        Self {
            readiness: Arc::clone(&self.readiness),
            is_ending: Arc::clone(&self.is_ending),
            is_stalled: Arc::clone(&self.is_stalled),
            hosts: Arc::clone(&self.hosts),
            ended: Arc::clone(&self.ended),
            mounted: self.mounted.clone(),
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

fn json(status: StatusCode, text: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::SERVER, "heygen-webhooks"),
    ];
    (status, headers, text.into()).into_response()
}

/// Whether the request names this machine. A request without `Host` must be HTTP/1.0, which no
/// browser sends.
fn is_known_host<B>(request: &http::Request<B>, names: &[String]) -> bool {
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(hosts: &[&str], expected: bool) {
        let mut request = http::Request::new(());
        for host in hosts {
            let host = HeaderValue::from_str(host).expect("a value");
            request.headers_mut().append(header::HOST, host);
        }
        let names = ["Metrics.Internal".to_owned()];
        assert_eq!(is_known_host(&request, &names), expected, "{hosts:?}");
    }

    #[test]
    fn only_addresses_localhost_and_configured_hosts_are_known() {
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
