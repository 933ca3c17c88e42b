//! What a handler returns, and the state of the delivery after it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use heygen_inbox::{
    Attempt, AttemptOutcome, ClaimRequest, Completion, DeliveryId, Inbox as _, InboxAdmin,
    MemoryInbox, State, StoredDelivery,
};
use heygen_receiver::{Delivery, Disposition, Handler, Observer};
use tokio::sync::{Semaphore, oneshot};

use crate::support::{Dispatching, Fault, Tampered, delivery, until};

async fn append(inbox: &impl InboxAdmin, video_id: &str) -> DeliveryId {
    inbox.append(delivery(video_id)).await.unwrap().id()
}

async fn get(inbox: &impl InboxAdmin, id: DeliveryId) -> StoredDelivery {
    inbox.get(id).await.unwrap().unwrap()
}

/// Waits until so many attempts have ended.
async fn after_attempts(inbox: &impl InboxAdmin, id: DeliveryId, count: usize) -> StoredDelivery {
    until(async || get(inbox, id).await.attempts.len() >= count).await;
    get(inbox, id).await
}

/// One delivery through one handler: what is recorded of its first attempt, and its state
/// then.
async fn check(handler: impl Handler, state: State, result: AttemptOutcome, detail: Option<&str>) {
    let inbox = MemoryInbox::new();
    let id = append(&inbox, "a").await;
    let _dispatching = Dispatching::start(&inbox, handler, |options| {
        options.handler_timeout = Duration::from_millis(50);
        options.schedule.initial_delay = Duration::from_secs(3600);
    });
    let stored = after_attempts(&inbox, id, 1).await;
    assert_eq!(stored.summary.state, state);
    let [
        Attempt {
            number: 1,
            result: recorded,
            detail: said,
            ..
        },
    ] = stored.attempts.as_slice()
    else {
        panic!("one attempt, not {:?}", stored.attempts);
    };
    assert_eq!((*recorded, said.as_deref()), (result, detail));
    match state {
        State::Pending => {
            assert!(stored.due_at.unwrap() > SystemTime::now() + Duration::from_secs(600));
        }
        _ => assert_eq!(stored.due_at, None),
    }
}

#[tokio::test]
async fn disposition_of_a_handler_is_recorded() {
    use AttemptOutcome::{Acknowledged, DeadLettered, Retry};
    check(
        async |_: Delivery| {},
        State::Acknowledged,
        Acknowledged,
        None,
    )
    .await;
    check(
        async |_: Delivery| Ok::<(), String>(()),
        State::Acknowledged,
        Acknowledged,
        None,
    )
    .await;
    check(
        async |_: Delivery| Err::<(), _>("no disk".to_owned()),
        State::Pending,
        Retry,
        Some("no disk"),
    )
    .await;
    check(
        async |_: Delivery| Disposition::Ack,
        State::Acknowledged,
        Acknowledged,
        None,
    )
    .await;
    check(
        async |_: Delivery| Disposition::retry("later"),
        State::Pending,
        Retry,
        Some("later"),
    )
    .await;
    check(
        async |_: Delivery| Disposition::dead_letter("never"),
        State::DeadLettered,
        DeadLettered,
        Some("never"),
    )
    .await;
    let far = Disposition::Retry {
        after: Some(Duration::MAX),
        reason: "long".to_owned(),
    };
    check(
        move |_: Delivery| std::future::ready(far.clone()),
        State::Pending,
        Retry,
        Some("long"),
    )
    .await;
    check(
        async |_: Delivery| std::future::pending::<()>().await,
        State::Pending,
        Retry,
        Some("no answer within 50ms"),
    )
    .await;
}

#[tokio::test]
async fn panic_is_retried_and_affects_no_other_delivery() {
    async fn panics(delivery: Delivery) {
        match delivery.event().unwrap().subject_id() {
            Some("text") => panic!("out of tape"),
            Some("formatted") => panic!("out of {}", "glue"),
            Some("value") => std::panic::panic_any(7),
            _ => {}
        }
    }
    let inbox = MemoryInbox::new();
    let _dispatching = Dispatching::start(&inbox, panics, |options| {
        options.schedule.initial_delay = Duration::from_secs(3600);
    });
    for (video_id, detail) in [
        ("text", "the handler panicked: out of tape"),
        ("formatted", "the handler panicked: out of glue"),
        ("value", "the handler panicked"),
    ] {
        let id = append(&inbox, video_id).await;
        let stored = after_attempts(&inbox, id, 1).await;
        assert_eq!(stored.attempts[0].result, AttemptOutcome::Retry);
        assert_eq!(stored.attempts[0].detail.as_deref(), Some(detail));
    }
    let id = append(&inbox, "fine").await;
    let stored = after_attempts(&inbox, id, 1).await;
    assert_eq!(stored.summary.state, State::Acknowledged);
}

#[tokio::test]
async fn attempts_run_out() {
    let inbox = MemoryInbox::new();
    let id = append(&inbox, "a").await;
    let handler = |delivery: Delivery| {
        let reason = format!("attempt {}", delivery.attempt());
        async { Err::<(), _>(reason) }
    };
    let _dispatching =
        Dispatching::start(&inbox, handler, |options| options.schedule.max_attempts = 3);
    let stored = after_attempts(&inbox, id, 3).await;
    assert_eq!(stored.summary.state, State::DeadLettered);
    let attempts: Vec<_> = stored
        .attempts
        .iter()
        .map(|attempt| (attempt.result, attempt.detail.as_deref()))
        .collect();
    assert_eq!(
        attempts,
        [
            (AttemptOutcome::Retry, Some("attempt 1")),
            (AttemptOutcome::Retry, Some("attempt 2")),
            (
                AttemptOutcome::DeadLettered,
                Some("gave up after 0 s and 3 attempts; last: attempt 3")
            ),
        ]
    );
}

#[tokio::test]
async fn time_runs_out() {
    let inbox = MemoryInbox::new();
    let id = append(&inbox, "a").await;
    let (calls, most) = (Arc::new(AtomicUsize::new(0)), Duration::from_millis(300));
    let handler = {
        let calls = Arc::clone(&calls);
        move |_: Delivery| {
            calls.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Err::<(), _>("no disk"))
        }
    };
    let begun_at = Instant::now();
    let _dispatching = Dispatching::start(&inbox, handler, |options| {
        options.schedule.initial_delay = Duration::from_millis(20);
        options.schedule.max_elapsed = most;
    });
    until(async || get(&inbox, id).await.summary.state == State::DeadLettered).await;
    assert!(begun_at.elapsed() >= most, "{:?}", begun_at.elapsed());
    let stored = get(&inbox, id).await;
    let detail = stored.attempts.last().unwrap().detail.as_deref().unwrap();
    let calls = calls.load(Ordering::SeqCst);
    let expected = format!(" s and {calls} attempts; last: no disk");
    assert!(calls > 2, "{calls}");
    assert!(
        detail.starts_with("gave up after 0.") && detail.ends_with(&expected),
        "{detail}"
    );
    assert!(stored.summary.dead_lettered_at.is_some());
}

/// How a delivery ends that was with a process so often when that ended, and how often the handler
/// is called then.
async fn check_interrupted(count: usize, attempts: u32, expected: State, expected_calls: usize) {
    let inbox = MemoryInbox::new();
    let id = append(&inbox, "a").await;
    for _ in 0..count {
        let claim = inbox
            .claim(ClaimRequest::due(1, SystemTime::now()))
            .await
            .unwrap();
        let finish = Completion::new(
            &claim.deliveries[0],
            SystemTime::now(),
            Duration::ZERO,
            AttemptOutcome::Interrupted,
        );
        inbox.complete(finish).await.unwrap();
    }
    let calls = Arc::new(AtomicUsize::new(0));
    let handler = {
        let calls = Arc::clone(&calls);
        move |_: Delivery| {
            // It fails once.
            let is_first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            std::future::ready(if is_first { Err("no disk") } else { Ok(()) })
        }
    };
    let _dispatching = Dispatching::start(&inbox, handler, |options| {
        options.schedule.max_attempts = attempts;
    });
    until(async || {
        matches!(
            get(&inbox, id).await.summary.state,
            State::Acknowledged | State::DeadLettered
        )
    })
    .await;
    let stored = get(&inbox, id).await;
    assert_eq!(stored.summary.state, expected, "{count} of {attempts}");
    if expected == State::DeadLettered {
        assert_eq!(
            stored.attempts[count].detail.as_deref(),
            Some("the attempts ran out while a handler was running")
        );
    }
    assert_eq!(calls.load(Ordering::SeqCst), expected_calls);
}

#[tokio::test]
async fn delivery_that_crashes_every_process_is_dead_lettered() {
    check_interrupted(2, 2, State::DeadLettered, 0).await;
    check_interrupted(100, u32::MAX, State::DeadLettered, 0).await;
}

#[tokio::test]
async fn attempts_that_end_with_the_process_use_up_no_others() {
    check_interrupted(1, 2, State::Acknowledged, 2).await;
    check_interrupted(14, 15, State::Acknowledged, 2).await;
    check_interrupted(99, u32::MAX, State::Acknowledged, 2).await;
}

#[tokio::test]
async fn concurrency_is_limited() {
    const AT_A_TIME: usize = 3;
    let inbox = MemoryInbox::new();
    for number in 0..10 {
        append(&inbox, &number.to_string()).await;
    }
    let inside = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let may_end = Arc::new(Semaphore::new(0));
    let handler = {
        let (inside, most, may_end) = (inside.clone(), most.clone(), may_end.clone());
        move |_: Delivery| {
            let (inside, most, may_end) = (inside.clone(), most.clone(), may_end.clone());
            async move {
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                may_end.acquire().await.unwrap().forget();
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        }
    };
    let _dispatching =
        Dispatching::start(&inbox, handler, |options| options.concurrency = AT_A_TIME);
    let in_state = async |state| {
        let query = heygen_inbox::Query::default().state(state);
        inbox.list(query).await.unwrap().len()
    };
    for done in 0..7 {
        until(async || {
            inside.load(Ordering::SeqCst) == AT_A_TIME
                && in_state(State::Acknowledged).await == done
        })
        .await;
        assert_eq!(
            in_state(State::Claimed).await,
            AT_A_TIME,
            "the others stay in the inbox"
        );
        may_end.add_permits(1);
    }
    may_end.add_permits(AT_A_TIME);
    until(async || in_state(State::Acknowledged).await == 10).await;
    assert_eq!(most.load(Ordering::SeqCst), AT_A_TIME);
}

#[tokio::test]
async fn delivery_is_dispatched_when_it_is_appended() {
    let inbox = MemoryInbox::new();
    let _dispatching = Dispatching::start(&inbox, async |_: Delivery| {}, |_| {});
    let start = Instant::now();
    for number in 0..40 {
        let id = append(&inbox, &number.to_string()).await;
        after_attempts(&inbox, id, 1).await;
    }
    // Looking once a second would take four times that.
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn handler_receives_what_was_stored() {
    let inbox = MemoryInbox::new();
    let (sender, received) = oneshot::channel();
    let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
    let handler = move |delivery: Delivery| {
        let first = sender.lock().unwrap().take();
        async move {
            match first {
                Some(sender) => {
                    sender.send(delivery).unwrap();
                    Err("once more")
                }
                None => Ok(()),
            }
        }
    };
    let id = append(&inbox, "a").await;
    let _dispatching = Dispatching::start(&inbox, handler, |_| {});
    let delivery = received.await.unwrap();
    assert_eq!((delivery.id(), delivery.attempt()), (id, 1));
    assert_eq!(delivery.source(), heygen_inbox::Source::Webhook);
    assert_eq!(delivery.body(), &crate::support::body("a"));
    assert_eq!(
        delivery.event().unwrap().event_name(),
        "avatar_video.success"
    );
    let stored = after_attempts(&inbox, id, 2).await;
    assert_eq!(delivery.received_at(), stored.summary.received_at);
    assert_eq!(stored.summary.state, State::Acknowledged);
}

#[tokio::test]
async fn result_that_could_not_be_recorded_is_recorded_later() {
    let failures = Arc::new(Semaphore::new(1));
    let inbox = Tampered::new(Fault::FinishFails(failures.clone()));
    let calls = Arc::new(AtomicUsize::new(0));
    let handler = {
        let calls = Arc::clone(&calls);
        move |_: Delivery| {
            calls.fetch_add(1, Ordering::SeqCst);
            std::future::ready(())
        }
    };
    let id = append(&inbox, "a").await;
    let _dispatching = Dispatching::start(&inbox, handler, |_| {});
    let stored = after_attempts(&inbox, id, 1).await;
    assert_eq!(stored.summary.state, State::Acknowledged);
    assert_eq!(failures.available_permits(), 0);
    assert_eq!(
        calls.load(Ordering::SeqCst),
        1,
        "the handler is not called again for that"
    );
}

/// An attempt that runs ends and is recorded; nothing else is dispatched until dispatch resumes.
#[tokio::test]
async fn pause_lets_running_attempts_end_and_begins_no_other() {
    let inbox = MemoryInbox::new();
    let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let first = append(&inbox, "a").await;
    let _dispatching = Dispatching::start(
        &inbox,
        {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            move |_: Delivery| {
                let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
                async move {
                    begun.add_permits(1);
                    go_on.acquire().await.unwrap().forget();
                }
            }
        },
        |_| {},
    );
    begun.acquire().await.unwrap().forget();
    inbox.pause(SystemTime::now()).await.unwrap();
    let second = append(&inbox, "b").await;
    go_on.add_permits(2);
    let stored = after_attempts(&inbox, first, 1).await;
    assert_eq!(stored.summary.state, State::Acknowledged);
    // It looks every second; a claim of ours shows that one of its claims got nothing as well.
    let claim = inbox.claim(ClaimRequest::due(1, SystemTime::now())).await;
    assert!(claim.unwrap().is_paused);
    assert_eq!(get(&inbox, second).await.summary.state, State::Pending);
    inbox.resume().await.unwrap();
    let stored = after_attempts(&inbox, second, 1).await;
    assert_eq!(stored.summary.state, State::Acknowledged);
}

/// What is reported of a stall.
struct Reports(tokio::sync::mpsc::UnboundedSender<bool>);

impl Observer for Reports {
    fn stalled(&self, is_stalled: bool) {
        self.0.send(is_stalled).unwrap();
    }
}

/// The servers lost a stream, for instance: the log says it, and so does what a probe asks.
#[cfg(feature = "metrics")]
#[tokio::test(start_paused = true)]
async fn claims_that_fail_for_long_are_a_stall() {
    use heygen_receiver::Metrics;

    // Claims are tried every second.
    for (failures, is_stall) in [(0, false), (25, false), (40, true)] {
        let times = Arc::new(Semaphore::new(failures));
        let inbox = Tampered::new(Fault::Panics("claim", Arc::clone(&times)));
        let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel();
        let metrics = Metrics::new(SystemTime::now());
        let is_shown = async |value: u8| {
            let text = metrics.scrape(&inbox).await;
            text.contains(&format!("heygen_webhooks_dispatch_stalled {value}\n"))
        };
        assert!(!is_shown(0).await && !is_shown(1).await, "no dispatcher");
        let _dispatching = Dispatching::start(
            &inbox,
            async |_: Delivery| {},
            |options| {
                options.observers.add(metrics.clone());
                options.observers.add(Reports(reports));
            },
        );
        let mut was_stalled = false;
        for number in 0..=failures {
            let is_stalled = reported.recv().await.unwrap();
            assert_eq!(is_stalled, number >= 30 && number < failures, "{number}");
            assert!(is_shown(u8::from(is_stalled)).await, "{number}");
            was_stalled |= is_stalled;
        }
        assert_eq!(was_stalled, is_stall);
    }
}

/// An inbox that hangs fails nothing.
#[tokio::test(start_paused = true)]
async fn claim_that_hangs_is_a_stall() {
    let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel();
    let inbox = Tampered::new(Fault::ClaimHangs);
    let begun_at = tokio::time::Instant::now();
    let _dispatching = Dispatching::start(
        &inbox,
        async |_: Delivery| {},
        |options| {
            options.observers.add(Reports(reports));
        },
    );
    let report = tokio::time::timeout(Duration::from_secs(60), reported.recv());
    assert_eq!(report.await.unwrap(), Some(true));
    assert!(begun_at.elapsed() >= Duration::from_secs(30));
}

/// It is a stall while it hangs, and stays one when it fails at last, until a claim succeeds.
#[tokio::test(start_paused = true)]
async fn claim_that_hangs_and_then_fails_is_a_stall() {
    for (seconds, expected) in [(20, [false, true]), (40, [true, true])] {
        let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel();
        let inbox = Tampered::new(Fault::ClaimFailsAfter(Duration::from_secs(seconds)));
        let _dispatching = Dispatching::start(
            &inbox,
            async |_: Delivery| {},
            |options| {
                options.observers.add(Reports(reports));
            },
        );
        for is_stalled in expected {
            assert_eq!(reported.recv().await, Some(is_stalled), "{seconds}");
        }
    }
}

/// On a full disk, for instance: all slots wait, so no claim is tried that could fail.
#[tokio::test(start_paused = true)]
async fn results_that_cannot_be_recorded_are_a_stall() {
    let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel();
    let inbox = Tampered::new(Fault::FinishFails(Arc::new(Semaphore::new(60))));
    let id = append(&inbox, "a").await;
    let _dispatching = Dispatching::start(
        &inbox,
        async |_: Delivery| {},
        |options| {
            options.concurrency = 1;
            options.observers.add(Reports(reports));
        },
    );
    for is_stalled in [false, true, false] {
        let mut others = 0;
        while reported.recv().await.unwrap() != is_stalled {
            others += 1;
            assert!(others < 100, "{is_stalled}");
        }
    }
    let stored = after_attempts(&inbox, id, 1).await;
    assert_eq!(stored.summary.state, State::Acknowledged);
}

/// While another slot goes on, something is dispatched. It is busy for most of the time, so that
/// there is no room.
#[tokio::test(start_paused = true)]
async fn one_result_that_cannot_be_recorded_is_no_stall() {
    let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel();
    let stuck = Arc::new(OnceLock::new());
    let inbox = Tampered::new(Fault::FinishFailsOf(Arc::clone(&stuck)));
    stuck.set(append(&inbox, "stuck").await).unwrap();
    let mut last = None;
    for number in 0..60 {
        last = Some(append(&inbox, &number.to_string()).await);
    }
    let handler = async |_: Delivery| tokio::time::sleep(Duration::from_secs(2)).await;
    let _dispatching = Dispatching::start(&inbox, handler, |options| {
        options.concurrency = 2;
        options.observers.add(Reports(reports));
    });
    let begun_at = tokio::time::Instant::now();
    while begun_at.elapsed() < Duration::from_secs(100) {
        let after = begun_at.elapsed();
        assert!(!reported.recv().await.unwrap(), "after {after:?}");
    }
    let stored = after_attempts(&inbox, last.unwrap(), 1).await;
    assert_eq!(stored.summary.state, State::Acknowledged);
}

/// A claim failed, and then the only destination asked for a long pause: no claim is tried, so none
/// fails.
#[tokio::test(start_paused = true)]
async fn pause_after_a_failed_claim_is_no_stall() {
    let times = Arc::new(Semaphore::new(0));
    let inbox = Tampered::new(Fault::Panics("claim", Arc::clone(&times)));
    append(&inbox, "a").await;
    let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel();
    let handler = {
        let times = Arc::clone(&times);
        move |_: Delivery| {
            let times = Arc::clone(&times);
            async move {
                times.add_permits(1);
                while times.available_permits() > 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Disposition::pause(Duration::from_secs(600), "as the test wants")
            }
        }
    };
    let _dispatching = Dispatching::start(&inbox, handler, |options| {
        options.observers.add(Reports(reports));
    });
    // It looks every second.
    for number in 0..60 {
        assert!(!reported.recv().await.unwrap(), "{number}");
    }
    assert_eq!(times.available_permits(), 0, "a claim failed");
}
