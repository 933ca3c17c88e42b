//! Deliveries forwarded to an application that accepts them, rejects them, or fails.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use heygen_inbox::{
    AttemptOutcome, Header, Inbox as _, InboxAdmin as _, MemoryInbox, NewDelivery, Query, Source,
    State,
};
use heygen_receiver::handlers::{Forward, ForwardErrorKind, ForwardOptions};
use heygen_receiver::{ActiveSecrets, Dispatcher, Secret, Secrets};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::application::{Application, Request, answer};
use crate::client::{ask, post, sign, signed};
use crate::handler_run::HandlerRun;
use crate::support::{PATH, body, secret, start, until};

fn forward(application: &Application) -> Forward {
    Forward::new(&application.url, secret()).unwrap()
}

fn verified(request: &Request, secret: &Secret) -> bool {
    let pairs = request.headers.iter();
    let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_slice()));
    // Both names of the header are there, and the check wants one.
    ["signature", "heygen-signature"].iter().all(|wanted| {
        let one = pairs.clone().filter(|(name, _)| name == wanted);
        heygen_signature::verify(one, &request.body, &Secrets::new(secret.clone())).is_ok()
    })
}

#[tokio::test]
async fn the_body_is_sent_byte_for_byte_and_signed() {
    let application = Application::always(answer("204 No Content", "", "")).await;
    let run = HandlerRun::start(forward(&application));
    let everything: Vec<u8> = (0..=255).collect();
    let event = body(" é \\u0000 ");
    for sent in [event.as_bytes(), everything.as_slice(), b""] {
        let (result, reason) = run.ends(sent).await;
        assert_eq!(result, AttemptOutcome::Acknowledged, "{reason}");
        let request = application.requests().pop().unwrap();
        assert_eq!(request.body, sent);
        assert!(verified(&request, &secret()), "{request:?}");
        assert!(!verified(&request, &Secret::new("other").unwrap()));
    }
}

#[tokio::test]
async fn forwarded_headers_describe_the_delivery() {
    let application = Application::always(answer("200 OK", "", "thanks")).await;
    let run = HandlerRun::start(forward(&application));
    let started = SystemTime::now();
    let id = run
        .append(
            &[
                ("Content-Type", "application/json; charset=utf-8"),
                ("Signature", "0000"),
                ("Heygen-Signature", "0000"),
                ("Heygen-Timestamp", "1700000000"),
                ("Heygen-Event-Id", "evt_1"),
                ("Heygen-Event-Id", "evt_2"),
                ("Heygen-Webhooks-Authenticity", "invented"),
                ("Heygen-Webhooks-Invented", "1"),
                ("X-Request-Id", "é"),
                ("Traceparent", "00-1-2-01"),
                ("Tracestate", "a=b"),
                ("Heygen-Weird", "a\u{1}b"),
                ("Heygen weird", "1"),
                ("X-Forwarded-For", "192.0.2.1"),
                ("User-Agent", "HeyGen"),
                ("Cookie", "a"),
                ("Host", "public.example"),
                ("Transfer-Encoding", "chunked"),
                ("Connection", "close"),
            ],
            body("a").as_bytes(),
        )
        .await;
    run.after(id, 1).await;
    let [request] = application.requests().try_into().unwrap();
    assert_eq!(request.line, "POST /hook HTTP/1.1");
    assert!(verified(&request, &secret()));
    for (name, value) in [
        ("content-type", "application/json; charset=utf-8"),
        ("heygen-webhooks-id", id.to_string().as_str()),
        ("heygen-webhooks-attempt", "1"),
        ("heygen-webhooks-authenticity", "signature"),
        ("x-request-id", "é"),
        ("traceparent", "00-1-2-01"),
        ("tracestate", "a=b"),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
    let agent = request.header("user-agent");
    assert!(agent.starts_with("heygen-webhooks/"), "{agent}");
    assert_eq!(request.all("heygen-event-id"), [b"evt_1", b"evt_2"]);
    let timestamp = request.header("heygen-timestamp").parse().unwrap();
    let timestamp = UNIX_EPOCH + Duration::from_secs(timestamp);
    assert!(timestamp + Duration::from_secs(2) > started);
    let received = request.header("heygen-webhooks-received-at");
    assert!(received.starts_with("20") && received.ends_with('Z'));
    let mut names: Vec<_> = request.headers.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(
        names,
        [
            "accept",
            "content-length",
            "content-type",
            "heygen-event-id",
            "heygen-signature",
            "heygen-timestamp",
            "heygen-webhooks-attempt",
            "heygen-webhooks-authenticity",
            "heygen-webhooks-id",
            "heygen-webhooks-received-at",
            "host",
            "signature",
            "traceparent",
            "tracestate",
            "user-agent",
            "x-request-id",
        ]
    );
}

#[tokio::test]
async fn without_headers_it_is_json_and_has_no_timestamp() {
    let application = Application::always(answer("200 OK", "", "")).await;
    let run = HandlerRun::start(forward(&application));
    run.attempt(b"{}").await;
    let [request] = application.requests().try_into().unwrap();
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.all("heygen-timestamp"), [b""; 0]);
}

#[tokio::test]
async fn two_deliveries_share_a_connection() {
    let statuses = ["200 OK", "500 Internal Server Error", "204 No Content"];
    let application = Application::start(move |number| {
        let text = if number == 2 { "" } else { "a text" };
        Some(answer(statuses[number], "", text))
    })
    .await;
    let run = HandlerRun::start(forward(&application));
    for _ in statuses {
        let number = application.requests().len();
        run.attempt(body(&number.to_string()).as_bytes()).await;
    }
    let connections: Vec<_> = application
        .requests()
        .iter()
        .map(|r| r.connection)
        .collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[tokio::test]
async fn second_attempt_has_its_number() {
    let application = Application::start(|number| {
        let status = ["503 Service Unavailable", "200 OK"][number];
        Some(answer(status, "", ""))
    })
    .await;
    let run = HandlerRun::with(forward(&application), |options| {
        options.schedule.initial_delay = Duration::from_millis(1);
    });
    let id = run.append(&[], b"{}").await;
    let stored = run.after(id, 2).await;
    assert_eq!(stored.summary.state, State::Acknowledged);
    let [first, second] = application.requests().try_into().unwrap();
    assert_eq!(first.header("heygen-webhooks-attempt"), "1");
    assert_eq!(second.header("heygen-webhooks-attempt"), "2");
    assert_eq!(
        first.header("heygen-webhooks-id"),
        second.header("heygen-webhooks-id")
    );
}

/// How an attempt ends that is answered so, and after `answered ` the note, after `URL answered ` the reason.
async fn check(answer: Vec<u8>, result: AttemptOutcome, reason: &str) {
    let application = Application::always(answer).await;
    let run = HandlerRun::start(forward(&application));
    let (found, said) = run.ends(b"{}").await;
    assert_eq!(found, result, "{said}");
    let expected = match result {
        AttemptOutcome::Acknowledged => format!("answered {reason}"),
        _ => format!("{} answered {reason}", application.url),
    };
    assert_eq!(said, expected);
    assert_eq!(application.requests().len(), 1);
}

#[tokio::test]
async fn the_status_decides() {
    use AttemptOutcome::{Acknowledged, DeadLettered, Retry};
    check(answer("200 OK", "", "fine"), Acknowledged, "200 OK").await;
    check(
        answer("299 Odd", "", ""),
        Acknowledged,
        "299 <unknown status code>",
    )
    .await;
    check(
        answer("410 Gone", "", "no\nmore"),
        DeadLettered,
        "410 Gone: no more",
    )
    .await;
    check(answer("404 Not Found", "", ""), Retry, "404 Not Found").await;
    check(
        answer("500 Internal Server Error", "", "\x1b[31m\0oh"),
        Retry,
        "500 Internal Server Error: \u{fffd}[31m\u{fffd}oh",
    )
    .await;
    check(
        answer("418 I'm a teapot", "X-Odd: \u{ff}\u{80}\r\n", "tea"),
        Retry,
        "418 I'm a teapot: tea",
    )
    .await;
    check(
        answer("799 Odd", "", ""),
        Retry,
        "799 <unknown status code>",
    )
    .await;
}

#[tokio::test]
async fn a_2xx_status_counts_whatever_follows_it() {
    let many = |count: usize| {
        let lines: Vec<_> = (0..count)
            .map(|number| format!("X-{number}: 1\r\n"))
            .collect();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n",
            lines.concat()
        )
    };
    let long = "x".repeat(1_000_000);
    for answer in [
        "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        "HTTP/1.1 200 OK\r\nX-Space : a\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        "HTTP/1.1 200 OK\r\nX-Control: a\0b\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nok".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: odd\r\n\r\nok".to_owned(),
        "HTTP/1.1 200 OK\r\nX-Endless: ".to_owned(),
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok".to_owned(),
        "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "HTTP/1.0 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n\
         HTTP/1.1 202 Accepted\r\nContent-Length: x\r\n\r\n"
            .to_owned(),
        many(200),
        many(2000),
        format!("HTTP/1.1 200 OK\r\nX-Long: {long}\r\n\r\n"),
    ] {
        let application = Application::always(answer.as_bytes()).await;
        let mut options = ForwardOptions::default();
        options.timeout = Duration::from_secs(2);
        let forward = Forward::with(&application.url, secret(), options).unwrap();
        let (result, said) = HandlerRun::start(forward).ends(b"{}").await;
        let start: String = answer.chars().take(100).collect();
        assert_eq!(result, AttemptOutcome::Acknowledged, "{start:?}: {said}");
        assert_eq!(application.requests().len(), 1, "{start:?}");
    }
}

#[tokio::test]
async fn another_status_counts_too_where_the_rest_cannot_be_read() {
    use AttemptOutcome::{DeadLettered, Retry};
    for (status, expected) in [("500 Oh", Retry), ("410 Gone", DeadLettered)] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: x\r\n\r\n");
        let application = Application::always(answer).await;
        let (result, said) = HandlerRun::start(forward(&application)).ends(b"{}").await;
        assert_eq!(result, expected);
        assert!(
            said.starts_with(&format!("answered {}", &status[..3])),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_is_reset_after_its_status_counts() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        stream.write_all(head).await.unwrap();
        // More than what it has read came: closing it resets the connection.
        stream.set_zero_linger().unwrap();
    });
    let run = HandlerRun::start(Forward::new(&url, secret()).unwrap());
    let (result, said) = run.ends(b"{}").await;
    assert_eq!(result, AttemptOutcome::Acknowledged, "{said}");
    serving.await.unwrap();
}

/// An application that closes each connection after its first answer and does not say so: the close
/// meets the next request on its way.
#[tokio::test]
async fn connection_closed_as_idle_costs_no_attempt() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            requests.push(stream.read(&mut buffer).await.unwrap() > 0);
            stream.write_all(&answer("200 OK", "", "")).await.unwrap();
            // Without an answer to the next.
            requests.push(stream.read(&mut buffer).await.unwrap() > 0);
            if requests.len() == 6 {
                return requests;
            }
        }
    });
    let run = HandlerRun::start(Forward::new(&url, secret()).unwrap());
    for number in 0..3 {
        let (result, said) = run.ends(body(&number.to_string()).as_bytes()).await;
        assert_eq!(result, AttemptOutcome::Acknowledged, "{said}");
    }
    // The application ends with it: no other connection can be opened.
    let (result, said) = run.ends(body("last").as_bytes()).await;
    assert_eq!(result, AttemptOutcome::Retry, "{said}");
    assert_eq!(serving.await.unwrap(), [true; 6]);
}

#[tokio::test]
async fn connection_is_replaced_after_its_lifetime() {
    for (lifetime, expected) in [
        (Duration::ZERO, [0, 1, 2]),
        (Duration::from_secs(60), [0, 0, 0]),
    ] {
        let application = Application::always(answer("200 OK", "", "")).await;
        let mut options = ForwardOptions::default();
        options.connection_lifetime = lifetime;
        let forward = Forward::with(&application.url, secret(), options).unwrap();
        let run = HandlerRun::start(forward);
        for number in 0..3 {
            run.attempt(body(&number.to_string()).as_bytes()).await;
        }
        let requests = application.requests();
        let connections: Vec<_> = requests.iter().map(|request| request.connection).collect();
        assert_eq!(connections, expected, "{lifetime:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Application::always(answer("200 OK", "", "")).await;
    for status in ["301 Moved Permanently", "307 Temporary Redirect"] {
        let location = format!("Location: {}?token=hush\r\n", elsewhere.url);
        check(
            answer(status, &location, "see there"),
            AttemptOutcome::Retry,
            &format!(
                "{status}, and redirects are not followed: forward to the target of the redirect"
            ),
        )
        .await;
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn not_modified_is_no_redirect_and_no_acknowledgement() {
    check(
        answer("304 Not Modified", "", ""),
        AttemptOutcome::Retry,
        "304 Not Modified, which acknowledges nothing: answer 2xx",
    )
    .await;
}

#[tokio::test]
async fn long_response_is_cut_and_an_endless_one_does_not_delay() {
    let long = "é".repeat(200_000);
    check(
        answer("500 Internal Server Error", "", &long),
        AttemptOutcome::Retry,
        &format!("500 Internal Server Error: {}", "é".repeat(100)),
    )
    .await;
    let page = "<!doctype html>\n<html lang=en>\n<title>500</title>\n<p>no such table</p>";
    check(
        answer("500 Internal Server Error", "", page),
        AttemptOutcome::Retry,
        "500 Internal Server Error: 500 no such table",
    )
    .await;
    // More is said to come than ever does.
    for (status, result, reason) in [
        (
            "502 Bad Gateway",
            AttemptOutcome::Retry,
            "502 Bad Gateway: ab",
        ),
        ("200 OK", AttemptOutcome::Acknowledged, "200 OK"),
    ] {
        let endless = format!("HTTP/1.1 {status}\r\nContent-Length: 9999\r\n\r\nab");
        check(endless.into_bytes(), result, reason).await;
    }
}

/// How long the next attempt waits, in seconds, and the tests's own slowness added.
async fn wait_after(status: &str, headers: &str) -> Duration {
    let application = Application::always(answer(status, headers, "")).await;
    let run = HandlerRun::start(forward(&application));
    let id = run.append(&[], b"{}").await;
    let before = SystemTime::now();
    let stored = run.after(id, 1).await;
    stored.due_at.unwrap().duration_since(before).unwrap()
}

#[tokio::test]
async fn retry_after_pauses_the_destination() {
    let seconds = Duration::from_secs;
    let slowness = seconds(30);
    let in_2_minutes = httpdate::fmt_http_date(SystemTime::now() + seconds(120));
    let too_far = httpdate::fmt_http_date(SystemTime::now() + seconds(24 * 3600));
    for (status, header, expected) in [
        ("503 Service Unavailable", "600", seconds(600)),
        ("429 Too Many Requests", "600", seconds(600)),
        ("500 Internal Server Error", "600", seconds(600)),
        (
            "503 Service Unavailable",
            in_2_minutes.as_str(),
            seconds(119),
        ),
        ("503 Service Unavailable", "999999999999", seconds(3600)),
        ("503 Service Unavailable", too_far.as_str(), seconds(3600)),
    ] {
        let found = wait_after(status, &format!("Retry-After: {header}\r\n")).await;
        // To the second, as the header has it.
        let least = expected - seconds(1);
        assert!(
            least <= found && found < expected + slowness,
            "{status}, {header}: {found:?}"
        );
    }
    // The schedule of the test waits an hour, more or less.
    for headers in ["", "Retry-After: 0\r\n", "Retry-After: soon\r\n"] {
        let found = wait_after("503 Service Unavailable", headers).await;
        assert!(found > seconds(1200), "{headers:?}: {found:?}");
    }
}

#[tokio::test]
async fn missing_response_is_retried_before_the_handler_timeout() {
    let application = Application::start(|_| None).await;
    let mut options = ForwardOptions::default();
    options.timeout = Duration::from_millis(50);
    let url = format!("{}?token=hush", application.url);
    let run = HandlerRun::start(Forward::with(&url, secret(), options).unwrap());
    let (result, reason) = run.ends(b"{}").await;
    assert_eq!(result, AttemptOutcome::Retry);
    assert_eq!(
        reason,
        format!("{} gave no answer within 50ms", application.url)
    );
}

#[tokio::test]
async fn unreachable_application_is_retried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/?token=hush");
    let run = HandlerRun::start(Forward::new(&url, secret()).unwrap());
    let (result, reason) = run.ends(b"{}").await;
    assert_eq!(result, AttemptOutcome::Retry);
    let expected = format!("http://{address}/ could not be reached: ");
    assert!(reason.starts_with(&expected), "{reason}");
    assert!(!reason.contains("hush"), "{reason}");
    assert!(reason.to_lowercase().contains("refused"), "{reason}");
}

#[tokio::test]
async fn response_that_is_not_http_is_retried() {
    for bytes in [&b"\xff\xfe\0 no HTTP\r\n\r\n"[..], b"", b"HTTP/1.1 200"] {
        let application = Application::start(move |_| Some(bytes.to_vec())).await;
        let mut options = ForwardOptions::default();
        options.timeout = Duration::from_millis(200);
        let url = format!("{}?token=hush", application.url);
        let run = HandlerRun::start(Forward::with(&url, secret(), options).unwrap());
        let (result, reason) = run.ends(b"{}").await;
        assert_eq!(result, AttemptOutcome::Retry);
        let expected = format!("{} gave no answer", application.url);
        assert!(reason.starts_with(&expected), "{reason}");
        assert!(!reason.contains("hush"), "{reason}");
    }
}

#[tokio::test]
async fn without_a_secret_nothing_is_sent_and_a_new_one_signs_at_once() {
    let application = Application::always(answer("200 OK", "", "")).await;
    let secrets = ActiveSecrets::none();
    let run = HandlerRun::start(Forward::new(&application.url, secrets.clone()).unwrap());
    let (result, reason) = run.ends(b"{}").await;
    assert_eq!(result, AttemptOutcome::Retry);
    assert!(reason.contains("no secret"), "{reason}");
    assert_eq!(application.requests().len(), 0);

    let newest = Secret::new("newest").unwrap();
    let mut both = Secrets::new(newest.clone());
    both.push(secret());
    secrets.set(both);
    run.attempt(body("a").as_bytes()).await;
    let [request] = application.requests().try_into().unwrap();
    assert!(verified(&request, &newest));
}

/// What a delivery of this source comes to the application with, its forwarding signed with
/// `signed_with` while the receiver accepts `accepted`.
async fn check_signed(
    source: Source,
    signed_with: &str,
    accepted: Option<&[&str]>,
    is_signed: bool,
) {
    let application = Application::always(answer("200 OK", "", "")).await;
    let mut options = ForwardOptions::default();
    options.receiver_secrets = accepted.map(|accepted| {
        let accepted = accepted.iter().map(|text| Secret::new(*text).unwrap());
        Secrets::collect(accepted).map_or_else(ActiveSecrets::none, ActiveSecrets::from)
    });
    let secret = Secret::new(signed_with).unwrap();
    let run = HandlerRun::start(Forward::with(&application.url, secret.clone(), options).unwrap());
    let request = sent_on(&run, &application, source, &[]).await;
    let what = format!("{source} signed with {signed_with}, {accepted:?} accepted");
    assert_eq!(verified(&request, &secret), is_signed, "{what}");
    let signatures = ["signature", "heygen-signature"].map(|name| request.all(name).len());
    assert_eq!(signatures, [usize::from(is_signed); 2], "{what}");
    assert_eq!(
        request.header("heygen-webhooks-authenticity"),
        source.authenticity().as_str()
    );
}

async fn sent_on(
    run: &HandlerRun,
    application: &Application,
    source: Source,
    headers: &[(&str, &str)],
) -> Request {
    let headers = headers.iter();
    let headers = headers.map(|(name, value)| Header::new(name, value.as_bytes()));
    let body = body(&format!("of {source}"));
    let delivery = NewDelivery::new(SystemTime::now(), source, headers.collect(), body.into());
    let id = run.inbox.append(delivery).await.unwrap().id();
    run.after(id, 1).await;
    application.requests().pop().unwrap()
}

#[tokio::test]
async fn only_what_heygen_signed_is_signed_with_a_secret_of_the_receiver() {
    for source in Source::ALL {
        let is_heygens = source == Source::Webhook;
        // One of its own; HeyGen's; the old one of HeyGen's; another text that is the same key; and
        // nothing known.
        check_signed(source, "own", Some(&["new", "old"]), true).await;
        check_signed(source, "own", Some(&[]), true).await;
        check_signed(source, "new", Some(&["new", "old"]), is_heygens).await;
        check_signed(source, "old", Some(&["new", "old"]), is_heygens).await;
        check_signed(source, "new\0", Some(&["new"]), is_heygens).await;
        check_signed(source, "own", None, is_heygens).await;
    }
}

#[tokio::test]
async fn a_secret_that_becomes_the_receivers_signs_nothing_of_others_any_more() {
    let application = Application::always(answer("200 OK", "", "")).await;
    let receivers = ActiveSecrets::none();
    let mut options = ForwardOptions::default();
    options.receiver_secrets = Some(receivers.clone());
    let run = HandlerRun::start(Forward::with(&application.url, secret(), options).unwrap());
    let request = sent_on(&run, &application, Source::Callback, &[]).await;
    assert!(verified(&request, &secret()));
    receivers.set(secret().into());
    let request = sent_on(&run, &application, Source::Backfill, &[]).await;
    assert!(request.all("signature").is_empty());
}

#[tokio::test]
async fn heygens_secret_is_recognised_by_what_heygen_signed() {
    let application = Application::always(answer("200 OK", "", "")).await;
    let mut options = ForwardOptions::default();
    options.receiver_secrets = Some(ActiveSecrets::none());
    let run = HandlerRun::start(Forward::with(&application.url, secret(), options).unwrap());
    let body = body("of webhook");
    let signature = secret().sign(body.as_bytes()).to_string();
    let headers = [("Signature", signature.as_str())];
    let request = sent_on(&run, &application, Source::Webhook, &headers).await;
    assert!(verified(&request, &secret()));
    let request = sent_on(&run, &application, Source::Callback, &[]).await;
    assert!(request.all("signature").is_empty());
}

#[test]
fn invalid_address_is_an_error_that_does_not_quote_it() {
    for url in ["hush", "ftp://a.example/hush", "http://hush:hush@a.example"] {
        let error = Forward::new(url, secret()).unwrap_err();
        assert_eq!(error.kind(), ForwardErrorKind::Url);
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
    let forward = Forward::new("http://a.example/b?key=hush", secret()).unwrap();
    let debug = format!("{forward:?}");
    assert!(
        debug.contains("http://a.example/b\"") && !debug.contains("hush"),
        "{debug}"
    );
    assert!(!debug.contains("whsec"), "{debug}");
}

/// The receiver would answer 200 to a duplicate, and no application would ever get the delivery.
#[tokio::test]
async fn receiver_does_not_acknowledge_what_it_forwarded_to_itself() {
    let inbox = MemoryInbox::new();
    let server = start(inbox.clone(), |_| {}).await;
    let url = format!("http://{}{PATH}", server.address);
    let handler = Forward::new(&url, secret()).unwrap();
    let dispatcher = Dispatcher::new(inbox.clone(), handler);
    let dispatching = tokio::spawn(dispatcher.run(std::future::pending()));
    let answer = ask(server.address, signed(body("a"))).await;
    assert_eq!(answer.verdict(), "accepted");
    let id = inbox.list(Query::default()).await.unwrap()[0].id;
    let stored = async || inbox.get(id).await.unwrap().unwrap();
    until(async || !stored().await.attempts.is_empty()).await;
    let stored = stored().await;
    assert_eq!(stored.summary.state, State::Pending, "{stored:?}");
    let reason = stored.attempts[0].detail.as_deref().unwrap_or_default();
    assert!(reason.contains("answered 508"), "{reason}");
    assert_eq!(inbox.list(Query::default()).await.unwrap().len(), 1);
    // Another receiver stores what this one forwards, also twice.
    let other = start(MemoryInbox::new(), |_| {}).await;
    for verdict in ["accepted", "duplicate"] {
        let (signature, id) = (sign(body("a").as_bytes()), id.to_string());
        let headers = [("Signature", &*signature), ("Heygen-Webhooks-Id", &*id)];
        let request = post(body("a"), &headers);
        assert_eq!(ask(other.address, request).await.verdict(), verdict);
    }
    dispatching.abort();
}

/// It would be acknowledged by both, and no application would ever get it.
#[tokio::test]
async fn loop_over_several_receivers_is_found() {
    let inboxes = [(); 3].map(|()| MemoryInbox::new());
    let mut servers = Vec::new();
    for inbox in &inboxes {
        servers.push(start(inbox.clone(), |_| {}).await);
    }
    let mut dispatching = JoinSet::new();
    for (index, inbox) in inboxes.iter().enumerate() {
        let next = servers[(index + 1) % servers.len()].address;
        let handler = Forward::new(&format!("http://{next}{PATH}"), secret()).unwrap();
        let dispatcher = Dispatcher::new(inbox.clone(), handler);
        dispatching.spawn(dispatcher.run(std::future::pending()));
    }
    let answer = ask(servers[0].address, signed(body("a"))).await;
    assert_eq!(answer.verdict(), "accepted");
    let last = &inboxes[2];
    let listed = async || last.list(Query::default()).await.unwrap();
    until(async || !listed().await.is_empty()).await;
    let id = listed().await[0].id;
    let stored = async || last.get(id).await.unwrap().unwrap();
    until(async || !stored().await.attempts.is_empty()).await;
    let stored = stored().await;
    assert_eq!(stored.summary.state, State::Pending, "{stored:?}");
    let reason = stored.attempts[0].detail.as_deref().unwrap_or_default();
    assert!(reason.contains("answered 508"), "{reason}");
}
