//! The drill over a real socket.

use std::time::Duration;

use heygen_signature::{HEYGEN_SIGNATURE, SIGNATURE, Secret};
use heygen_testkit::drill::{CALLBACK_ID, Check, Drill, Scorecard, Verdict};
use http::Method;
use serde_json::Value;

use crate::server::Server;

/// Long enough for a busy machine; nothing waits for it.
const AMPLE: Duration = Duration::from_secs(60);

fn drill(server: &Server) -> Drill {
    Drill::new(&server.url)
        .secret(Secret::new("whsec_test").unwrap())
        .timeout(AMPLE)
        .probe_timeout(AMPLE)
}

fn with_verdict(scorecard: &Scorecard, verdict: Verdict) -> Vec<Check> {
    let results = scorecard.results().iter();
    results
        .filter(|result| result.verdict == verdict)
        .map(|result| result.check)
        .collect()
}

#[tokio::test]
async fn endpoint_that_accepts_everything_fails_forgery_checks() {
    let server = Server::with_statuses(&[200]).await;
    let mut told = Vec::new();
    let scorecard = drill(&server)
        .run(|result| told.push(result.check))
        .await
        .unwrap();
    assert_eq!(told, Check::ALL);
    assert!(!scorecard.passed());
    assert_eq!(
        with_verdict(&scorecard, Verdict::Fail),
        [Check::Tampered, Check::Unsigned, Check::WrongSecret]
    );
    assert_eq!(
        with_verdict(&scorecard, Verdict::Note),
        [Check::OtherHeader, Check::UpperCase]
    );
    assert_eq!(scorecard.count(Verdict::Skip), 0);

    let seen = server.seen();
    assert_eq!(scorecard.requests(), seen.len());
    let deliveries = seen.iter().filter(|seen| seen.method == Method::POST);
    let mut marked = 0;
    for delivery in deliveries.clone() {
        assert!(!delivery.headers.contains_key("heygen-timestamp"));
        let body: Value = serde_json::from_slice(&delivery.body).unwrap();
        marked += usize::from(body["event_data"]["callback_id"] == CALLBACK_ID);
    }
    let carrying = |header| {
        deliveries
            .clone()
            .filter(move |seen| seen.headers.contains_key(header))
            .count()
    };
    assert_eq!(carrying(HEYGEN_SIGNATURE), 1);
    // All but the unsigned one and that with the other header.
    assert_eq!(carrying(SIGNATURE), deliveries.clone().count() - 2);
    // All but the one with null fields and the one with numbers.
    assert_eq!(marked, deliveries.clone().count() - 2);
    let longest = deliveries.clone().map(|seen| seen.body.len()).max();
    assert!(longest > Some(200 * 1024));
}

#[tokio::test]
async fn silent_endpoint_is_skipped_after_the_plain_delivery() {
    let server = Server::start(|_| None).await;
    let soon = Duration::from_millis(20);
    let drill = drill(&server).timeout(soon).probe_timeout(soon);
    let scorecard = drill.run(|_| {}).await.unwrap();
    assert_eq!(
        with_verdict(&scorecard, Verdict::Fail),
        [Check::Probe, Check::Valid, Check::Latency]
    );
    assert_eq!(scorecard.requests(), 2);
    assert!(scorecard.slowest() >= Some(soon));
}

#[tokio::test]
async fn endpoint_that_rejects_everything_is_not_secure() {
    let server = Server::with_statuses(&[401]).await;
    let scorecard = drill(&server).run(|_| {}).await.unwrap();
    assert_eq!(
        with_verdict(&scorecard, Verdict::Fail),
        [Check::Probe, Check::Valid]
    );
    assert_eq!(scorecard.verdict(Check::Unsigned), Some(Verdict::Skip));
}

#[tokio::test]
async fn outage_does_not_count_as_rejection() {
    // The plain delivery, then the one that is altered.
    let server = Server::with_statuses(&[200, 500]).await;
    let scorecard = drill(&server)
        .only(&[Check::Tampered])
        .run(|_| {})
        .await
        .unwrap();
    assert_eq!(with_verdict(&scorecard, Verdict::Fail), [Check::Tampered]);
    assert_eq!(scorecard.requests(), 2);
}

#[tokio::test]
async fn only_selected_checks_are_sent() {
    let server = Server::with_statuses(&[204]).await;
    let probe = drill(&server)
        .only(&[Check::Probe, Check::Valid])
        .skip(&[Check::Valid]);
    let scorecard = probe.run(|_| {}).await.unwrap();
    assert!(scorecard.passed());
    assert_eq!(scorecard.requests(), 1);
    assert_eq!(scorecard.slowest(), None);

    let nothing = drill(&server).only(&[]).run(|_| {}).await.unwrap();
    assert!(!nothing.passed());

    let no_burst = drill(&server)
        .only(&[Check::Burst])
        .burst(0)
        .run(|_| {})
        .await
        .unwrap();
    assert_eq!(no_burst.verdict(Check::Burst), Some(Verdict::Skip));
}

#[tokio::test]
async fn late_replay_and_duplicate_are_separate_checks() {
    // The plain one, one and its duplicate, which is refused, and the replay.
    let server = Server::with_statuses(&[200, 200, 409, 200]).await;
    let both = drill(&server).only(&[Check::Valid, Check::Duplicate, Check::Replay]);
    let scorecard = both.run(|_| {}).await.unwrap();
    assert_eq!(with_verdict(&scorecard, Verdict::Fail), [Check::Duplicate]);
    let seen = server.seen();
    assert_eq!(seen[1].body, seen[2].body);
    assert_eq!(seen[0].body, seen[3].body);
    assert_ne!(seen[0].body, seen[1].body);
}

#[tokio::test]
async fn what_is_told_of_all_deliveries_needs_no_other_check() {
    for check in [Check::Latency, Check::Redirect] {
        let server = Server::with_statuses(&[204]).await;
        let alone = drill(&server).only(&[check]);
        let scorecard = alone.run(|_| {}).await.unwrap();
        assert_eq!(with_verdict(&scorecard, Verdict::Pass), [check]);
        assert!(scorecard.passed());
        assert_eq!(scorecard.requests(), 1);
    }
}
