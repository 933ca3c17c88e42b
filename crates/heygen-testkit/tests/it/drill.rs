//! The drill over a real socket.

use std::time::Duration;

use heygen_signature::{HEYGEN_SIGNATURE, SIGNATURE, Secret};
use heygen_testkit::drill::{CALLBACK_ID, Check, CheckResult, Drill, Mistake, Scorecard, Verdict};
use http::Method;
use serde_json::Value;

use crate::server::{Seen, Server};

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

#[track_caller]
fn result(scorecard: &Scorecard, check: Check) -> &CheckResult {
    let mut results = scorecard.results().iter();
    results.find(|result| result.check == check).unwrap()
}

#[tokio::test]
async fn endpoint_that_accepts_everything_fails_forgery_checks() {
    let server = Server::with_statuses(&[200]).await;
    let mut checks = Vec::new();
    let scorecard = drill(&server)
        .run(|result| checks.push(result.check))
        .await
        .unwrap();
    assert_eq!(checks, Check::ALL);
    assert!(!scorecard.passed());
    assert_eq!(
        with_verdict(&scorecard, Verdict::Fail),
        [Check::Tampered, Check::Unsigned, Check::WrongSecret]
    );
    assert_eq!(
        with_verdict(&scorecard, Verdict::Note),
        [Check::OtherHeader, Check::UpperCase]
    );
    // What accepts any signature also accepts a malformed one: that is no further defect.
    assert_eq!(
        with_verdict(&scorecard, Verdict::Skip),
        [Check::MalformedSignature]
    );

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
    // All but the one with null fields, the one with numbers, and four whose data is no object.
    assert_eq!(marked, deliveries.clone().count() - 6);
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
        [Check::Probe, Check::Valid],
        "one defect fails one check"
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
    // The plain delivery, then those that are forged.
    let server = Server::with_statuses(&[200, 500]).await;
    let forged = [Check::Tampered, Check::Unsigned, Check::WrongSecret];
    let scorecard = drill(&server).only(&forged).run(|_| {}).await.unwrap();
    assert_eq!(
        with_verdict(&scorecard, Verdict::Fail),
        [Check::Tampered],
        "one defect fails one check"
    );
    let result = result(&scorecard, Check::Tampered);
    assert!(
        result.cost.starts_with("nothing forged gets in"),
        "{result:?}"
    );
    assert!(result.fix.contains("answer 401"), "{result:?}");
    assert_eq!(scorecard.requests(), 4);
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

/// The values of a header.
fn values<'a>(seen: &'a Seen, name: &str) -> Vec<&'a str> {
    let values = seen.headers.get_all(name).iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

/// Accepts probes and, of deliveries, those with this signature.
fn verifying(
    header: &'static str,
    expected: impl Fn(&[u8]) -> String + Send + Sync + 'static,
) -> impl Fn(&Seen) -> u16 + Send + Sync + 'static {
    move |seen| {
        let is_signed = values(seen, header) == [expected(&seen.body)];
        match seen.method == Method::OPTIONS || is_signed {
            true => 204,
            false => 401,
        }
    }
}

fn hmac(key: &str, body: &[u8]) -> String {
    Secret::new(key).unwrap().sign(body).to_string()
}

/// As Python's `json.dumps` writes a body that has no white space and no `,` or `:` beside a quotation mark in its texts.
fn as_python(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.replace("\":", "\": ").replace(",\"", ", \"")
}

#[tokio::test]
async fn mistake_of_an_endpoint_that_rejects_everything_is_named() {
    #[track_caller]
    fn check(scorecard: &Scorecard, expected: &[Mistake]) {
        let valid = result(scorecard, Check::Valid);
        assert_eq!(valid.verdict, Verdict::Fail, "{valid:?}");
        assert_eq!(valid.mistakes, expected, "{valid:?}");
        for mistake in expected {
            assert!(valid.seen.contains(mistake.text()), "{valid:?}");
            assert!(valid.fix.contains(mistake.fix()), "{valid:?}");
        }
        assert_eq!(with_verdict(scorecard, Verdict::Fail), [Check::Valid]);
        assert_eq!(with_verdict(scorecard, Verdict::Pass), [Check::Probe]);
    }
    let run = async |decide: Box<dyn Fn(&Seen) -> u16 + Send + Sync>| {
        let server = Server::deciding(decide).await;
        let drill = drill(&server).secret(Secret::new(BASE64_SECRET).unwrap());
        drill.burst(1).run(|_| {}).await.unwrap()
    };
    let signature = |body: &[u8]| hmac(BASE64_SECRET, body);
    let key = |key: &'static str| Box::new(verifying(SIGNATURE, move |body| hmac(key, body)));
    for (decide, expected) in [
        (
            Box::new(verifying(SIGNATURE, move |body| {
                signature(as_python(body).as_bytes())
            })) as Box<dyn Fn(&Seen) -> u16 + Send + Sync>,
            Mistake::PythonJson,
        ),
        (
            Box::new(verifying(SIGNATURE, move |body| {
                let text = String::from_utf8_lossy(body).replace('/', "\\/");
                signature(text.as_bytes())
            })),
            Mistake::PhpJson,
        ),
        (
            Box::new(verifying(HEYGEN_SIGNATURE, signature)),
            Mistake::HeygenSignature,
        ),
        (
            Box::new(verifying("x-heygen-signature", signature)),
            Mistake::XHeygenSignature,
        ),
        (
            Box::new(verifying(SIGNATURE, move |body| {
                format!("sha256={}", signature(body))
            })),
            Mistake::Sha256Prefix,
        ),
        (
            Box::new(verifying(SIGNATURE, move |body| {
                signature(body).to_uppercase()
            })),
            Mistake::UpperCase,
        ),
        (key("dGVzdA=="), Mistake::WithoutPrefix),
        (key("test"), Mistake::DecodedSecret),
        (key("whsec_dGVzdA==\n"), Mistake::LineBreak),
        (key("\"whsec_dGVzdA==\""), Mistake::QuotedSecret),
    ] {
        check(&run(decide).await, &[expected]);
    }
    let two = verifying("x-heygen-signature", move |body| {
        format!("sha256={}", signature(body))
    });
    check(
        &run(Box::new(two)).await,
        &[Mistake::XHeygenSignature, Mistake::Sha256Prefix],
    );
    let other_secret = run(key("whsec_other")).await;
    check(&other_secret, &[]);
    let valid = result(&other_secret, Check::Valid);
    assert!(
        valid
            .fix
            .contains("has the secret that the drill signs with"),
        "{valid:?}"
    );
    assert!(other_secret.requests() < 150, "{other_secret:?}");
}

#[tokio::test]
async fn base64_signature_is_a_named_mistake() {
    // Of an empty body with this secret, by `openssl dgst -sha256 -hmac whsec_test -binary | base64`, no delivery is made:
    // that the value is base64 of 32 bytes is what can be seen.
    let server = Server::deciding(|seen| {
        let value = values(seen, SIGNATURE).concat();
        let is_base64 = value.len() == 44 && value.ends_with('=');
        if seen.method == Method::OPTIONS || is_base64 {
            204
        } else {
            401
        }
    })
    .await;
    let scorecard = drill(&server)
        .only(&[Check::Valid])
        .run(|_| {})
        .await
        .unwrap();
    assert_eq!(result(&scorecard, Check::Valid).mistakes, [Mistake::Base64]);
}

#[tokio::test]
async fn white_space_around_the_secret_of_the_drill_is_named() {
    let server = Server::deciding(verifying(SIGNATURE, |body| hmac("whsec_test", body))).await;
    let drill = drill(&server).secret(Secret::new("whsec_test ").unwrap());
    let scorecard = drill.only(&[Check::Valid]).run(|_| {}).await.unwrap();
    assert_eq!(
        result(&scorecard, Check::Valid).mistakes,
        [Mistake::TrimmedSecret]
    );
}

#[tokio::test]
async fn body_that_is_parsed_before_it_is_verified_is_named() {
    // The compact delivery passes: `JSON.stringify` writes it as it came.
    let server = Server::deciding(verifying(SIGNATURE, |body| {
        let event: Value = serde_json::from_slice(body).unwrap();
        let data = &event["event_data"];
        let body = match event["event_type"] == "avatar_video.fail" {
            true => format!(
                r#"{{"event_type":{},"event_data":{{"video_id":{},"msg":{},"callback_id":{}}}}}"#,
                event["event_type"], data["video_id"], data["msg"], data["callback_id"]
            ),
            false => String::from_utf8_lossy(body).into_owned(),
        };
        hmac("whsec_test", body.as_bytes())
    }))
    .await;
    let checks = [Check::Valid, Check::RawBody, Check::OddText];
    let scorecard = drill(&server).only(&checks).run(|_| {}).await.unwrap();
    assert_eq!(with_verdict(&scorecard, Verdict::Fail), [Check::RawBody]);
    let raw_body = result(&scorecard, Check::RawBody);
    assert_eq!(raw_body.mistakes, [Mistake::JsJson], "{raw_body:?}");
    assert!(raw_body.fix.contains("express.raw"), "{raw_body:?}");
}

/// An endpoint that verifies, and fails where `fails` says.
fn correct_but(
    fails: impl Fn(&Seen) -> bool + Send + Sync + 'static,
) -> impl Fn(&Seen) -> u16 + Send + Sync + 'static {
    let verify = verifying(SIGNATURE, |body| hmac("whsec_test", body));
    move |seen| if fails(seen) { 500 } else { verify(seen) }
}

#[tokio::test]
async fn correct_endpoint_passes() {
    let server = Server::deciding(correct_but(|_| false)).await;
    let scorecard = drill(&server).burst(3).run(|_| {}).await.unwrap();
    assert!(scorecard.passed(), "{scorecard:?}");
    assert_eq!(scorecard.count(Verdict::Skip), 0, "{scorecard:?}");
    for check in [Check::Duplicate, Check::Replay] {
        let seen = &result(&scorecard, check).seen;
        assert!(seen.contains("cannot be seen"), "{seen}");
    }
}

#[tokio::test]
async fn malformed_signature_must_be_rejected() {
    #[track_caller]
    fn check(scorecard: &Scorecard, seen: &str, is_opening: bool) {
        let check = Check::MalformedSignature;
        assert_eq!(with_verdict(scorecard, Verdict::Fail), [check]);
        let result = result(scorecard, check);
        assert!(result.seen.contains(seen), "{result:?}");
        assert_eq!(result.cost == check.cost(), is_opening, "{result:?}");
    }
    let run = async |decide: Box<dyn Fn(&Seen) -> u16 + Send + Sync>| {
        let server = Server::deciding(decide).await;
        drill(&server).burst(0).run(|_| {}).await.unwrap()
    };
    // `expected.startswith(header)`
    let prefix = |seen: &Seen| {
        let expected = hmac("whsec_test", &seen.body);
        let found = values(seen, SIGNATURE);
        let is_prefix = found.len() == 1 && expected.starts_with(found[0]);
        if seen.method == Method::OPTIONS || is_prefix {
            200
        } else {
            401
        }
    };
    let scorecard = run(Box::new(prefix)).await;
    check(&scorecard, "accepted: empty, cut short: 200", true);

    // A comparison that raises an error for another length.
    let raises = |seen: &Seen| {
        let found = values(seen, SIGNATURE);
        found.iter().any(|value| value.len() != 64)
    };
    check(
        &run(Box::new(correct_but(raises))).await,
        "4xx either: empty, cut short: 500",
        false,
    );

    let twice = |seen: &Seen| values(seen, SIGNATURE).len() == 2;
    check(
        &run(Box::new(correct_but(twice))).await,
        "4xx either: given twice: 500",
        false,
    );
}

#[tokio::test]
async fn odd_bodies_must_be_accepted() {
    async fn check(
        fails: impl Fn(&Value) -> bool + Send + Sync + 'static,
        expected: Check,
        seen: &str,
    ) {
        let server = Server::deciding(correct_but(move |seen| {
            serde_json::from_slice(&seen.body).is_ok_and(|body: Value| fails(&body))
        }))
        .await;
        let scorecard = drill(&server).burst(0).run(|_| {}).await.unwrap();
        assert_eq!(with_verdict(&scorecard, Verdict::Fail), [expected]);
        let result = result(&scorecard, expected);
        assert!(result.seen.contains(seen), "{result:?}");
    }
    let data = |body: &Value| body.get("event_data").cloned();
    check(
        move |body| data(body).is_none(),
        Check::OddData,
        "missing: 500",
    )
    .await;
    check(
        move |body| data(body) == Some(Value::Null),
        Check::OddData,
        "null: 500",
    )
    .await;
    check(
        move |body| data(body).is_some_and(|data| data.is_array()),
        Check::OddData,
        "an array: 500",
    )
    .await;
    check(
        move |body| data(body).is_some_and(|data| data.is_string()),
        Check::OddData,
        "a text: 500",
    )
    .await;
    check(|body| body["event_type"].is_null(), Check::EventKey, "500").await;
    // Nothing is said of other bodies that are failures.
    check(
        |body| body["event_type"] == "avatar_video.fail",
        Check::Failure,
        "500",
    )
    .await;
    check(
        |body| {
            body["event_data"]["msg"]
                .as_str()
                .is_some_and(|msg| msg.contains('\0'))
        },
        Check::OddText,
        "NUL characters: 500",
    )
    .await;
    check(
        |body| body["event_data"]["layers"].is_array(),
        Check::OddText,
        "deep nesting: 500",
    )
    .await;
}

#[tokio::test]
async fn missing_options_fails_one_check() {
    let verify = correct_but(|_| false);
    let server = Server::deciding(move |seen| match seen.method == Method::OPTIONS {
        true => 405,
        false => verify(seen),
    })
    .await;
    let scorecard = drill(&server).burst(2).run(|_| {}).await.unwrap();
    assert_eq!(with_verdict(&scorecard, Verdict::Fail), [Check::Probe]);
    assert_eq!(with_verdict(&scorecard, Verdict::Skip), [Check::BurstProbe]);
}

#[tokio::test]
async fn nothing_is_said_of_answers_when_nothing_is_accepted() {
    let server = Server::with_statuses(&[401]).await;
    let alone = drill(&server).only(&[Check::Latency, Check::Redirect]);
    let scorecard = alone.run(|_| {}).await.unwrap();
    assert_eq!(scorecard.count(Verdict::Skip), 2);
    assert!(!scorecard.passed());
}

#[tokio::test]
async fn redirect_fails_the_checks_that_meet_it_and_names_its_target() {
    let server = Server::start(|_| {
        let response = http::Response::builder()
            .status(308)
            .header("location", "/other");
        Some(response.body(Default::default()).unwrap())
    })
    .await;
    let scorecard = drill(&server).run(|_| {}).await.unwrap();
    assert_eq!(
        with_verdict(&scorecard, Verdict::Fail),
        [Check::Probe, Check::Valid]
    );
    assert_eq!(scorecard.verdict(Check::Redirect), Some(Verdict::Skip));
    let valid = result(&scorecard, Check::Valid);
    assert!(
        valid.seen.contains("308 Permanent Redirect to “/other”"),
        "{valid:?}"
    );
    assert!(valid.fix.contains("the redirect leads to"), "{valid:?}");
    let alone = drill(&server).only(&[Check::Redirect]);
    let scorecard = alone.run(|_| {}).await.unwrap();
    assert_eq!(with_verdict(&scorecard, Verdict::Fail), [Check::Redirect]);
}

#[tokio::test]
async fn drill_stops_when_the_endpoint_cannot_be_reached() {
    let gone = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    async fn check(url: String, cause: &str) {
        let drill = Drill::new(url).secret(Secret::new("whsec_test").unwrap());
        let scorecard = drill.run(|_| {}).await.unwrap();
        assert_eq!(scorecard.requests(), 1);
        assert_eq!(with_verdict(&scorecard, Verdict::Fail), [Check::Probe]);
        assert_eq!(scorecard.count(Verdict::Skip), Check::ALL.len() - 1);
        let probe = result(&scorecard, Check::Probe);
        assert!(probe.seen.contains(cause), "{probe:?}");
        assert!(probe.fix.contains("start the application"), "{probe:?}");
    }
    check(format!("http://{address}/"), "nothing listens").await;
    check(
        "http://heygen-drill.invalid/".to_owned(),
        "DNS does not know",
    )
    .await;
    #[cfg(feature = "tls")]
    {
        let plain = Server::with_statuses(&[200]).await;
        let https = plain.url.replace("http:", "https:");
        check(https, "does not speak TLS").await;
    }
}

const BASE64_SECRET: &str = "whsec_dGVzdA==";
