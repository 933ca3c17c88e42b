//! What someone sees and does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fantoccini::Locator;
use futures_util::FutureExt as _;
use heygen_dashboard::{Dashboard, SandboxControl as _, Token};
use heygen_inbox::{InboxAdmin as _, Query, RejectedRequests as _, State};
use serde_json::json;
use xtask_screenshots::Browser;

use crate::support::Step::{Check, Click, Fill, Go, Link, See};
use crate::support::{
    Control, PATIENCE, Requests, Sends, Site, TOKEN, fail, reach, secret, success,
};

const ROWS: &str = ".deliveries tbody tr";
const REPLAY: &str = "form[action$='/replay'] button";

/// A window takes longer to start than most of what is looked at in it: they share one.
#[tokio::test]
async fn pages_show_and_do_what_they_say() {
    let browser = Browser::open().await;
    let parts = [
        every_page_is_there_and_accessible(&browser).boxed_local(),
        list_is_live_filtered_and_paged(&browser).boxed_local(),
        replay_reaches_the_handler_one_by_one_and_in_bulk(&browser).boxed_local(),
        rejected_request_is_explained_and_verified_again(&browser).boxed_local(),
        sandbox_page_validates_sends_and_misbehaves(&browser).boxed_local(),
        login_opens_the_pages_and_logout_closes_them(&browser).boxed_local(),
        dashboards_on_one_host_keep_their_logins_apart(&browser).boxed_local(),
        read_only_offers_no_change(&browser).boxed_local(),
        delivery_is_sent_to_another_application_once(&browser).boxed_local(),
        hostile_content_is_harmless(&browser).boxed_local(),
    ];
    for part in parts {
        part.await;
    }
    browser.close().await;
}

async fn every_page_is_there_and_accessible(browser: &Browser) {
    let site = Site::start().await;
    let ready = format!("/deliveries/{}", site.append(success("a")).await);
    let failed = site.append(fail("b", "no credit")).await;
    let failed = format!("/deliveries/{failed}");
    let unreadable = site.append(b"\xffnot json").await;
    let unreadable = format!("/deliveries/{unreadable}");
    let drifted = success("d").replace("callback_id", "colour_of_the_sky");
    let drifted = site.append(drifted).await.to_string();
    let steps = [
        Go("/"),
        See("Waiting\n4"),
        See("avatar_video.fail"),
        See("accepted: failure 1"),
        See("Newest deliveries"),
        Check,
        Go("/?span=15m"),
        See("accepted: success 2"),
        Link("Deliveries"),
        See("(no event)"),
        Check,
        Go(&failed),
        See("An avatar video could not be rendered."),
        See("no credit"),
        See("with the secret of the tests"),
        See("The video that was not made."),
        See("No attempt has ended yet."),
        See("exactly as received"),
        Check,
        Go(&unreadable),
        See("00000000  ff 6e 6f 74"),
        Go("/replay"),
        See("4 deliveries match (all of the inbox)"),
        Check,
        Go("/drift"),
        See("colour_of_the_sky"),
        Check,
        Link(&drifted),
        See("not known to this version"),
        Go("/deliveries/000000000000000"),
        See("There is no delivery of this id"),
        Go(&ready),
    ];
    site.walk(browser, &steps).await;
    // Whole links and media come when they are asked for.
    let source = browser.client.source().await.unwrap();
    assert!(!source.contains("Signature=presigned"), "{source}");
    let steps = [
        Link("Show whole links"),
        See("Signature=presigned"),
        Link("Load the video from media.invalid"),
    ];
    site.walk(browser, &steps).await;
    let frame = Locator::Css("iframe[name=preview]");
    let frame = browser.client.find(frame).await.unwrap();
    frame.enter_frame().await.unwrap();
    let wait = browser.client.wait().at_most(PATIENCE);
    let video = wait.for_element(Locator::Css("video")).await.unwrap();
    let source = video.attr("src").await.unwrap().unwrap_or_default();
    assert_eq!(source, "https://media.invalid/a.mp4?Signature=presigned");
}

async fn list_is_live_filtered_and_paged(browser: &Browser) {
    let site = Site::start().await;
    for number in 0..60 {
        site.append(success(&format!("video-{number:02}"))).await;
    }
    browser.goto(&site.at("/deliveries")).await;
    assert_eq!(browser.count(ROWS).await, 50);
    let steps = [Link("Older"), See("video-09"), See("video-00")];
    site.walk(browser, &steps).await;
    assert!(!browser.text().await.contains("video-10"));
    assert_eq!(browser.count(ROWS).await, 10);
    let steps = [Link("Newer"), See("video-10"), Go("/deliveries")];
    site.walk(browser, &steps).await;

    // A delivery appears by itself.
    site.append(fail("live-one", "out of credit")).await;
    let steps = [
        See("live-one"),
        Fill("#event", "*.fail"),
        Click("form.filter button.primary"),
        See("Clear"),
    ];
    site.walk(browser, &steps).await;
    assert_eq!(browser.count(ROWS).await, 1);
    // The address is the filter.
    let url = browser.client.current_url().await.unwrap();
    assert!(url.as_str().contains("event=*.fail"), "{url}");
    for (query, wanted, count) in [
        ("outcome=failure", "live-one", 1),
        ("state=pending&subject=video-07", "video-07", 1),
        ("callback=order-video-08", "video-08", 1),
        ("text=OUT+OF+CREDIT", "61 bodies searched, 1 found", 1),
        ("since=1h&event=avatar_video.success", "video-59", 50),
        ("until=1h", "No delivery matches this filter.", 0),
        ("state=gone", "State: `gone` is not a state", 0),
    ] {
        let path = format!("/deliveries?{query}");
        site.walk(browser, &[Go(&path), See(wanted)]).await;
        assert_eq!(browser.count(ROWS).await, count, "{query}");
    }
}

async fn replay_reaches_the_handler_one_by_one_and_in_bulk(browser: &Browser) {
    let mut site = Site::start().await;
    let handled = site.dispatch();
    let id = site.append(success("a")).await;
    site.append(fail("b", "no credit")).await;
    reach(&handled, 2).await;
    let delivery = format!("/deliveries/{id}");
    let steps = [
        Go(&delivery),
        See("acknowledged"),
        Click(REPLAY),
        See("Replayed: it is due now"),
    ];
    site.walk(browser, &steps).await;
    reach(&handled, 3).await;
    // The second attempt appears by itself.
    let attempts = async {
        while browser.count("#delivery tbody tr").await < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let attempts = tokio::time::timeout(PATIENCE, attempts).await;
    attempts.expect("the second attempt");

    let steps = [
        Go("/deliveries?event=*.success"),
        Link("Replay all that match …"),
        See("1 delivery match"),
        See("event: *.success"),
        Click("form.card button.primary"),
        See("1 delivery replayed"),
    ];
    site.walk(browser, &steps).await;
    reach(&handled, 4).await;

    let steps = [
        Go("/"),
        Click("form[action$='/pause'] button"),
        See("Dispatch is paused"),
    ];
    site.walk(browser, &steps).await;
    let late = site.append(success("late")).await;
    let late = format!("/deliveries/{late}");
    let steps = [
        Go(&late),
        Click("form[action$='/dead-letter'] button"),
        See("Given up"),
    ];
    site.walk(browser, &steps).await;
    let dead = Query::default().state(State::DeadLettered);
    assert_eq!(site.inbox.count(dead).await.unwrap(), 1);
    let steps = [
        Go("/"),
        See("1 delivery given up."),
        Click("form[action$='/resume'] button"),
        See("Pause dispatch"),
    ];
    site.walk(browser, &steps).await;
    assert_eq!(handled.load(Ordering::SeqCst), 4);
}

async fn rejected_request_is_explained_and_verified_again(browser: &Browser) {
    let rejected = Requests::default();
    rejected.add("matches-no-secret", &success("late"), Some(&secret()));
    rejected.add("missing-signature", &success("unsigned"), None);
    let site = Site::with(|dashboard| dashboard.rejected(rejected.file.clone())).await;
    let steps = [
        Go("/rejected"),
        See("Set the right secret."),
        See("no signature header: it is not from HeyGen"),
        Check,
        Link("matches-no-secret"),
        See("verifies"),
        Check,
        Go("/rejected"),
        Click("form[action$='/reverify'] button"),
        See("1 delivery accepted, 1 do not verify"),
    ];
    site.walk(browser, &steps).await;
    let late = site.inbox.count(Query::default().subject_id("late"));
    assert_eq!(late.await.unwrap(), 1);
    assert_eq!(rejected.file.list(10).unwrap().len(), 1);
}

async fn sandbox_page_validates_sends_and_misbehaves(browser: &Browser) {
    let sent = Arc::new(Control::default());
    let site = Site::with(|dashboard| dashboard.sandbox(sent.clone())).await;
    let steps = [
        Go("/sandbox?event=avatar_video.fail"),
        See("An avatar video could not be rendered."),
        See("no address is registered"),
        Check,
        Fill(
            "#body",
            "{\"event_type\": \"avatar_video.fail\", \"event_data\": []}",
        ),
        Click("form[action$='/send'] button"),
        See("Not sent:"),
    ];
    site.walk(browser, &steps).await;
    assert_eq!(sent.bodies().len(), 0);
    let body = fail("a", "no credit");
    let steps = [
        Fill("#body", &body),
        Click("form[action$='/send'] button"),
        See("Sent. Its attempts appear below."),
        See("no answer"),
        See("Delivers to http://127.0.0.1:8080"),
        Fill("#misbehaviour", "{\"duplicates\": 2}"),
        Click("form[action$='/misbehave'] button"),
        See("Deliveries that are sent from now on go so."),
    ];
    site.walk(browser, &steps).await;
    assert_eq!(sent.bodies(), [body]);
    assert_eq!(sent.misbehaviour(), "{\"duplicates\": 2}");
}

fn with_token(dashboard: Dashboard) -> Dashboard {
    dashboard.token(Token::new(TOKEN).unwrap())
}

async fn login_opens_the_pages_and_logout_closes_them(browser: &Browser) {
    let site = Site::with(with_token).await;
    site.append(success("hidden")).await;
    site.walk(browser, &[Go("/deliveries"), See("Log in"), Check])
        .await;
    assert!(!browser.text().await.contains("hidden"));
    let steps = [
        Fill("#token", "another-token-of-some-length"),
        Click("form.login button"),
        See("That is not the token."),
        Fill("#token", TOKEN),
        Click("form.login button"),
        See("Newest deliveries"),
    ];
    site.walk(browser, &steps).await;
    let cookie = format!("heygen-webhooks-session-{}", site.port());
    let cookie = browser.client.get_named_cookie(&cookie).await.unwrap();
    assert_eq!(cookie.http_only(), Some(true));
    let same_site = cookie.same_site();
    assert!(same_site.is_some_and(|same_site| same_site.is_strict()));
    // The stream of changes has the cookie too.
    site.append(success("later")).await;
    let steps = [
        See("later"),
        Click("form[action$='/logout'] button"),
        See("The line in the file"),
        Go("/"),
        See("The line in the file"),
    ];
    site.walk(browser, &steps).await;
}

async fn dashboards_on_one_host_keep_their_logins_apart(browser: &Browser) {
    let one = Site::with(with_token).await;
    let other = Site::with(with_token).await;
    let log_in = [
        Go("/deliveries"),
        See("The line in the file"),
        Fill("#token", TOKEN),
        Click("form.login button"),
        See("No delivery has come yet."),
    ];
    let is_open = [Go("/deliveries"), See("No delivery has come yet.")];
    let is_closed = [Go("/"), See("The line in the file")];
    one.walk(browser, &log_in).await;
    other.walk(browser, &log_in).await;
    // A second tab is logged in, too.
    let tab = browser.client.new_window(true).await.unwrap();
    browser.client.switch_to_window(tab.handle).await.unwrap();
    one.walk(browser, &is_open).await;
    browser.click("form[action$='/logout'] button").await;
    browser.wait_for("The line in the file").await;
    other.walk(browser, &is_open).await;
    browser.client.close_window().await.unwrap();
    // The first tab notices, and the other dashboard goes on.
    let first = browser.client.windows().await.unwrap().remove(0);
    browser.client.switch_to_window(first).await.unwrap();
    one.walk(browser, &is_closed).await;
    other.walk(browser, &is_open).await;

    // A session ends with its process.
    let address = format!("127.0.0.1:{}", other.port());
    other.end().await;
    let other = Site::at_address(&address, with_token).await;
    other.walk(browser, &log_in).await;
}

async fn read_only_offers_no_change(browser: &Browser) {
    let rejected = Requests::default();
    rejected.add("matches-no-secret", &success("late"), Some(&secret()));
    let site = Site::with(|dashboard| {
        let dashboard = dashboard.rejected(rejected.file.clone()).sender(Sends);
        dashboard.sandbox(Arc::new(Control::default())).read_only()
    });
    let site = site.await;
    let delivery = format!("/deliveries/{}", site.append(success("a")).await);
    for path in [
        "/",
        "/deliveries",
        &delivery,
        "/replay",
        "/rejected",
        "/rejected/1",
        "/drift",
        "/sandbox",
    ] {
        site.walk(browser, &[Go(path), See("read-only"), Check])
            .await;
        let buttons = browser.count("form[method=post] button:enabled").await;
        assert_eq!(buttons, 0, "{path}");
    }
}

async fn delivery_is_sent_to_another_application_once(browser: &Browser) {
    let site = Site::with(|dashboard| dashboard.sender(Sends)).await;
    let id = site.append(success("a")).await;
    let delivery = format!("/deliveries/{id}");
    let acknowledged = format!("{id} was acknowledged.");
    for (url, answer) in [
        ("http://127.0.0.1:3000/heygen", acknowledged.as_str()),
        ("http://127.0.0.1:1/", "answered 503: <b>busy</b>"),
    ] {
        let steps = [
            Go(&delivery),
            Fill("#send-to", url),
            Click("form[action$='/send'] button"),
            See(answer),
            Check,
            Link("Back to the delivery"),
            See("No attempt has ended yet."),
        ];
        site.walk(browser, &steps).await;
    }
}

/// What a stranger chose is shown as text: it runs nothing, loads nothing and breaks out of nothing.
async fn hostile_content_is_harmless(browser: &Browser) {
    let site = Site::start().await;
    let script = "</title></pre><script>window.owned=1</script><img src=x onerror='window.owned=2'>\"'><svg onload=window.owned=3>";
    let javascript = "javascript:window.owned=4";
    let link = format!("https://media.invalid/{script}?x={script}");
    let bodies = [
        fail("a", script),
        json!({"event_type": script, "event_data": {script: script, "url": javascript}}).to_string(),
        format!("not json {script}"),
        success("\u{202e}gnp.exe"),
        json!({"event_type": "avatar_video.success", "event_data":
            {"video_id": script, "callback_id": script, "url": link, "gif_download_url": javascript}}).to_string(),
    ];
    let mut paths = vec!["/".to_owned(), "/deliveries".to_owned()];
    for body in &bodies {
        let id = site
            .append_with(body, &[("x-hostile", script), (script, script)])
            .await;
        let page = format!("/deliveries/{id}");
        paths.extend([format!("{page}?links=shown"), format!("{page}/media"), page]);
    }
    let encoded: String = script.bytes().map(|byte| format!("%{byte:02x}")).collect();
    paths.push(format!(
        "/deliveries?event={encoded}&text={encoded}&subject={encoded}&since={encoded}"
    ));
    paths.push(format!(
        "/deliveries/{encoded}?done={encoded}&links={encoded}"
    ));
    paths.push(format!("/?span={encoded}"));
    paths.push(format!("/replay?subject={encoded}&text={encoded}"));
    for path in paths {
        browser.goto(&site.at(&path)).await;
        for harm in [
            "window.owned !== undefined",
            "document.querySelector('[onerror], [onload], body script') !== null",
            "[...document.links].some((link) => !/^https?:$/.test(link.protocol))",
        ] {
            assert_eq!(browser.ask(harm).await, json!(false), "{harm} {path}");
        }
        let source = browser.client.source().await.unwrap();
        assert!(!source.contains('\u{202e}'), "{path}");
    }
}

#[tokio::test]
async fn telephone_shows_all_of_it() {
    let mut site = Site::start().await;
    let id = site.append(success(&"0123456789abcdef".repeat(8))).await;
    site.append(fail("b", &"a-long-word".repeat(40))).await;
    let handled = site.dispatch();
    reach(&handled, 2).await;
    site.append(success("c").replace("callback_id", &"a_new_field_".repeat(20)))
        .await;
    let browser = Browser::open_with(360, true).await;
    let delivery = format!("/deliveries/{id}");
    for path in [
        "/",
        "/drift",
        "/deliveries",
        "/deliveries?event=*.fail&text=a",
        "/replay",
        &delivery,
    ] {
        site.walk(&browser, &[Go(path), Check]).await;
        browser.check_fits().await;
    }
    browser.close().await;
}

#[tokio::test]
async fn everything_but_live_works_without_a_script() {
    let mut site = Site::start().await;
    let handled = site.dispatch();
    let id = site.append(success("a")).await;
    reach(&handled, 1).await;
    let browser = Browser::open_with(1280, false).await;
    browser.goto(&site.at("/deliveries")).await;
    assert!(!browser.text().await.contains("Live"));
    let id = id.to_string();
    // What gives access to the video is in a file, until it is asked for.
    let command = format!("BODY={id}.body SECRET=whsec_your_secret");
    let steps = [
        Fill("#event", "avatar_video.*"),
        Click("form.filter button.primary"),
        See("Clear"),
        Link("avatar_video.success"),
        See(&id),
        Click(REPLAY),
        See("Replayed: it is due now"),
        Click("#as-curl summary"),
        See(&command),
        Link("Show whole links"),
        Click("#as-curl summary"),
        See("BODY='{\"event_data\""),
        See("Signature=presigned"),
    ];
    site.walk(&browser, &steps).await;
    reach(&handled, 2).await;
    browser.close().await;
}
