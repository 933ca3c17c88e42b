//! What someone sees and does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fantoccini::Locator;
use heygen_dashboard::{Dashboard, SandboxControl as _, Token};
use heygen_inbox::{InboxAdmin as _, Query, RejectedRequests as _, State};
use serde_json::json;
use xtask_screenshots::Browser;

use crate::support::{
    Control, PATIENCE, Requests, Sends, Site, TOKEN, fail, reach, secret, success,
};

#[tokio::test]
async fn every_page_is_there_and_accessible() {
    let site = Site::start().await;
    let ready = site.append(success("a")).await;
    let failed = site.append(fail("b", "no credit")).await;
    let unreadable = site.append(b"\xffnot json").await;
    let browser = Browser::open().await;
    browser.goto(&site.at("/")).await;
    let text = browser.text().await;
    for wanted in [
        "Waiting\n3",
        "avatar_video.fail",
        "accepted: failure 1",
        "Newest deliveries",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    browser.check_accessible().await;
    browser.goto(&site.at("/?span=15m")).await;
    browser.wait_for("accepted: success 1").await;
    browser.click_link("Deliveries").await;
    browser.wait_for("(no event)").await;
    browser.check_accessible().await;

    browser
        .goto(&site.at(&format!("/deliveries/{failed}")))
        .await;
    let text = browser.text().await;
    for wanted in [
        "An avatar video could not be rendered.",
        "no credit",
        "with the secret of the tests",
        "The video that was not made.",
        "No attempt has ended yet.",
        "exactly as received",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    browser.check_accessible().await;
    browser
        .goto(&site.at(&format!("/deliveries/{unreadable}")))
        .await;
    browser.wait_for("00000000  ff 6e 6f 74").await;
    browser.goto(&site.at("/replay")).await;
    browser
        .wait_for("3 deliveries match (all of the inbox)")
        .await;
    browser.check_accessible().await;
    browser.goto(&site.at("/deliveries/000000000000000")).await;
    browser.wait_for("There is no delivery of this id").await;

    // Whole links and media come when they are asked for.
    browser
        .goto(&site.at(&format!("/deliveries/{ready}")))
        .await;
    let source = browser.client.source().await.unwrap();
    assert!(!source.contains("Signature=presigned"), "{source}");
    browser.click_link("Show whole links").await;
    browser.wait_for("Signature=presigned").await;
    browser
        .click_link("Load the video from media.invalid")
        .await;
    let frame = browser
        .client
        .find(Locator::Css("iframe[name=preview]"))
        .await
        .unwrap();
    frame.enter_frame().await.unwrap();
    let wait = browser.client.wait().at_most(PATIENCE);
    let video = wait.for_element(Locator::Css("video")).await.unwrap();
    let source = video.attr("src").await.unwrap().unwrap_or_default();
    assert_eq!(source, "https://media.invalid/a.mp4?Signature=presigned");
    browser.close().await;
}

#[tokio::test]
async fn list_is_live_filtered_and_paged() {
    let site = Site::start().await;
    for number in 0..60 {
        site.append(success(&format!("video-{number:02}"))).await;
    }
    let rows = ".deliveries tbody tr";
    let browser = Browser::open().await;
    browser.goto(&site.at("/deliveries")).await;
    assert_eq!(browser.count(rows).await, 50);
    browser.click_link("Older").await;
    let text = browser.wait_for("video-09").await;
    assert!(
        text.contains("video-00") && !text.contains("video-10"),
        "{text}"
    );
    assert_eq!(browser.count(rows).await, 10);
    browser.click_link("Newer").await;
    browser.wait_for("video-10").await;
    browser.goto(&site.at("/deliveries")).await;

    // A delivery appears by itself.
    site.append(fail("live-one", "out of credit")).await;
    browser.wait_for("live-one").await;

    browser.fill("#event", "*.fail").await;
    browser.click("form.filter button.primary").await;
    browser.wait_for("Clear").await;
    assert_eq!(browser.count(rows).await, 1);
    // The address is the filter.
    let url = browser.client.current_url().await.unwrap();
    assert!(
        url.query().unwrap_or_default().contains("event=*.fail"),
        "{url}"
    );
    for (query, wanted, count) in [
        ("outcome=failure", "live-one", 1),
        ("state=pending&subject=video-07", "video-07", 1),
        ("callback=order-video-08", "video-08", 1),
        ("text=OUT+OF+CREDIT", "61 bodies searched, 1 found", 1),
        ("since=1h&event=avatar_video.success", "video-59", 50),
        ("until=1h", "No delivery matches this filter.", 0),
        ("state=gone", "is not a state", 0),
    ] {
        browser
            .goto(&site.at(&format!("/deliveries?{query}")))
            .await;
        browser.wait_for(wanted).await;
        assert_eq!(browser.count(rows).await, count, "{query}");
    }
    browser.close().await;
}

#[tokio::test]
async fn replay_reaches_the_handler_one_by_one_and_in_bulk() {
    let mut site = Site::start().await;
    let handled = site.dispatch();
    let id = site.append(success("a")).await;
    site.append(fail("b", "no credit")).await;
    reach(&handled, 2).await;
    let browser = Browser::open().await;
    browser.goto(&site.at(&format!("/deliveries/{id}"))).await;
    browser.wait_for("acknowledged").await;
    browser.click("form[action$='/replay'] button").await;
    browser.wait_for("Replayed: it is due now").await;
    reach(&handled, 3).await;
    // The second attempt appears by itself.
    let attempts = async {
        while browser.count("#delivery tbody tr").await < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, attempts)
        .await
        .expect("the second attempt");

    browser.goto(&site.at("/deliveries?event=*.success")).await;
    browser.click_link("Replay all that match …").await;
    browser.wait_for("1 delivery match").await;
    browser.click("form.card button.primary").await;
    browser.wait_for("1 delivery replayed").await;
    reach(&handled, 4).await;

    browser.goto(&site.at("/")).await;
    browser.click("form[action$='/pause'] button").await;
    browser.wait_for("Dispatch is paused").await;
    let late = site.append(success("late")).await;
    browser.goto(&site.at(&format!("/deliveries/{late}"))).await;
    browser.click("form[action$='/dead-letter'] button").await;
    browser.wait_for("Given up").await;
    let dead = Query::default().state(State::DeadLettered);
    assert_eq!(site.inbox.count(dead).await.unwrap(), 1);
    browser.goto(&site.at("/")).await;
    browser.wait_for("1 delivery given up.").await;
    browser.click("form[action$='/resume'] button").await;
    browser.wait_for("Pause dispatch").await;
    assert_eq!(handled.load(Ordering::SeqCst), 4);
    browser.close().await;
}

#[tokio::test]
async fn rejected_request_is_explained_and_verified_again() {
    let rejected = Arc::new(Requests::default());
    rejected.add("matches-no-secret", &success("late"), Some(&secret()));
    rejected.add("missing-signature", &success("unsigned"), None);
    let site = Site::with(|dashboard| dashboard.rejected(rejected.clone())).await;
    let browser = Browser::open().await;
    browser.goto(&site.at("/rejected")).await;
    let text = browser.wait_for("matches-no-secret").await;
    assert!(text.contains("Set the right secret."), "{text}");
    browser.check_accessible().await;
    browser.click_link("matches-no-secret").await;
    browser.wait_for("verifies").await;
    browser.check_accessible().await;
    browser.goto(&site.at("/rejected")).await;
    browser.click("form[action$='/reverify'] button").await;
    browser
        .wait_for("1 delivery accepted, 1 do not verify")
        .await;
    assert_eq!(
        site.inbox
            .count(Query::default().subject_id("late"))
            .await
            .unwrap(),
        1
    );
    assert_eq!(rejected.list(10).unwrap().len(), 1);
    browser.close().await;
}

#[tokio::test]
async fn drift_names_what_is_new_with_an_example() {
    let site = Site::start().await;
    let body = success("a").replace("callback_id", "colour_of_the_sky");
    let id = site.append(body).await;
    let browser = Browser::open().await;
    browser.goto(&site.at("/drift")).await;
    browser.wait_for("colour_of_the_sky").await;
    browser.check_accessible().await;
    browser.click_link(&id.to_string()).await;
    browser.wait_for("not known to this version").await;
    browser.close().await;
}

#[tokio::test]
async fn sandbox_page_validates_sends_and_misbehaves() {
    let sent = Arc::new(Control::default());
    let site = Site::with(|dashboard| dashboard.sandbox(sent.clone())).await;
    let browser = Browser::open().await;
    browser
        .goto(&site.at("/sandbox?event=avatar_video.fail"))
        .await;
    browser
        .wait_for("An avatar video could not be rendered.")
        .await;
    browser.wait_for("no address is registered").await;
    browser.check_accessible().await;
    browser
        .fill(
            "#body",
            "{\"event_type\": \"avatar_video.fail\", \"event_data\": []}",
        )
        .await;
    browser.click("form[action$='/send'] button").await;
    browser.wait_for("Not sent:").await;
    assert_eq!(sent.bodies().len(), 0);
    browser.fill("#body", &fail("a", "no credit")).await;
    browser.click("form[action$='/send'] button").await;
    browser.wait_for("Sent. Its attempts appear below.").await;
    browser.wait_for("no answer").await;
    browser.wait_for("Delivers to http://127.0.0.1:8080").await;
    assert_eq!(sent.bodies(), [fail("a", "no credit")]);
    browser.fill("#misbehaviour", "{\"duplicates\": 2}").await;
    browser.click("form[action$='/misbehave'] button").await;
    browser
        .wait_for("Deliveries that are sent from now on go so.")
        .await;
    assert_eq!(sent.misbehaviour(), "{\"duplicates\": 2}");
    browser.close().await;
}

#[tokio::test]
async fn login_opens_the_pages_and_logout_closes_them() {
    let token = Token::new(TOKEN).unwrap();
    let site = Site::with(|dashboard| dashboard.token(token)).await;
    site.append(success("hidden")).await;
    let browser = Browser::open().await;
    browser.goto(&site.at("/deliveries")).await;
    let text = browser.wait_for("Log in").await;
    assert!(!text.contains("hidden"), "{text}");
    browser.check_accessible().await;
    browser.fill("#token", "another-token-of-some-length").await;
    browser.click("form.login button").await;
    browser.wait_for("That is not the token.").await;
    browser.fill("#token", TOKEN).await;
    browser.click("form.login button").await;
    browser.wait_for("Newest deliveries").await;
    let cookie = browser
        .client
        .get_named_cookie(&format!("heygen-webhooks-session-{}", site.port()))
        .await
        .unwrap();
    assert_eq!(cookie.http_only(), Some(true));
    assert!(
        cookie
            .same_site()
            .is_some_and(|same_site| same_site.is_strict())
    );
    // The stream of changes has the cookie too.
    site.append(success("later")).await;
    browser.wait_for("later").await;
    browser.click("form[action$='/logout'] button").await;
    browser.wait_for("The line in the file").await;
    browser.goto(&site.at("/")).await;
    browser.wait_for("The line in the file").await;
    browser.close().await;
}

#[tokio::test]
async fn dashboards_on_one_host_keep_their_logins_apart() {
    let with_token = |dashboard: Dashboard| dashboard.token(Token::new(TOKEN).unwrap());
    let one = Site::with(with_token).await;
    let other = Site::with(with_token).await;
    let browser = Browser::open().await;
    for site in [&one, &other] {
        browser.goto(&site.at("/")).await;
        browser.fill("#token", TOKEN).await;
        browser.click("form.login button").await;
        browser.wait_for("No delivery has come yet.").await;
    }
    // A second tab is logged in, too.
    let tab = browser.client.new_window(true).await.unwrap();
    browser.client.switch_to_window(tab.handle).await.unwrap();
    browser.goto(&one.at("/deliveries")).await;
    browser.wait_for("No delivery has come yet.").await;
    browser.click("form[action$='/logout'] button").await;
    browser.wait_for("The line in the file").await;
    browser.goto(&other.at("/")).await;
    browser.wait_for("No delivery has come yet.").await;
    // The first tab notices, and the other dashboard goes on.
    let first = browser.client.windows().await.unwrap().remove(0);
    browser.client.switch_to_window(first).await.unwrap();
    browser.goto(&one.at("/")).await;
    browser.wait_for("The line in the file").await;
    browser.goto(&other.at("/deliveries")).await;
    browser.wait_for("No delivery has come yet.").await;

    // A session ends with its process.
    let address = format!("127.0.0.1:{}", other.port());
    other.end().await;
    let other = Site::at_address(&address, with_token).await;
    browser.goto(&other.at("/deliveries")).await;
    browser.wait_for("The line in the file").await;
    browser.fill("#token", TOKEN).await;
    browser.click("form.login button").await;
    browser.wait_for("No delivery has come yet.").await;
    browser.close().await;
}

#[tokio::test]
async fn read_only_offers_no_change() {
    let rejected = Arc::new(Requests::default());
    rejected.add("matches-no-secret", &success("late"), Some(&secret()));
    let site = Site::with(|dashboard| {
        let dashboard = dashboard.rejected(rejected).sender(Sends);
        dashboard.sandbox(Arc::new(Control::default())).read_only()
    });
    let site = site.await;
    let id = site.append(success("a")).await;
    let browser = Browser::open().await;
    let delivery = format!("/deliveries/{id}");
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
        browser.goto(&site.at(path)).await;
        browser.wait_for("read-only").await;
        let buttons = browser.count("form[method=post] button:enabled").await;
        assert_eq!(buttons, 0, "{path}");
        browser.check_accessible().await;
    }
    browser.close().await;
}

#[tokio::test]
async fn delivery_is_sent_to_another_application_once() {
    let site = Site::with(|dashboard| dashboard.sender(Sends)).await;
    let id = site.append(success("a")).await;
    let browser = Browser::open().await;
    for (url, wanted) in [
        (
            "http://127.0.0.1:3000/heygen",
            format!("{id} was acknowledged."),
        ),
        (
            "http://127.0.0.1:1/",
            "answered 503: <b>busy</b>".to_owned(),
        ),
    ] {
        browser.goto(&site.at(&format!("/deliveries/{id}"))).await;
        browser.fill("#send-to", url).await;
        browser.click("form[action$='/send'] button").await;
        browser.wait_for(&wanted).await;
        browser.check_accessible().await;
        browser.click_link("Back to the delivery").await;
        browser.wait_for("No attempt has ended yet.").await;
    }
    browser.close().await;
}

/// What a stranger chose is shown as text: it runs nothing, loads nothing and breaks out of nothing.
#[tokio::test]
async fn hostile_content_is_harmless() {
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
    let browser = Browser::open().await;
    for path in paths {
        browser.goto(&site.at(&path)).await;
        assert_eq!(
            browser.ask("window.owned === undefined").await,
            json!(true),
            "{path}"
        );
        let made = "document.querySelectorAll('[onerror], [onload], body script').length";
        assert_eq!(browser.ask(made).await, json!(0), "{path}");
        let links = "[...document.links].filter((link) => !/^https?:$/.test(link.protocol)).length";
        assert_eq!(browser.ask(links).await, json!(0), "{path}");
        let source = browser.client.source().await.unwrap();
        assert!(!source.contains('\u{202e}'), "{path}");
    }
    browser.close().await;
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
        browser.goto(&site.at(path)).await;
        browser.check_fits().await;
        browser.check_accessible().await;
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
    let text = browser.text().await;
    assert!(!text.contains("Live"), "{text}");
    browser.fill("#event", "avatar_video.*").await;
    browser.click("form.filter button.primary").await;
    browser.wait_for("Clear").await;
    browser.click_link("avatar_video.success").await;
    browser.wait_for(&id.to_string()).await;
    browser.click("form[action$='/replay'] button").await;
    browser.wait_for("Replayed: it is due now").await;
    reach(&handled, 2).await;
    // What gives access to the video is in a file, until it is asked for.
    browser.click("#as-curl summary").await;
    browser
        .wait_for(&format!("BODY={id}.body SECRET=whsec_your_secret"))
        .await;
    browser.click_link("Show whole links").await;
    browser.click("#as-curl summary").await;
    let text = browser.wait_for("BODY='{\"event_data\"").await;
    assert!(text.contains("Signature=presigned"), "{text}");
    browser.close().await;
}
