//! What is counted, read as Prometheus reads it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use heygen_inbox::{Inbox as _, InboxAdmin as _, MemoryInbox};
use heygen_receiver::{
    CallbackTokens, DispatchOptions, Dispatcher, Disposition, Metrics, Receiver, ReceiverOptions,
};

use crate::client::{ask, post, request, sign, signed};
use crate::support::{PATH, Running, body, delivery, secret, until};

/// Samples by name and labels; every line is looked at.
fn read(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut families = BTreeMap::new();
    let (lines, end) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(end, "# EOF");
    for line in lines.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(families.insert(name, kind).is_none(), "{name} comes twice");
        } else if line.starts_with("# ") {
            assert!(line.starts_with("# HELP "), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{line}"
            );
            let family = families.iter().find(|(family, kind)| {
                let suffixes: &[&str] = match **kind {
                    "counter" => &["_total"],
                    "gauge" => &[""],
                    _ => &["_bucket", "_sum", "_count"],
                };
                suffixes
                    .iter()
                    .any(|suffix| name.strip_suffix(suffix) == Some(family))
            });
            assert!(family.is_some(), "{line} without its type");
            let is_new = samples.insert(series.to_owned(), value.parse().unwrap());
            assert!(is_new.is_none(), "{line} comes twice");
        }
    }
    samples
}

#[tokio::test]
async fn requests_are_counted() {
    let started_at = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let metrics = Metrics::new(started_at)
        .rejected_ring_dropped(|| 7)
        .build_info("1.2.3")
        .counter("mine", "Of the application.", || 3)
        .gauge("known", "Has a value.", || Some(1.5))
        .gauge("unknown", "Has none yet.", || None);
    let inbox = MemoryInbox::new();
    let token = "Zm9vYmFyYmF6cXV4MTIzNDU2";
    let mut options = ReceiverOptions::default();
    options.observers.add(metrics.clone());
    options.callback_tokens = CallbackTokens::new([token]).unwrap();
    let server = Running::start(Receiver::with(secret(), inbox.clone(), options)).await;
    let strange = r#"{"event_type":"a \"new\"\none\\","event_data":7}"#;
    let callback = String::from_utf8(post(body("c"), &[])).unwrap();
    let callback = callback.replacen(PATH, &format!("{PATH}/callbacks/{token}"), 1);
    let signature = sign(b"{}");
    for request in [
        signed(body("a")),
        signed(body("a")),
        signed(body("b")),
        signed(strange),
        signed(strange),
        callback.into_bytes(),
        post(body("a"), &[]),
        post(body("a"), &[("Signature", &signature)]),
        post(body("b"), &[("Signature", &signature)]),
        request("GET", &format!("{PATH}/callbacks/{token}x"), &[]),
    ] {
        ask(server.address, request).await;
    }
    let text = metrics.scrape(&inbox).await;
    assert!(!text.contains(token) && !text.contains(&signature));
    let samples = read(&text);
    let expect = |series: &str, value: f64| {
        let series = format!("heygen_webhooks_{series}");
        assert_eq!(samples.get(&series), Some(&value), "{series} in {text}");
    };
    expect(
        r#"deliveries_total{result="accepted",source="webhook"}"#,
        3.0,
    );
    expect(
        r#"deliveries_total{result="duplicate",source="webhook"}"#,
        2.0,
    );
    expect(
        r#"deliveries_total{result="accepted",source="callback"}"#,
        1.0,
    );
    expect(r#"rejected_total{reason="missing-signature"}"#, 1.0);
    expect(r#"rejected_total{reason="signature-mismatch"}"#, 2.0);
    expect(r#"rejected_total{reason="not-found"}"#, 1.0);
    expect("commit_seconds_count", 6.0);
    expect(r#"commit_seconds_bucket{le="+Inf"}"#, 6.0);
    expect("pending", 4.0);
    expect("claimed", 0.0);
    expect("dead_lettered", 0.0);
    expect("append_queue_length", 0.0);
    expect("rejected_ring_dropped_total", 7.0);
    let of_event = |event_type: &str, outcome: &str| {
        format!(r#"events_total{{event_type="{event_type}",outcome="{outcome}"}}"#)
    };
    expect(&of_event("avatar_video.success", "success"), 3.0);
    expect(&of_event("other", "other"), 1.0);
    expect(r#"build_info{version="1.2.3"}"#, 1.0);
    expect("mine_total", 3.0);
    expect("known", 1.5);
    assert!(!text.contains("heygen_webhooks_unknown"), "{text}");
    let verified = samples["heygen_webhooks_last_verified_delivery_timestamp_seconds"];
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let ago = now.as_secs_f64() - verified;
    assert!((-1.0..60.0).contains(&ago), "{ago}");
    let name = r#"a \"new\"\none\\"#;
    expect(
        &format!(r#"drift_total{{kind="unknown_event",event_type="{name}",name="{name}"}}"#),
        1.0,
    );
    assert_eq!(samples["process_start_time_seconds"], 1_790_000_000.0);
    let age = samples["heygen_webhooks_oldest_pending_age_seconds"];
    assert!(age > 0.0 && age < 60.0, "{age}");
    assert!(samples.contains_key("heygen_webhooks_inbox_bytes"));
}

#[tokio::test]
async fn how_attempts_end_is_counted() {
    let metrics = Metrics::new(SystemTime::now());
    let inbox = MemoryInbox::new();
    let mut options = DispatchOptions::default();
    options.observers.add(metrics.clone());
    let handler = async |delivery: heygen_receiver::Delivery| match delivery.attempt() {
        1 => Disposition::Retry {
            after: Some(Duration::ZERO),
            reason: "once more".to_owned(),
        },
        _ => Disposition::dead_letter("enough"),
    };
    inbox.append(delivery("a")).await.unwrap();
    let dispatcher = Dispatcher::with(inbox.clone(), handler, options);
    let dispatching = tokio::spawn(dispatcher.run(std::future::pending()));
    until(async || inbox.counts().await.unwrap().dead_lettered == 1).await;
    let samples = read(&metrics.scrape(&inbox).await);
    for result in ["retry", "dead_lettered"] {
        let of = |name: &str| samples[&format!("heygen_webhooks_{name}{{result=\"{result}\"}}")];
        assert_eq!(of("attempts_total"), 1.0);
        assert_eq!(of("handler_seconds_count"), 1.0);
        let of_event = format!(
            r#"heygen_webhooks_event_attempts_total{{event_type="avatar_video.success",result="{result}"}}"#
        );
        assert_eq!(samples[&of_event], 1.0);
    }
    assert_eq!(samples["heygen_webhooks_dead_lettered"], 1.0);
    assert_eq!(samples["heygen_webhooks_oldest_pending_age_seconds"], 0.0);
    dispatching.abort();
}

#[tokio::test]
async fn names_that_senders_choose_are_limited() {
    let metrics = Metrics::new(SystemTime::now());
    let inbox = MemoryInbox::new();
    let mut options = ReceiverOptions::default();
    options.observers.add(metrics.clone());
    let receiver = Receiver::with(secret(), inbox.clone(), options);
    for number in 0..250 {
        let body = format!(r#"{{"event_type":"new.{number}","event_data":{{}}}}"#);
        let request = heygen_testkit::signed_request(PATH, body, &secret());
        assert_eq!(receiver.receive(request).await.status(), 200);
    }
    let samples = read(&metrics.scrape(&inbox).await);
    let drift = samples
        .iter()
        .filter(|(name, _)| name.starts_with("heygen_webhooks_drift_total"));
    assert_eq!(drift.count(), 201);
    let others =
        r#"heygen_webhooks_drift_total{kind="unknown_event",event_type="other",name="other"}"#;
    assert_eq!(samples[others], 50.0);
    let others = r#"heygen_webhooks_events_total{event_type="other",outcome="other"}"#;
    assert_eq!(samples[others], 250.0);
}

/// What no one signed says nothing of HeyGen's deliveries.
#[tokio::test]
async fn callback_is_no_verified_delivery() {
    let metrics = Metrics::new(SystemTime::now());
    let inbox = MemoryInbox::new();
    let token = "Zm9vYmFyYmF6cXV4MTIzNDU2";
    let mut options = ReceiverOptions::default();
    options.observers.add(metrics.clone());
    options.callback_tokens = CallbackTokens::new([token]).unwrap();
    let server = Running::start(Receiver::with(secret(), inbox.clone(), options)).await;
    let name = "heygen_webhooks_last_verified_delivery_timestamp_seconds";
    let callback = String::from_utf8(post(body("c"), &[])).unwrap();
    let callback = callback.replacen(PATH, &format!("{PATH}/callbacks/{token}"), 1);
    ask(server.address, callback.into_bytes()).await;
    assert!(!read(&metrics.scrape(&inbox).await).contains_key(name));
    ask(server.address, signed(body("a"))).await;
    assert!(read(&metrics.scrape(&inbox).await).contains_key(name));
}
