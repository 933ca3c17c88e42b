//! One subject at a time, and a replay, through a dispatcher and a file.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    AttemptOutcome, DispatchOrder, Inbox as _, InboxAdmin as _, NewDelivery, Source, State,
};
use heygen_receiver::{Delivery, DispatchOptions, Dispatcher, Disposition};
use tokio::sync::oneshot;

use crate::support::{Fault, Tampered, results, until};

/// The `number`th event about a subject.
fn about(subject: &str, number: u64) -> NewDelivery {
    let body =
        format!(r#"{{"event_type":"x.y","event_data":{{"video_id":"{subject}","n":{number}}}}}"#);
    NewDelivery::new(SystemTime::now(), Source::Webhook, Vec::new(), body.into())
}

/// What a handler saw.
#[derive(Default)]
struct Seen {
    in_hand: HashSet<String>,
    most_at_once: usize,
    order: HashMap<String, Vec<u64>>,
}

#[tokio::test]
async fn subjects_are_in_order_and_independent() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = SqliteInbox::open(folder.path().join("inbox.db")).unwrap();
    let subjects = ["a", "b", "c", "d"];
    for number in 0..25 {
        for subject in subjects {
            inbox.append(about(subject, number)).await.unwrap();
        }
    }
    let seen = Arc::new(Mutex::new(Seen::default()));
    let handler = {
        let seen = Arc::clone(&seen);
        move |delivery: Delivery| {
            let seen = Arc::clone(&seen);
            async move {
                let event = delivery.event().unwrap();
                let subject = event.subject_id().unwrap().to_owned();
                let body = std::str::from_utf8(delivery.body()).unwrap();
                let number = body.split(r#""n":"#).nth(1).unwrap();
                let number: u64 = number.trim_end_matches('}').parse().unwrap();
                {
                    let mut seen = seen.lock().unwrap();
                    assert!(
                        seen.in_hand.insert(subject.clone()),
                        "{subject} twice at once"
                    );
                    seen.most_at_once = seen.most_at_once.max(seen.in_hand.len());
                }
                tokio::task::yield_now().await;
                let mut seen = seen.lock().unwrap();
                seen.in_hand.remove(&subject);
                // Some fail at first, and delay those behind them and no others.
                if number % 7 == 3 && delivery.attempt() == 1 {
                    return Disposition::retry("not yet");
                }
                seen.order.entry(subject).or_default().push(number);
                Disposition::Ack
            }
        }
    };
    let mut options = DispatchOptions::default();
    options.order = DispatchOrder::PerSubject;
    options.schedule.initial_delay = Duration::from_millis(1);
    let dispatching = Dispatcher::with(inbox.clone(), handler, options);
    let (stop, stopped) = oneshot::channel::<()>();
    let dispatching = tokio::spawn(dispatching.run(async {
        let _ = stopped.await;
    }));
    until(async || {
        let counts = inbox.counts().await.unwrap();
        counts.pending + counts.claimed == 0
    })
    .await;
    stop.send(()).unwrap();
    dispatching.await.unwrap();
    let seen = seen.lock().unwrap();
    for subject in subjects {
        assert_eq!(
            seen.order[subject],
            (0..25).collect::<Vec<_>>(),
            "{subject}"
        );
    }
    assert!(seen.most_at_once > 1, "subjects wait for one another");
}

/// The order that a store cannot keep is not given up in silence.
#[tokio::test]
async fn unsupported_order_dispatches_nothing() {
    let inbox = Tampered::new(Fault::KeepsNoOrder);
    let id = inbox.append(about("a", 1)).await.unwrap().id();
    let state = async || inbox.get(id).await.unwrap().unwrap().summary.state;
    for order in [DispatchOrder::PerSubject, DispatchOrder::Unordered] {
        let mut options = DispatchOptions::default();
        options.order = order;
        let handler = async |_: Delivery| Disposition::Ack;
        let dispatching = Dispatcher::with(inbox.clone(), handler, options);
        // Without a shutdown it goes on, whatever it dispatches.
        let dispatching = tokio::spawn(dispatching.run(std::future::pending()));
        match order {
            DispatchOrder::PerSubject => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                assert_eq!(state().await, State::Pending);
            }
            _ => until(async || state().await == State::Acknowledged).await,
        }
        assert!(!dispatching.is_finished());
        dispatching.abort();
    }
}

#[tokio::test]
async fn replay_is_noticed_and_starts_the_schedule_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inbox.db");
    let inbox = SqliteInbox::open(&path).unwrap();
    let id = inbox.append(about("a", 1)).await.unwrap().id();
    let handler = async |delivery: Delivery| match delivery.attempt() {
        5 => Disposition::Ack,
        _ => Disposition::retry("not this time"),
    };
    let mut options = DispatchOptions::default();
    options.schedule.initial_delay = Duration::from_millis(1);
    options.schedule.max_attempts = 3;
    let dispatcher = Dispatcher::with(inbox.clone(), handler, options);
    let dispatching = tokio::spawn(dispatcher.run(std::future::pending()));
    let state = async || inbox.get(id).await.unwrap().unwrap().summary.state;
    until(async || state().await == State::DeadLettered).await;

    // By another process, as `inbox replay` does it.
    let beside = SqliteInbox::open_beside(&path).unwrap();
    let replayed = beside.replay(vec![id], SystemTime::now()).await;
    assert_eq!(replayed.unwrap().pending, 1);
    until(async || state().await == State::Acknowledged).await;
    dispatching.abort();
    let expected = [
        AttemptOutcome::Retry,
        AttemptOutcome::Retry,
        AttemptOutcome::DeadLettered,
        AttemptOutcome::Retry,
        AttemptOutcome::Acknowledged,
    ];
    assert_eq!(results(&inbox, id).await, expected);
}
