//! Which handler a delivery goes to.

use std::sync::{Arc, Mutex};

use heygen_inbox::AttemptOutcome;
use heygen_receiver::handlers::{BoxHandler, Rules};
use heygen_receiver::{Delivery, Disposition, Handler};

use crate::handler_run::HandlerRun;

/// Tells that it was called, and by which event.
fn named(name: &'static str, calls: &Arc<Mutex<Vec<String>>>) -> impl Handler {
    let calls = Arc::clone(calls);
    move |delivery: Delivery| {
        let event = delivery
            .event()
            .map_or("-".to_owned(), |event| event.event_name().to_owned());
        calls.lock().unwrap().push(format!("{name} {event}"));
        std::future::ready(())
    }
}

fn event(name: &str) -> Vec<u8> {
    format!(r#"{{"event_type":"{name}","event_data":{{}}}}"#).into_bytes()
}

#[tokio::test]
async fn first_matching_rule_wins() {
    let calls = Arc::default();
    let rules = Rules::new()
        .on(
            "avatar_video.success".parse().unwrap(),
            named("success", &calls),
        )
        .on("avatar_video.*".parse().unwrap(), named("video", &calls))
        .on("*.fail".parse().unwrap(), named("fail", &calls))
        .otherwise(named("otherwise", &calls));
    let run = HandlerRun::start(rules);
    for body in [
        event("avatar_video.success"),
        event("avatar_video.fail"),
        event("video_agent.fail"),
        event("of_tomorrow"),
        b"no event".to_vec(),
    ] {
        let attempt = run.attempt(&body).await;
        assert_eq!(attempt.result, AttemptOutcome::Acknowledged);
    }
    assert_eq!(
        *calls.lock().unwrap(),
        [
            "success avatar_video.success",
            "video avatar_video.fail",
            "fail video_agent.fail",
            "otherwise of_tomorrow",
            "otherwise -"
        ]
    );
}

#[tokio::test]
async fn unmatched_delivery_is_dead_lettered_with_a_reason() {
    let calls = Arc::default();
    let run = HandlerRun::start(
        Rules::new().on("video_agent.*".parse().unwrap(), named("agent", &calls)),
    );
    let (result, reason) = run.ends(&event("batch.finished")).await;
    assert_eq!(result, AttemptOutcome::DeadLettered);
    assert_eq!(reason, "no rule matches batch.finished");
    let (result, reason) = run.ends(b"\xff").await;
    assert_eq!(result, AttemptOutcome::DeadLettered);
    assert_eq!(reason, "no rule matches a body that is not an event");
    assert_eq!(*calls.lock().unwrap(), <[String; 0]>::default());
}

#[tokio::test]
async fn star_matches_a_body_that_is_not_an_event() {
    let calls = Arc::default();
    let run = HandlerRun::start(
        Rules::new()
            .on("*.*".parse().unwrap(), named("dotted", &calls))
            .on("*".parse().unwrap(), named("all", &calls)),
    );
    run.attempt(b"{}").await;
    assert_eq!(*calls.lock().unwrap(), ["all -"]);
}

#[tokio::test]
async fn disposition_of_the_chosen_handler_is_returned() {
    let handlers = [
        BoxHandler::new(async |_: Delivery| Disposition::dead_letter("never")),
        BoxHandler::new(async |_: Delivery| Err::<(), _>("no disk")),
    ];
    let [dead, retry] = handlers;
    let run = HandlerRun::start(
        Rules::new()
            .on("a".parse().unwrap(), dead.clone())
            .on("b".parse().unwrap(), BoxHandler::new(dead))
            .otherwise(retry),
    );
    let ends = async |name| run.ends(&event(name)).await;
    assert_eq!(
        ends("a").await,
        (AttemptOutcome::DeadLettered, "never".to_owned())
    );
    assert_eq!(
        ends("b").await,
        (AttemptOutcome::DeadLettered, "never".to_owned())
    );
    assert_eq!(
        ends("c").await,
        (AttemptOutcome::Retry, "no disk".to_owned())
    );
}
