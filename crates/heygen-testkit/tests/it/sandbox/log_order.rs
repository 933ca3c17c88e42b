//! The log of events comes in the order that was asked for, page by page.

use heygen_testkit::{
    EventBuilder,
    sandbox::{LogOrder, Misbehaviour},
};

use super::Heygen;

/// The numbers of the events, two to a page; one event more comes after the first.
async fn log(order: LogOrder) -> Vec<u32> {
    let heygen = Heygen::start().await;
    heygen.misbehave(Misbehaviour::default().log_order(order));
    let send = |number| {
        let event = EventBuilder::new("batch.finished").top("event_id", format!("{number}"));
        heygen.send(event);
    };
    (0..7).for_each(send);
    let mut numbers = Vec::new();
    let mut path = "/v3/webhooks/events?limit=2".to_owned();
    loop {
        let page = heygen.get(&path).await.body;
        if numbers.is_empty() {
            send(7);
        }
        let records = page["data"].as_array().unwrap().iter();
        numbers.extend(
            records.map(|record| record["event_id"].as_str().unwrap().parse::<u32>().unwrap()),
        );
        let Some(token) = page["next_token"].as_str() else {
            return numbers;
        };
        path = format!("/v3/webhooks/events?limit=2&token={token}");
    }
}

#[tokio::test]
async fn every_log_order_has_every_event() {
    assert_eq!(log(LogOrder::NewestFirst).await, [6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(log(LogOrder::OldestFirst).await, [0, 1, 2, 3, 4, 5, 6, 7]);
    let mut shuffled = log(LogOrder::Shuffled).await;
    assert!(
        !shuffled.is_sorted() && !shuffled.iter().rev().is_sorted(),
        "{shuffled:?}"
    );
    shuffled.sort_unstable();
    shuffled.dedup();
    assert_eq!(shuffled[..7], [0, 1, 2, 3, 4, 5, 6]);
}
