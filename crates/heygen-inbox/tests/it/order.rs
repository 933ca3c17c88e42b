//! The order of one subject, where a store has more to it.

use std::time::Duration;

use heygen_inbox::{
    AttemptOutcome, ClaimRequest, ClaimedDelivery, Completion, DeliveryId, DispatchOrder,
    Inbox as _, InboxAdmin, NewDelivery, Source,
};

use crate::support::{append_new, at, new};

#[cfg(feature = "jetstream")]
#[tokio::test]
async fn a_stream_says_that_it_keeps_no_order() {
    let server = crate::support::server(xtask_nats::Program::Current);
    let inbox = crate::support::on_server(&server).await;
    append_new(&inbox, 0, &about("a", 1)).await;
    let error = inbox
        .claim(ClaimRequest::due(1, at(0)).order(DispatchOrder::PerSubject))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), heygen_inbox::InboxErrorKind::Unsupported);
    assert!(error.to_string().contains("SQLite"), "{error}");
    let claimed = inbox.claim(ClaimRequest::due(1, at(0))).await.unwrap();
    assert_eq!(
        claimed.deliveries.len(),
        1,
        "without an order it is handed out"
    );
}

/// The `number`th event about a subject.
fn about(subject: &str, number: u64) -> String {
    format!(r#"{{"event_type":"x.y","event_data":{{"video_id":"{subject}","n":{number}}}}}"#)
}

async fn claim(inbox: &impl InboxAdmin, seconds: u64) -> Vec<ClaimedDelivery> {
    let claim = inbox
        .claim(ClaimRequest::due(10, at(seconds)).order(DispatchOrder::PerSubject))
        .await
        .unwrap();
    claim.deliveries
}

async fn claim_ids(inbox: &impl InboxAdmin, seconds: u64) -> Vec<DeliveryId> {
    let claimed = claim(inbox, seconds).await;
    claimed.iter().map(|claimed| claimed.id).collect()
}

async fn end(
    inbox: &impl InboxAdmin,
    claimed: &ClaimedDelivery,
    seconds: u64,
    result: AttemptOutcome,
) {
    let finish = Completion::new(claimed, at(seconds), Duration::ZERO, result);
    inbox.complete(finish).await.unwrap();
}

/// The older one is replayed while the newer one is claimed, and the newer one is then given back.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn released_delivery_unblocks_an_older_one() {
    let (_folder, path) = crate::support::file();
    let inbox = heygen_inbox::sqlite::SqliteInbox::open(&path).unwrap();
    let older = append_new(&inbox, 0, &about("a", 1)).await;
    let claimed = claim(&inbox, 1).await;
    end(&inbox, &claimed[0], 1, AttemptOutcome::Acknowledged).await;
    let newer = append_new(&inbox, 2, &about("a", 2)).await;
    let claimed = claim(&inbox, 3).await;
    assert_eq!(claimed[0].id, newer);
    let beside = heygen_inbox::sqlite::SqliteInbox::open_beside(&path).unwrap();
    beside.replay(vec![older], at(4)).await.unwrap();
    drop(beside);
    assert_eq!(claim_ids(&inbox, 5).await, [], "it waits for the newer one");
    let released = Completion::released(&claimed[0], at(6));
    inbox.complete(released).await.unwrap();
    assert_eq!(claim_ids(&inbox, 7).await, [older]);
}

async fn append_from(inbox: &impl InboxAdmin, source: Source, body: String) -> DeliveryId {
    let delivery = NewDelivery::new(at(0), source, Vec::new(), body.into());
    new(inbox.append(delivery).await.unwrap())
}

/// An inbox of a version whose order held across sources: a signed event waits for a callback about
/// its subject.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn upgrade_unblocks_deliveries_that_waited_for_another_source() {
    use heygen_inbox::sqlite::SqliteInbox;

    for order in [DispatchOrder::PerSubject, DispatchOrder::Unordered] {
        let (_folder, path) = crate::support::file();
        let inbox = SqliteInbox::open(&path).unwrap();
        append_from(&inbox, Source::Callback, about("a", 0)).await;
        let signed = append_from(&inbox, Source::Webhook, about("a", 1)).await;
        inbox.close().await.unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "CREATE INDEX delivery_subject ON delivery (subject_id, id) WHERE state IN ('pending', 'claimed');
                 UPDATE delivery SET due_at = 9223372036854775807 WHERE source = 'webhook'",
            )
            .unwrap();
        connection.close().unwrap();

        let inbox = SqliteInbox::open(&path).unwrap();
        let claimed = inbox
            .claim(ClaimRequest::due(10, at(1)).order(order))
            .await
            .unwrap()
            .deliveries;
        let mut ids = claimed.iter().map(|claimed| claimed.id);
        assert!(ids.any(|id| id == signed), "{order:?}: it waits");
        inbox.close().await.unwrap();
    }
}
