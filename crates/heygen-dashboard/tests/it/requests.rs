//! What is answered to requests that no page of ours makes.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use heygen_dashboard::{Dashboard, Token};
use heygen_inbox::{Inbox as _, InboxAdmin as _, MemoryInbox, NewDelivery, Query, Source, State};
use http::request::Builder;
use http::{Request, StatusCode, header};
use tower_service::Service as _;

use crate::support::{TOKEN, fail};

async fn ask(dashboard: Dashboard, request: Builder) -> Response {
    let request = request.body(Body::empty()).unwrap();
    dashboard.router().call(request).await.unwrap()
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn dashboard() -> Dashboard {
    Dashboard::new(MemoryInbox::new())
}

fn with_token(dashboard: Dashboard) -> Dashboard {
    dashboard.token(Token::new(TOKEN).unwrap())
}

fn get(path: &str) -> Builder {
    Request::get(path).header(header::HOST, "127.0.0.1")
}

#[tokio::test]
async fn only_known_hosts_are_answered() {
    for (host, expected) in [
        ("127.0.0.1:9180", StatusCode::OK),
        ("localhost", StatusCode::OK),
        ("hooks.internal", StatusCode::OK),
        ("attacker.example", StatusCode::MISDIRECTED_REQUEST),
    ] {
        let dashboard = dashboard().hosts(["hooks.internal"]);
        let request = Request::get("/").header(header::HOST, host);
        assert_eq!(ask(dashboard, request).await.status(), expected, "{host}");
    }
}

#[tokio::test]
async fn what_comes_through_a_proxy_needs_a_token() {
    for name in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
        let proxied = |path| get(path).header(name, "for=203.0.113.7");
        for path in ["/", "/deliveries", "/changes"] {
            let response = ask(dashboard(), proxied(path)).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{name} {path}");
            assert!(text(response).await.contains("--admin-token-file"));
        }
        let bearer = format!("Bearer {TOKEN}");
        let request = proxied("/").header(header::AUTHORIZATION, bearer);
        let response = ask(with_token(dashboard()), request).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        let response = ask(dashboard().behind_proxy(), proxied("/")).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
    }
}

#[tokio::test]
async fn other_sites_may_link_and_load_nothing() {
    for (mode, expected) in [
        ("navigate", StatusCode::OK),
        ("no-cors", StatusCode::FORBIDDEN),
    ] {
        let request = get("/deliveries")
            .header("sec-fetch-site", "cross-site")
            .header("sec-fetch-mode", mode);
        assert_eq!(ask(dashboard(), request).await.status(), expected, "{mode}");
    }
}

#[tokio::test]
async fn streams_leave_connections_for_others() {
    let mut router = dashboard().router();
    let mut open = Vec::new();
    for _ in 0..32 {
        let request = get("/changes").body(Body::empty()).unwrap();
        let response = router.call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response);
    }
    let request = || get("/changes").body(Body::empty()).unwrap();
    let response = router.call(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(open);
    let response = router.call(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn changes_come_from_these_pages_alone() {
    let inbox = Arc::new(MemoryInbox::new());
    let (now, body) = (SystemTime::now(), fail("a", "no credit").into());
    let delivery = NewDelivery::new(now, Source::Webhook, Vec::new(), body);
    let id = inbox.append(delivery).await.unwrap().id();
    let path = format!("/deliveries/{id}/dead-letter");
    let post = |origin: &str, site: &str| {
        Request::post(&path)
            .header(header::HOST, "127.0.0.1:9180")
            .header(header::ORIGIN, origin)
            .header("sec-fetch-site", site)
    };
    for (origin, site) in [
        ("http://attacker.example", "cross-site"),
        ("http://127.0.0.1:3000", "same-site"),
        ("null", "same-origin"),
    ] {
        let response = ask(Dashboard::new(inbox.clone()), post(origin, site)).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{origin}");
    }
    let ours = || post("http://127.0.0.1:9180", "same-origin");
    let response = ask(Dashboard::new(inbox.clone()).read_only(), ours()).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let response = ask(with_token(Dashboard::new(inbox.clone())), ours()).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let dead = Query::default().state(State::DeadLettered);
    assert_eq!(inbox.count(dead.clone()).await.unwrap(), 0);
    let response = ask(Dashboard::new(inbox.clone()), ours()).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(inbox.count(dead).await.unwrap(), 1);
}

#[tokio::test]
async fn nothing_but_the_login_is_shown_without_one() {
    for path in [
        "/",
        "/deliveries",
        "/deliveries/1k18yg0bpy3tv0c/body",
        "/replay",
        "/changes",
    ] {
        let response = ask(with_token(dashboard()), get(path)).await;
        let expected = match path {
            "/changes" => StatusCode::UNAUTHORIZED,
            _ => StatusCode::SEE_OTHER,
        };
        assert_eq!(response.status(), expected, "{path}");
    }
}

#[tokio::test]
async fn metrics_are_for_those_with_the_token() {
    let with_metrics = || {
        let scrape = async || ("text/plain", "deliveries_total 1".to_owned());
        with_token(dashboard()).metrics(scrape)
    };
    for (token, expected) in [
        (TOKEN, StatusCode::OK),
        ("another-token-of-some-length", StatusCode::SEE_OTHER),
    ] {
        let request = get("/metrics").header(header::AUTHORIZATION, format!("Bearer {token}"));
        let response = ask(with_metrics(), request).await;
        assert_eq!(response.status(), expected, "{token}");
    }
    let response = ask(with_metrics(), get("/metrics")).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert!(!text(response).await.contains("deliveries_total"));
}

#[tokio::test]
async fn pages_forbid_what_they_do_not_need() {
    for path in ["/", "/deliveries", "/deliveries/none"] {
        let response = ask(dashboard(), get(path)).await;
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
        assert_eq!(
            response.headers()[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff"
        );
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let text = text(response).await;
        for inline in [" style=", " onclick=", "<style", "<script>"] {
            assert!(!text.contains(inline), "{path}: {inline}");
        }
    }
}

#[tokio::test]
async fn pages_may_stand_under_a_path() {
    let response = ask(dashboard().base("/dash/"), get("/dash")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let text = text(response).await;
    let addresses = text.split('"').filter(|text| text.starts_with('/'));
    let astray: Vec<_> = addresses
        .filter(|address| !address.starts_with("/dash"))
        .collect();
    assert_eq!(astray, [""; 0]);
}
