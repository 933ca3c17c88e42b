//! Destinations beside each other, live deliveries beside a backlog, and pauses that a destination
//! asks for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use heygen_inbox::{
    AttemptOutcome, ClaimRequest, Completion, DeliveryId, DispatchOrder, InboxAdmin, MemoryInbox,
    NewDelivery, Source, State,
};
use heygen_receiver::{Delivery, Disposition, Handler};

use crate::support::{Dispatching, results, until};

/// Events of type `a.*` go to the first destination, everything else to the second.
struct Two<H>(H);

impl<F, Fut> Handler for Two<F>
where
    F: Fn(Delivery) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Disposition> + Send,
{
    async fn handle(&self, delivery: Delivery) -> Disposition {
        (self.0)(delivery).await
    }

    fn destinations(&self) -> usize {
        2
    }

    fn destination(&self, event_type: Option<&str>) -> usize {
        usize::from(!event_type.is_some_and(|event_type| event_type.starts_with("a.")))
    }
}

fn event(event_type: &str, number: usize) -> NewDelivery {
    let body = format!(
        r#"{{"event_type":"{event_type}","event_data":{{"video_id":"{event_type}-{number}"}}}}"#
    );
    NewDelivery::new(SystemTime::now(), Source::Webhook, Vec::new(), body.into())
}

async fn append(inbox: &impl InboxAdmin, event_type: &str, number: usize) -> DeliveryId {
    inbox.append(event(event_type, number)).await.unwrap().id()
}

async fn state(inbox: &impl InboxAdmin, id: DeliveryId) -> State {
    inbox.get(id).await.unwrap().unwrap().summary.state
}

/// It does not count, and would be asked for again at once.
#[tokio::test]
async fn pause_of_no_length_is_a_retry() {
    let inbox = MemoryInbox::new();
    let id = append(&inbox, "a.b", 0).await;
    let handler = |_: Delivery| std::future::ready(Disposition::pause(Duration::ZERO, "at once"));
    let _dispatching = Dispatching::start(&inbox, handler, |options| {
        options.schedule.max_attempts = 3;
    });
    until(async || state(&inbox, id).await == State::DeadLettered).await;
    let stored = inbox.get(id).await.unwrap().unwrap();
    assert_eq!(stored.attempts.len(), 3);
}

async fn check_hanging_destination(inbox: impl InboxAdmin + Clone, order: DispatchOrder) {
    for number in 0..40 {
        append(&inbox, "a.b", number).await;
    }
    let handler = Two(async |delivery: Delivery| {
        if delivery.event().unwrap().event_name() == "a.b" {
            std::future::pending::<()>().await;
        }
        Disposition::Ack
    });
    let _dispatching = Dispatching::start(&inbox, handler, |options| {
        options.order = order;
        options.handler_timeout = Duration::from_secs(3600);
    });
    until(async || inbox.counts().await.unwrap().claimed == 16).await;
    for number in 0..3 {
        let id = append(&inbox, "c.d", number).await;
        until(async || state(&inbox, id).await == State::Acknowledged).await;
    }
    let counts = inbox.counts().await.unwrap();
    assert_eq!((counts.claimed, counts.pending), (16, 24));
}

#[tokio::test]
async fn hanging_destination_delays_no_other() {
    check_hanging_destination(MemoryInbox::new(), DispatchOrder::Unordered).await;
    check_hanging_destination(MemoryInbox::new(), DispatchOrder::PerSubject).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn hanging_destination_delays_no_other_in_a_file() {
    for order in [DispatchOrder::Unordered, DispatchOrder::PerSubject] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox.db");
        let inbox = heygen_inbox::sqlite::SqliteInbox::open(path).unwrap();
        check_hanging_destination(inbox, order).await;
    }
}

/// Tried once already, and due again.
async fn append_backlog(inbox: &impl InboxAdmin, count: usize) {
    for number in 0..count {
        append(inbox, "a.b", number).await;
    }
    let now = SystemTime::now();
    for claimed in inbox
        .claim(ClaimRequest::due(count, now))
        .await
        .unwrap()
        .deliveries
    {
        let finish = Completion::new(&claimed, now, Duration::ZERO, AttemptOutcome::Retry);
        inbox.complete(finish.due_at(now)).await.unwrap();
    }
}

#[tokio::test]
async fn live_delivery_does_not_wait_for_a_backlog() {
    const BACKLOG: usize = 500;
    let inbox = MemoryInbox::new();
    append_backlog(&inbox, BACKLOG).await;
    let handled = Arc::new(AtomicUsize::new(0));
    let handler = {
        let handled = Arc::clone(&handled);
        move |_: Delivery| {
            let handled = Arc::clone(&handled);
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                handled.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let _dispatching = Dispatching::start(&inbox, handler, |options| options.concurrency = 4);
    until(async || handled.load(Ordering::SeqCst) > 20).await;
    let before = handled.load(Ordering::SeqCst);
    let live = append(&inbox, "a.b", BACKLOG).await;
    until(async || state(&inbox, live).await == State::Acknowledged).await;
    let meanwhile = handled.load(Ordering::SeqCst) - before;
    assert!(meanwhile < 100, "{meanwhile} of the backlog went before it");
}

#[tokio::test]
async fn backlog_gets_a_tenth_beside_live_deliveries() {
    const BACKLOG: usize = 20;
    let inbox = MemoryInbox::new();
    append_backlog(&inbox, BACKLOG).await;
    // More live deliveries than are ever handled.
    for number in 0..2000 {
        append(&inbox, "c.d", number).await;
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let order = Arc::clone(&order);
        move |delivery: Delivery| {
            let is_backlog = delivery.attempt() > 1;
            order.lock().unwrap().push(is_backlog);
            tokio::time::sleep(Duration::from_millis(1))
        }
    };
    let _dispatching = Dispatching::start(&inbox, handler, |options| options.concurrency = 4);
    until(async || order.lock().unwrap().len() >= 300).await;
    let order = order.lock().unwrap();
    let of_backlog = order[..300]
        .iter()
        .filter(|is_backlog| **is_backlog)
        .count();
    assert_eq!(of_backlog, BACKLOG, "all of it by then");
    let at_first = order[..50].iter().filter(|is_backlog| **is_backlog).count();
    assert!(at_first <= 10, "{at_first} of the first 50");
}

#[tokio::test]
async fn pause_delays_only_its_destination_and_costs_no_attempt() {
    const PAUSE: Duration = Duration::from_millis(600);
    let inbox = MemoryInbox::new();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let calls = Arc::clone(&calls);
        Two(move |delivery: Delivery| {
            let name = delivery.event().unwrap().event_name().to_owned();
            let mut calls = calls.lock().unwrap();
            let is_first = calls.iter().all(|(known, _)| *known != name);
            calls.push((name.clone(), Instant::now()));
            std::future::ready(match name == "a.b" && is_first {
                true => Disposition::pause(PAUSE, "in a moment"),
                false => Disposition::Ack,
            })
        })
    };
    let first = append(&inbox, "a.b", 0).await;
    let _dispatching = Dispatching::start(&inbox, handler, |options| {
        options.schedule.max_attempts = 1;
    });
    until(async || !inbox.get(first).await.unwrap().unwrap().attempts.is_empty()).await;
    let (second, other) = (
        append(&inbox, "a.b", 1).await,
        append(&inbox, "c.d", 0).await,
    );
    until(async || state(&inbox, other).await == State::Acknowledged).await;
    for id in [first, second] {
        until(async || state(&inbox, id).await == State::Acknowledged).await;
    }
    let results = results(&inbox, first).await;
    let calls = calls.lock().unwrap();
    let times = |name: &str| {
        let calls = calls.iter().filter(|(known, _)| known == name);
        calls.map(|(_, at)| *at).collect::<Vec<_>>()
    };
    let [refused, again, last] = times("a.b").try_into().unwrap();
    assert!(again - refused >= PAUSE && last - refused >= PAUSE);
    assert!(times("c.d")[0] < again, "the other did not wait");
    assert_eq!(
        results,
        [AttemptOutcome::Retry, AttemptOutcome::Acknowledged]
    );
}

#[tokio::test]
async fn endless_pause_is_dead_lettered_in_time() {
    let inbox = MemoryInbox::new();
    let id = append(&inbox, "a.b", 0).await;
    let most = Duration::from_millis(300);
    let handler =
        |_: Delivery| std::future::ready(Disposition::pause(Duration::from_millis(50), "later"));
    let begun_at = Instant::now();
    let _dispatching = Dispatching::start(&inbox, handler, |options| {
        options.schedule.max_elapsed = most;
    });
    until(async || state(&inbox, id).await == State::DeadLettered).await;
    assert!(begun_at.elapsed() >= most);
}

#[tokio::test]
async fn delivery_that_always_asks_for_a_pause_does_not_stop_the_others() {
    const OTHERS: usize = 200;
    let inbox = MemoryInbox::new();
    let refused = append(&inbox, "a.b", 0).await;
    let (asked, handled) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let handler = {
        let (asked, handled) = (Arc::clone(&asked), Arc::clone(&handled));
        move |delivery: Delivery| {
            std::future::ready(match delivery.id() == refused {
                true => {
                    asked.fetch_add(1, Ordering::SeqCst);
                    Disposition::pause(Duration::from_millis(500), "not this one")
                }
                false => {
                    handled.fetch_add(1, Ordering::SeqCst);
                    Disposition::Ack
                }
            })
        }
    };
    let _dispatching = Dispatching::start(&inbox, handler, |_| {});
    until(async || asked.load(Ordering::SeqCst) > 0).await;
    for number in 1..=OTHERS {
        append(&inbox, "a.b", number).await;
    }
    until(async || handled.load(Ordering::SeqCst) == OTHERS).await;
    let asked = asked.load(Ordering::SeqCst);
    assert!(asked < OTHERS / 10, "paused {asked} times meanwhile");
    assert_eq!(state(&inbox, refused).await, State::Pending);
}

#[tokio::test]
async fn destination_with_a_rate_limit_rejects_few() {
    const DELIVERIES: usize = 600;
    /// So many a period.
    const LIMIT: usize = 20;
    const PERIOD: Duration = Duration::from_millis(100);
    let inbox = MemoryInbox::new();
    for number in 0..DELIVERIES {
        append(&inbox, "a.b", number).await;
    }
    let refused = Arc::new(AtomicUsize::new(0));
    let taken = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let (refused, taken) = (Arc::clone(&refused), Arc::clone(&taken));
        move |_: Delivery| {
            let (refused, taken) = (Arc::clone(&refused), Arc::clone(&taken));
            async move {
                let is_taken = {
                    let now = Instant::now();
                    let mut taken = taken.lock().unwrap();
                    let in_period = taken.iter().rev().take(LIMIT);
                    let in_period = in_period.filter(|at| now - **at < PERIOD).count();
                    let is_taken = in_period < LIMIT;
                    taken.extend(is_taken.then_some(now));
                    is_taken
                };
                tokio::time::sleep(Duration::from_millis(1)).await;
                match is_taken {
                    true => Disposition::Ack,
                    false => {
                        refused.fetch_add(1, Ordering::SeqCst);
                        Disposition::pause(PERIOD, "too many")
                    }
                }
            }
        }
    };
    let _dispatching = Dispatching::start(&inbox, handler, |options| {
        options.schedule.max_attempts = 2;
    });
    until(async || {
        let counts = inbox.counts().await.unwrap();
        counts.pending + counts.claimed == 0
    })
    .await;
    assert_eq!(inbox.counts().await.unwrap().dead_lettered, 0);
    assert_eq!(taken.lock().unwrap().len(), DELIVERIES);
    let refused = refused.load(Ordering::SeqCst);
    assert!(refused < DELIVERIES / 10, "{refused} refused");
}

#[cfg(feature = "rules")]
#[test]
fn each_rule_is_a_destination() {
    use heygen_receiver::handlers::{BoxHandler, Rules};
    let inner = Rules::new()
        .on("b.x".parse().unwrap(), async |_: Delivery| {})
        .on("b.y".parse().unwrap(), async |_: Delivery| {});
    let rules = Rules::new()
        .on("a.*".parse().unwrap(), async |_: Delivery| {})
        .on("b.*".parse().unwrap(), inner)
        .otherwise(async |_: Delivery| {});
    let handler = BoxHandler::new(rules);
    assert_eq!(handler.destinations(), 5);
    let names = [
        Some("a.b"),
        Some("b.x"),
        Some("b.y"),
        Some("b.z"),
        Some("c"),
        None,
    ];
    let destinations = names.map(|name| handler.destination(name));
    assert_eq!(destinations, [0, 1, 2, 3, 4, 4]);
}
