//! What is answered to requests that no page of ours makes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::{Body, BodyDataStream, to_bytes};
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use heygen_dashboard::{Dashboard, Fact, Token};
use heygen_inbox::{
    DeliveryId, Inbox as _, InboxAdmin as _, InboxError, MemoryInbox, NewDelivery, Rejected,
    RejectedRequests, RejectedSummary, Source,
};
use http::request::Builder;
use http::{Request, StatusCode, header};
use tower_service::Service as _;

use crate::support::{Control, PATIENCE, Requests, Sends, TOKEN, fail, secret};

async fn ask(dashboard: Dashboard, request: Builder) -> Response {
    call(&mut dashboard.router(), request, "").await
}

async fn call(router: &mut Router, request: Builder, body: impl Into<Body>) -> Response {
    let request = request.body(body.into()).unwrap();
    router.call(request).await.unwrap()
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

async fn append(inbox: &MemoryInbox, body: String) -> DeliveryId {
    let delivery = NewDelivery::new(SystemTime::now(), Source::Webhook, Vec::new(), body.into());
    inbox.append(delivery).await.unwrap().id()
}

fn with_headers(request: Builder, headers: &[(&str, &str)]) -> Builder {
    let add = |request: Builder, (name, value): &(&str, &str)| request.header(*name, *value);
    headers.iter().fold(request, add)
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

fn get_with_token(path: &str, token: &str) -> Builder {
    get(path).header(header::AUTHORIZATION, format!("Bearer {token}"))
}

/// Which dashboard is asked, for what, with which headers, and what it answers: a status, and a text.
const ANSWERS: &str = "
# Known are addresses, localhost, and the names that were given.
open | GET / | host: 127.0.0.1:9180 | 200
open | GET / | host: [::1]:9180 | 200
open | GET / | host: localhost | 200
open | GET / | host: LOCALHOST.:80 | 200
open | GET / | host: hooks.internal | 200
open | GET / | host: attacker.example | 421
open | GET / | host: localhost.attacker.example | 421
open | GET / | host: a@127.0.0.1 | 421
open | GET / | host: | 421
open | GET / | no host | 421
open | GET / | host: 127.0.0.1; host: attacker.example | 421
# As HTTP/2 has it.
open | GET https://hooks.internal/ | no host | 200
open | GET https://hooks.internal/ | host: hooks.internal | 200
open | GET https://127.0.0.1/ | host: attacker.example | 421
open | GET https://attacker.example/ | no host | 421
open | GET https://a@127.0.0.1/ | no host | 421
# What comes through a proxy needs a token.
open | GET / | x-forwarded-for: 203.0.113.7 | 403 --admin-token-file
open | GET / | forwarded: for=203.0.113.7 | 403 --admin-token-file
open | GET / | via: 1.1 proxy | 403 --admin-token-file
open | GET / | x-real-ip: 203.0.113.7 | 403 --admin-token-file
open | GET /deliveries | via: 1.1 proxy | 403 --admin-token-file
open | GET /changes | via: 1.1 proxy | 403 --admin-token-file
behind-proxy | GET / | via: 1.1 proxy | 200
token | GET / | via: 1.1 proxy; authorization: Bearer a-token-that-no-one-guesses-0123 | 200
# Other sites, and other ports of this machine, may link and load nothing.
open | GET /replay?subject=x | sec-fetch-site: cross-site; sec-fetch-mode: navigate; sec-fetch-dest: document | 200
open | GET /replay?subject=x | sec-fetch-site: cross-site; sec-fetch-mode: navigate; sec-fetch-dest: iframe | 403
open | GET /replay?subject=x | sec-fetch-site: cross-site; sec-fetch-mode: navigate; sec-fetch-dest: object | 403
open | GET /replay?subject=x | sec-fetch-site: cross-site; sec-fetch-mode: no-cors; sec-fetch-dest: image | 403
open | GET /replay?subject=x | sec-fetch-site: same-site; sec-fetch-mode: navigate; sec-fetch-dest: document | 200
open | GET /replay?subject=x | sec-fetch-site: same-site; sec-fetch-mode: navigate; sec-fetch-dest: iframe | 403
open | GET /replay?subject=x | sec-fetch-site: same-origin; sec-fetch-mode: navigate; sec-fetch-dest: iframe | 200
open | GET /replay?subject=x | sec-fetch-site: none; sec-fetch-mode: navigate; sec-fetch-dest: document | 200
open | GET /replay?subject=x | sec-fetch-site: cross-site; sec-fetch-mode: navigate | 200
# Changes come from these pages alone.
open | POST /pause | origin: http://127.0.0.1:9180; sec-fetch-site: same-origin | 303
open | POST /pause | origin: http://127.0.0.1:9180 | 303
open | POST /pause | origin: http://127.0.0.1:9180; sec-fetch-site: cross-site | 403
open | POST /pause | origin: http://127.0.0.1:9180; sec-fetch-site: same-site | 403
open | POST /pause | origin: http://127.0.0.1:3000; sec-fetch-site: same-site | 403
open | POST /pause | origin: http://127.0.0.1:3000 | 403
open | POST /pause | origin: http://attacker.example; sec-fetch-site: cross-site | 403
open | POST /pause | origin: http://attacker.example | 403
open | POST /pause | origin: null; sec-fetch-site: same-origin | 403
open | POST /pause | sec-fetch-site: same-origin | 403
open | POST /pause | | 403
# Nothing but the login is shown without one.
token | GET /login | | 200
token | GET / | | 303
token | GET /deliveries | | 303
token | GET /deliveries/1k18yg0bpy3tv0c/body | | 303
token | GET /replay | | 303
token | GET /changes | | 401
token | GET / | authorization: Bearer another-token-of-some-length | 303
token | GET / | cookie: heygen-webhooks-session=1.2 | 303
token | POST /pause | origin: http://127.0.0.1:9180 | 401
# Read-only is every change.
read-only | POST /pause | origin: http://127.0.0.1:9180 | 403 read-only
read-only | POST /resume | origin: http://127.0.0.1:9180 | 403 read-only
read-only | POST /replay | origin: http://127.0.0.1:9180 | 403 read-only
read-only | POST /replay/stop | origin: http://127.0.0.1:9180 | 403 read-only
read-only | POST /deliveries/1k18yg0bpy3tv0c/replay | origin: http://127.0.0.1:9180 | 403 read-only
read-only | POST /deliveries/1k18yg0bpy3tv0c/dead-letter | origin: http://127.0.0.1:9180 | 403 read-only
read-only | POST /deliveries/1k18yg0bpy3tv0c/send | origin: http://127.0.0.1:9180 | 403 read-only
read-only | POST /rejected/reverify | origin: http://127.0.0.1:9180 | 403 read-only
read-only | POST /rejected/stop | origin: http://127.0.0.1:9180 | 403 read-only
read-only | POST /sandbox/send | origin: http://127.0.0.1:9180 | 403 read-only
read-only | POST /sandbox/misbehave | origin: http://127.0.0.1:9180 | 403 read-only
";

#[tokio::test]
async fn requests_are_answered_as_the_table_says() {
    let is_row = |line: &&str| !line.is_empty() && !line.starts_with('#');
    for row in ANSWERS.lines().filter(is_row) {
        let columns: Vec<_> = row.split('|').map(str::trim).collect();
        let [kind, request, headers, answer] = columns[..] else {
            panic!("{row}");
        };
        let inbox = Arc::new(MemoryInbox::new());
        let dashboard = Dashboard::new(inbox.clone()).hosts(["hooks.internal"]);
        let dashboard = match kind {
            "open" => dashboard,
            "token" => with_token(dashboard),
            "behind-proxy" => dashboard.behind_proxy(),
            "read-only" => {
                let sandbox = Arc::new(Control::default());
                dashboard.sandbox(sandbox).sender(Sends).read_only()
            }
            _ => panic!("{row}"),
        };
        let headers = headers
            .split("; ")
            .filter_map(|header| header.split_once(':'));
        let headers: Vec<_> = headers.map(|(name, value)| (name, value.trim())).collect();
        let (method, uri) = request.split_once(' ').unwrap();
        let asked = with_headers(Request::builder().method(method).uri(uri), &headers);
        let has_host = row.contains("no host") || row.contains("| host:");
        let asked = match has_host {
            true => asked,
            false => asked.header(header::HOST, "127.0.0.1:9180"),
        };
        let (status, wanted) = answer.split_once(' ').unwrap_or((answer, ""));
        let response = ask(dashboard, asked).await;
        assert_eq!(response.status().as_str(), status, "{row}");
        let is_paused = inbox.paused().await.unwrap().is_some();
        assert_eq!(
            is_paused,
            (request, status) == ("POST /pause", "303"),
            "{row}"
        );
        if !wanted.is_empty() {
            assert!(text(response).await.contains(wanted), "{row}");
        }
    }
}

#[tokio::test]
async fn streams_leave_connections_for_others() {
    let mut router = dashboard().router();
    let mut open = Vec::new();
    for _ in 0..32 {
        let response = call(&mut router, get("/changes"), "").await;
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response);
    }
    let response = call(&mut router, get("/changes"), "").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(open);
    let response = call(&mut router, get("/changes"), "").await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_was_made_for_one_is_not_shown_to_another() {
    let mut router = with_token(dashboard()).router();
    let mut fetch = async |request: Builder| {
        let response = call(&mut router, request.header("x-refresh", "1"), "").await;
        (response.status(), text(response).await)
    };
    let (_, page) = fetch(get_with_token("/deliveries", TOKEN)).await;
    assert!(page.contains("No delivery has come yet"), "{page}");
    for request in [
        get("/deliveries"),
        get_with_token("/deliveries", "another-token-of-some-length"),
    ] {
        let response = fetch(request).await;
        assert_eq!(response, (StatusCode::SEE_OTHER, String::new()));
    }
}

#[tokio::test]
async fn wrong_token_costs_time_and_opens_nothing() {
    // Browsers send cookies to every port of a host, and “Secure” ones over TLS alone.
    for (origin, token, expected) in [
        (
            "http://127.0.0.1:9180",
            TOKEN,
            Some(("-9180=", "HttpOnly; SameSite=Strict")),
        ),
        (
            "https://ops.internal",
            TOKEN,
            Some(("=", "HttpOnly; SameSite=Strict; Secure")),
        ),
        ("http://localhost", "another-token-of-some-length", None),
    ] {
        let (_, host) = origin.split_once("://").unwrap();
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers = [("host", host), ("origin", origin), form];
        let login = with_headers(Request::post("/login"), &headers);
        let mut router = with_token(dashboard().hosts(["ops.internal"])).router();
        let begun_at = Instant::now();
        let response = call(&mut router, login, format!("token={token}")).await;
        let cookie = response.headers().get(header::SET_COOKIE);
        let Some((port, attributes)) = expected else {
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(cookie, None);
            assert!(begun_at.elapsed() >= Duration::from_millis(500));
            continue;
        };
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{origin}");
        let cookie = cookie.unwrap().to_str().unwrap();
        let begin = format!("heygen-webhooks-session{port}");
        let end = format!("; Path=/; Max-Age=43200; {attributes}");
        assert!(
            cookie.starts_with(&begin) && cookie.ends_with(&end),
            "{cookie}"
        );
    }
}

#[tokio::test]
async fn pages_forbid_what_they_do_not_need() {
    for path in ["/", "/deliveries", "/deliveries/none"] {
        let response = ask(dashboard(), get(path)).await;
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        let start = "default-src 'none'; script-src 'self';";
        assert!(policy.starts_with(start), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let is_open = policy.contains("unsafe") || policy.contains("http");
        assert!(!is_open, "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
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
    let ask = async |path: &str| ask(with_token(dashboard().base("/dash")), get(path)).await;
    let response = ask("/dash/replay").await;
    assert_eq!(response.headers()[header::LOCATION], "/dash/login");
    assert_eq!(ask("/dash/login").await.status(), StatusCode::OK);
}

/// From `video-0` on, one more than is looked at for a request, and some. With the id of the oldest.
async fn many() -> (Arc<MemoryInbox>, DeliveryId) {
    let inbox = Arc::new(MemoryInbox::with_capacity(11_000));
    let mut oldest = None;
    for number in 0..10_050 {
        let id = append(&inbox, fail(&format!("video-{number}"), "no credit")).await;
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
    let response = call(&mut router, post("/replay"), "subject=video-7").await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let page = text(call(&mut router, get("/replay"), "").await).await;
    assert!(page.contains("1 delivery replayed"), "{page}");
}

/// Also what came in before the clock was set back is older than a replay.
#[tokio::test]
async fn replay_goes_through_what_is_there_whatever_the_clock_says() {
    let inbox = Arc::new(MemoryInbox::new());
    let ahead = SystemTime::now() + Duration::from_secs(3600);
    let body = fail("a", "no credit").into();
    let delivery = NewDelivery::new(ahead, Source::Webhook, Vec::new(), body);
    inbox.append(delivery).await.unwrap();
    let mut router = Dashboard::new(inbox).router();
    let response = call(&mut router, post("/replay"), "rate=").await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let page = text(call(&mut router, get("/replay"), "").await).await;
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
    let mut ask = async |path: &str| call(&mut router, get(path), "").await;
    for path in ["/", "/deliveries", "/drift", "/replay"] {
        let page = text(ask(path).await).await;
        assert!(page.contains(" data-seen=\""), "{path}");
    }
    let page = text(ask("/deliveries").await).await;
    assert!(page.contains("No delivery has come yet"), "{page}");
    let (_, seen) = page.split_once(" data-seen=\"").unwrap();
    let (seen, _) = seen.split_once('"').unwrap();
    // Before its stream begins.
    append(&inbox, fail("a", "no credit")).await;
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

#[tokio::test]
async fn facts_that_hang_hold_up_no_page_and_take_few_threads() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (held, asked) = (Mutex::new(held), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let facts = move || {
        count.fetch_add(1, Ordering::SeqCst);
        // Ends when the other end is dropped.
        let _ = held.lock().unwrap().recv();
        Vec::new()
    };
    let rejected = Requests::default();
    let dashboard = dashboard().rejected(rejected.file.clone());
    let router = dashboard.facts(facts).router();
    // Of more, each waits for a thread to read the rejected requests, too.
    let views = (0..20).map(|_| {
        let mut router = router.clone();
        async move { text(call(&mut router, get("/"), "").await).await }
    });
    for page in join_all(views).await {
        assert!(page.contains("not known after 3 s"), "{page}");
    }
    assert!(asked.load(Ordering::SeqCst) <= 8);
    drop(release);
}

/// Posts that are looked at one by one, when the test says so.
struct Held(Mutex<Receiver<()>>);

impl RejectedRequests for Held {
    fn list(&self, _: usize) -> Result<Vec<RejectedSummary>, InboxError> {
        let rejected = Requests::default();
        rejected.add("one", "{}", None);
        rejected.add("other", "[]", None);
        rejected.file.list(10)
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
    let mut ask = async |request: Builder| call(&mut router, request, "").await;
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
