//! What is answered to requests that no page of ours makes.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::body::{Body, BodyDataStream, to_bytes};
use axum::response::Response;
use futures_util::StreamExt as _;
use heygen_dashboard::{Dashboard, Fact, Token};
use heygen_inbox::{
    DeliveryId, Inbox as _, InboxAdmin as _, InboxError, MemoryInbox, NewDelivery, Query, Rejected,
    RejectedRequests, RejectedSummary, Source, State,
};
use http::request::Builder;
use http::{Request, StatusCode, header};
use tower_service::Service as _;

use crate::support::{Control, PATIENCE, Requests, Sends, TOKEN, fail, secret};

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

/// A form of ours that is sent.
fn post(path: &str) -> Builder {
    Request::post(path)
        .header(header::HOST, "127.0.0.1")
        .header(header::ORIGIN, "http://127.0.0.1")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
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
        // As HTTP/2 has it.
        let dashboard = self::dashboard().hosts(["hooks.internal"]);
        let request = Request::get(format!("http://{host}/"));
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
    for (site, mode, destination, expected) in [
        ("cross-site", "navigate", "document", StatusCode::OK),
        ("cross-site", "navigate", "iframe", StatusCode::FORBIDDEN),
        ("cross-site", "navigate", "object", StatusCode::FORBIDDEN),
        ("cross-site", "no-cors", "image", StatusCode::FORBIDDEN),
        // Another port of this machine.
        ("same-site", "navigate", "document", StatusCode::OK),
        ("same-site", "navigate", "iframe", StatusCode::FORBIDDEN),
        ("same-origin", "navigate", "iframe", StatusCode::OK),
        ("none", "navigate", "document", StatusCode::OK),
    ] {
        let request = get("/replay?subject=x")
            .header("sec-fetch-site", site)
            .header("sec-fetch-mode", mode)
            .header("sec-fetch-dest", destination);
        let status = ask(dashboard(), request).await.status();
        assert_eq!(status, expected, "{site} {mode} {destination}");
    }
    let request = get("/replay").header("sec-fetch-site", "cross-site");
    let request = request.header("sec-fetch-mode", "navigate");
    assert_eq!(ask(dashboard(), request).await.status(), StatusCode::OK);
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
    let from = |origin: &str, site: &str| {
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
        let response = ask(Dashboard::new(inbox.clone()), from(origin, site)).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{origin}");
    }
    let ours = || from("http://127.0.0.1:9180", "same-origin");
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
    // Nor what was made for someone who is logged in.
    let mut router = with_token(dashboard()).router();
    let bearer = format!("Bearer {TOKEN}");
    let mut fetch = async |bearer: Option<&str>| {
        let mut request = get("/deliveries").header("x-refresh", "1");
        if let Some(bearer) = bearer {
            request = request.header(header::AUTHORIZATION, bearer);
        }
        let request = request.body(Body::empty()).unwrap();
        router.call(request).await.unwrap()
    };
    let page = text(fetch(Some(&bearer)).await).await;
    assert!(page.contains("No delivery has come yet"), "{page}");
    for bearer in [None, Some("Bearer another-token-of-some-length")] {
        let response = fetch(bearer).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{bearer:?}");
        assert_eq!(text(response).await, "", "{bearer:?}");
    }
}

#[tokio::test]
async fn wrong_token_costs_time_and_opens_nothing() {
    for (token, expected) in [
        (TOKEN, StatusCode::SEE_OTHER),
        ("another-token-of-some-length", StatusCode::UNAUTHORIZED),
    ] {
        let login = post("/login").body(Body::from(format!("token={token}")));
        let mut router = with_token(dashboard()).router();
        let begun_at = Instant::now();
        let response = router.call(login.unwrap()).await.unwrap();
        assert_eq!(response.status(), expected, "{token}");
        let is_let_in = expected == StatusCode::SEE_OTHER;
        let has_cookie = response.headers().contains_key(header::SET_COOKIE);
        assert_eq!(has_cookie, is_let_in, "{token}");
        assert!(is_let_in || begun_at.elapsed() >= Duration::from_millis(500));
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

#[tokio::test]
async fn read_only_refuses_every_change() {
    for path in [
        "/deliveries/1k18yg0bpy3tv0c/replay",
        "/deliveries/1k18yg0bpy3tv0c/dead-letter",
        "/deliveries/1k18yg0bpy3tv0c/send",
        "/replay",
        "/replay/stop",
        "/pause",
        "/resume",
        "/rejected/reverify",
        "/rejected/stop",
        "/sandbox/send",
        "/sandbox/misbehave",
    ] {
        let sandbox = Arc::new(Control::default());
        let dashboard = dashboard().sandbox(sandbox).sender(Sends).read_only();
        let response = ask(dashboard, post(path)).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(text(response).await.contains("read-only"), "{path}");
    }
}

#[tokio::test]
async fn sandbox_alone_has_no_page_of_an_inbox() {
    let sandbox = || Dashboard::of_sandbox(Arc::new(Control::default()));
    let response = ask(sandbox(), get("/")).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()[header::LOCATION], "/sandbox");
    let page = text(ask(sandbox(), get("/sandbox")).await).await;
    assert!(page.contains("It plays HeyGen"), "{page}");
    assert!(!page.contains("href=\"/deliveries\""), "{page}");
    for path in ["/deliveries", "/replay", "/drift"] {
        let response = ask(sandbox(), get(path)).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

/// From `video-0` on, one more than is looked at for a request, and some. With the id of the oldest.
async fn many() -> (Arc<MemoryInbox>, DeliveryId) {
    let inbox = Arc::new(MemoryInbox::with_capacity(11_000));
    let mut oldest = None;
    for number in 0..10_050 {
        let body = fail(&format!("video-{number}"), "no credit").into();
        let delivery = NewDelivery::new(SystemTime::now(), Source::Webhook, Vec::new(), body);
        let id = inbox.append(delivery).await.unwrap().id();
        oldest.get_or_insert(id);
    }
    (inbox, oldest.unwrap())
}

/// Where the link of that relation and text leads.
#[track_caller]
fn link(page: &str, end: &str) -> String {
    let (before, _) = page.split_once(&format!("\" {end}")).unwrap();
    let (_, link) = before.rsplit_once("href=\"").unwrap();
    link.replace("&amp;", "&")
}

/// A page does not have the whole inbox read for what is rare.
#[tokio::test]
async fn search_for_what_is_rare_goes_on_when_asked() {
    let (inbox, _) = many().await;
    for filter in [
        "subject=video-7",
        "event=avatar_video.*&subject=video-7",
        "text=video-7%22",
    ] {
        let mut path = format!("/deliveries?{filter}");
        let mut pages = 0;
        loop {
            let page = text(ask(Dashboard::new(inbox.clone()), get(&path)).await).await;
            pages += 1;
            if page.contains(">video-7<") {
                break;
            }
            assert!(
                page.contains(" searched, 0 found; there are older ones"),
                "{page}"
            );
            path = link(&page, "rel=\"next\">Search on");
        }
        assert!(pages > 1, "{filter}: all at once");
    }
}

#[tokio::test]
async fn search_for_what_is_newer_goes_on_where_it_stopped() {
    let (inbox, oldest) = many().await;
    let fetch = async |path: &str| text(ask(Dashboard::new(inbox.clone()), get(path)).await).await;
    let mut path = format!("/deliveries?subject=video-10049&after={oldest}");
    let mut pages = 0;
    let page = loop {
        let page = fetch(&path).await;
        pages += 1;
        if page.contains(">video-10049<") {
            break page;
        }
        let expected = " searched, 0 found; there are newer ones";
        assert!(page.contains(expected), "{page}");
        path = link(&page, "rel=\"prev\">Search on");
    };
    assert!(pages > 1, "all at once");
    assert!(!page.contains("rel=\"prev\""), "{page}");
    // What was found may end a page: the next begins behind it, and not behind what was not shown.
    let page = fetch(&format!("/deliveries?event=*.fail&after={oldest}")).await;
    assert!(page.contains(">video-50<") && !page.contains(">video-51<"));
    let page = fetch(&link(&page, "rel=\"prev\">Newer")).await;
    assert!(page.contains(">video-51<") && page.contains(">video-100<"));
    // Where there is nothing newer, there is a way back.
    let page = fetch(&link(&fetch("/deliveries").await, "rel=\"next\">Older")).await;
    let newer = link(&page, "rel=\"prev\">Newer");
    let page = fetch(&newer.replace("?", "?outcome=success&")).await;
    assert!(page.contains(">Newest<"), "{page}");
}

#[tokio::test]
async fn page_of_a_replay_counts_no_more_than_a_search_looks_at() {
    let (inbox, _) = many().await;
    for (filter, counted) in [
        ("", "10,000 or more deliveries"),
        ("?subject=video-7", "0 or more deliveries"),
        ("?subject=video-10049", "1 or more deliveries"),
        ("?state=dead_lettered", "0 deliveries"),
    ] {
        let path = format!("/replay{filter}");
        let page = text(ask(Dashboard::new(inbox.clone()), get(&path)).await).await;
        assert!(
            page.contains(&format!("<strong>{counted}</strong>")),
            "{page}"
        );
        // What was not counted can be replayed all the same.
        let button = format!("<button class=\"primary\">Replay {counted}</button>");
        assert_eq!(page.contains(&button), counted != "0 deliveries", "{page}");
    }
    let mut router = Dashboard::new(inbox).router();
    let replay = post("/replay").body(Body::from("subject=video-7"));
    let response = router.call(replay.unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let request = get("/replay").body(Body::empty()).unwrap();
    let page = text(router.call(request).await.unwrap()).await;
    assert!(page.contains("1 delivery replayed"), "{page}");
}

/// The next event of a stream of changes, with its name and text.
async fn event(events: &mut BodyDataStream) -> (String, String) {
    let event = tokio::time::timeout(PATIENCE, events.next()).await;
    let event = event.unwrap().expect("an event").unwrap();
    let event = String::from_utf8(event.to_vec()).unwrap();
    let field = |name: &str| {
        let mut lines = event.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or_default().to_owned()
    };
    (field("event"), field("data"))
}

#[tokio::test]
async fn what_comes_after_a_page_was_made_is_a_change_of_it() {
    let inbox = Arc::new(MemoryInbox::new());
    let mut router = Dashboard::new(inbox.clone()).router();
    let mut ask = async |path: &str| {
        let request = get(path).body(Body::empty()).unwrap();
        router.call(request).await.unwrap()
    };
    for path in ["/", "/deliveries", "/drift", "/replay"] {
        let page = text(ask(path).await).await;
        assert!(page.contains(" data-seen=\""), "{path}");
    }
    let page = text(ask("/deliveries").await).await;
    assert!(page.contains("No delivery has come yet"), "{page}");
    let (_, seen) = page.split_once(" data-seen=\"").unwrap();
    let (seen, _) = seen.split_once('"').unwrap();
    // Before its stream begins.
    let body = fail("a", "no credit").into();
    let delivery = NewDelivery::new(SystemTime::now(), Source::Webhook, Vec::new(), body);
    inbox.append(delivery).await.unwrap();
    let changes = format!("/changes?seen={seen}");
    let mut events = ask(&changes).await.into_body().into_data_stream();
    let mut received = event(&mut events).await;
    // The last look may be younger than a second.
    if received == ("start".to_owned(), seen.to_owned()) {
        received = event(&mut events).await;
    }
    let (name, now) = received;
    assert_eq!(name, "change");
    assert_ne!(now, seen);
    // A stream that begins later, as the first was refused, sends it too.
    let mut events = ask(&changes).await.into_body().into_data_stream();
    assert_eq!(event(&mut events).await, (name, now.clone()));
    let changes = format!("/changes?seen={now}");
    let mut events = ask(&changes).await.into_body().into_data_stream();
    assert_eq!(event(&mut events).await, ("start".to_owned(), now));
}

#[tokio::test]
async fn pages_that_many_have_open_are_made_once_a_second() {
    let inbox = Arc::new(MemoryInbox::new());
    let mut router = Dashboard::new(inbox.clone()).router();
    let begun_at = Instant::now();
    let mut fetch = async |is_refresh: bool| {
        let request = get("/deliveries");
        let request = match is_refresh {
            true => request.header("x-refresh", "1"),
            false => request,
        };
        let response = router
            .call(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        text(response).await
    };
    assert!(fetch(true).await.contains("No delivery has come yet"));
    let body = fail("a", "no credit").into();
    let delivery = NewDelivery::new(SystemTime::now(), Source::Webhook, Vec::new(), body);
    inbox.append(delivery).await.unwrap();
    let again = fetch(true).await;
    if begun_at.elapsed() < Duration::from_secs(1) {
        assert!(again.contains("No delivery has come yet"), "{again}");
    }
    // A person who opens the page sees what is there.
    assert!(fetch(false).await.contains("avatar_video.fail"));
    while fetch(true).await.contains("No delivery has come yet") {
        assert!(begun_at.elapsed() < PATIENCE, "the copy stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn facts_may_block() {
    let here = std::thread::current().id();
    let facts = move || {
        assert_ne!(
            std::thread::current().id(),
            here,
            "this thread serves requests"
        );
        vec![Fact::new("Disk", "12 GiB free")]
    };
    let page = text(ask(dashboard().facts(facts), get("/")).await).await;
    assert!(page.contains("12 GiB free"), "{page}");
}

/// Posts that are looked at one by one, when the test says so.
struct Held(Mutex<Receiver<()>>);

impl RejectedRequests for Held {
    fn list(&self, _: usize) -> Result<Vec<RejectedSummary>, InboxError> {
        let kept = Requests::default();
        kept.add("one", "{}", None);
        kept.add("other", "[]", None);
        kept.list(10)
    }

    fn get(&self, _: u64) -> Result<Option<Rejected>, InboxError> {
        self.0.lock().unwrap().recv().unwrap();
        Ok(None)
    }

    fn remove(&self, _: &[u64]) -> Result<usize, InboxError> {
        Ok(0)
    }
}

#[tokio::test]
async fn reverifying_many_goes_on_when_the_request_has_ended() {
    let (look, looks) = std::sync::mpsc::channel();
    let dashboard = dashboard().rejected(Held(Mutex::new(looks)));
    let mut router = dashboard
        .secrets(|| vec![("a".to_owned(), secret())])
        .router();
    let mut ask = async |request: Builder| {
        let request = request.body(Body::empty()).unwrap();
        router.call(request).await.unwrap()
    };
    let reverify = || post("/rejected/reverify");
    assert_eq!(ask(reverify()).await.status(), StatusCode::SEE_OTHER);
    let page = text(ask(get("/rejected")).await).await;
    assert!(page.contains("<strong>0</strong> of 2 done"), "{page}");
    assert_eq!(ask(reverify()).await.status(), StatusCode::CONFLICT);
    look.send(()).unwrap();
    look.send(()).unwrap();
    let begun_at = Instant::now();
    loop {
        let page = text(ask(get("/rejected")).await).await;
        if page.contains("0 deliveries accepted, 2 do not verify and stay here.") {
            break;
        }
        assert!(begun_at.elapsed() < PATIENCE, "{page}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
