//! Inboxes and observers that panic: what they were asked fails, and nothing else ends.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use heygen_inbox::{Inbox as _, InboxAdmin as _, NewDelivery, State};
use heygen_receiver::{
    Delivery, DispatchOptions, Dispatcher, Disposition, Handler, ObservedAttempt, ObservedDelivery,
    ObservedRejection, Observer, Receiver, ReceiverOptions, Retention,
};
use tokio::sync::Semaphore;

use crate::client::{ask, post, signed};
use crate::support::{
    Fault, Running, Tampered, body, count, delivery, secret, until, within_patience,
};

const TIMES: usize = 3;

fn panics(method: &'static str) -> (Tampered, Arc<Semaphore>) {
    let times = Arc::new(Semaphore::new(TIMES));
    let inbox = Tampered::new(Fault::Panics(method, Arc::clone(&times)));
    (inbox, times)
}

/// Panics at every call.
struct Panicking;

impl Observer for Panicking {
    fn stored(&self, _: &ObservedDelivery<'_>) {
        panic!("as the test wants");
    }

    fn rejected(&self, _: &ObservedRejection<'_>) {
        panic!("as the test wants");
    }

    fn attempted(&self, _: &ObservedAttempt<'_>) {
        panic!("as the test wants");
    }
}

#[tokio::test(start_paused = true)]
async fn dispatcher_survives_an_inbox_and_observers_that_panic() {
    for method in ["claim", "complete", "wait_for_append"] {
        let (inbox, times) = panics(method);
        let mut options = DispatchOptions::default();
        options.observers.add(Panicking);
        let dispatcher = Dispatcher::with(inbox.clone(), async |_: Delivery| {}, options);
        let task = tokio::spawn(dispatcher.run(std::future::pending()));
        for video_id in ["a", "b", "c", "d"] {
            let id = inbox.append(delivery(video_id)).await.unwrap().id();
            let state = async || inbox.get(id).await.unwrap().unwrap().summary.state;
            until(async || state().await == State::Acknowledged).await;
        }
        until(async || times.available_permits() == 0).await;
        assert!(!task.is_finished(), "{method}");
        task.abort();
    }
}

/// Knows no destination for a body that is not an event.
struct Unprepared;

impl Handler for Unprepared {
    async fn handle(&self, _: Delivery) -> Disposition {
        Disposition::Ack
    }

    fn destination(&self, event_type: Option<&str>) -> usize {
        event_type.unwrap().len() - "avatar_video.success".len()
    }
}

#[tokio::test(start_paused = true)]
async fn handler_that_panics_over_a_destination_gets_all_deliveries() {
    let inbox = heygen_inbox::MemoryInbox::new();
    let source = heygen_inbox::Source::Webhook;
    let odd = NewDelivery::new(SystemTime::now(), source, Vec::new(), "no event".into());
    let dispatcher = Dispatcher::new(inbox.clone(), Unprepared);
    let task = tokio::spawn(dispatcher.run(std::future::pending()));
    for delivery in [odd, delivery("a")] {
        let id = inbox.append(delivery).await.unwrap().id();
        let state = async || inbox.get(id).await.unwrap().unwrap().summary.state;
        until(async || state().await == State::Acknowledged).await;
    }
    assert!(!task.is_finished());
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn retention_survives_an_inbox_that_panics() {
    for method in ["counts", "prune"] {
        let (inbox, times) = panics(method);
        let mut retention = Retention::default();
        retention.keep = Some(Duration::from_secs(3600));
        retention.keep_bytes = Some(0);
        retention.every = Duration::from_millis(1);
        let task = tokio::spawn(retention.run(inbox, std::future::pending()));
        until(async || times.available_permits() == 0).await;
        assert!(!task.is_finished(), "{method}");
        task.abort();
    }
}

#[tokio::test]
async fn append_that_panics_is_answered_503_and_the_next_is_stored() {
    let (inbox, _) = panics("append");
    let server = Running::start(Receiver::new(secret(), inbox.clone())).await;
    for status in [503, 503, 503, 200] {
        let answer = ask(server.address, signed(body("a"))).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    assert_eq!(count(&inbox).await, 1);
}

#[tokio::test]
async fn panicking_observer_does_not_affect_the_response() {
    let inbox = heygen_inbox::MemoryInbox::new();
    let mut options = ReceiverOptions::default();
    options.observers.add(Panicking);
    let server = Running::start(Receiver::with(secret(), inbox.clone(), options)).await;
    let answer = ask(server.address, signed(body("a"))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = ask(server.address, post("{}", &[])).await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert_eq!(count(&inbox).await, 1);
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn scrape_survives_an_inbox_that_panics() {
    let (inbox, _) = panics("counts");
    let metrics = heygen_receiver::Metrics::new(std::time::SystemTime::now())
        .log_lines_dropped(|| 7)
        .rejected_ring_dropped(|| 8);
    let text = metrics.scrape(&inbox).await;
    for expected in [
        "heygen_webhooks_log_lines_dropped_total 7\n",
        "heygen_webhooks_rejected_ring_dropped_total 8\n",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(!text.contains("heygen_webhooks_pending"), "{text}");
}

#[tokio::test]
async fn serve_returns_an_error_when_the_dispatcher_ends() {
    let times = Arc::new(Semaphore::new(0));
    let inbox = Tampered::new(Fault::Panics("clone", Arc::clone(&times)));
    let plain = inbox.inbox.clone();
    plain.append(delivery("first")).await.unwrap();
    // Cloning the inbox for the second one is none of the calls that a dispatcher expects to fail.
    let handler = move |_: Delivery| {
        let (times, plain) = (Arc::clone(&times), plain.clone());
        async move {
            times.add_permits(1);
            plain.append(delivery("second")).await.unwrap();
        }
    };
    let serving = heygen_receiver::serve("127.0.0.1:0", secret(), inbox, handler);
    let error = within_patience(serving).await.unwrap_err();
    assert!(
        error.to_string().contains("the dispatcher ended"),
        "{error}"
    );
}
