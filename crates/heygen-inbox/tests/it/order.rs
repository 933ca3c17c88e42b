//! The order of one subject, where a store has more to it.

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, Completion, DispatchOrder, Inbox as _, InboxAdmin as _,
    NewDelivery, Source,
};

use crate::support::{about, append_new, at, claim_ordered, claimed_ids, complete, opened};

/// The older one is replayed while the newer one is claimed, and the newer one is then given back.
#[tokio::test]
async fn released_delivery_unblocks_an_older_one() {
    let (_folder, path, inbox) = opened();
    let older = append_new(&inbox, 0, &about("a", 1)).await;
    let claimed = claim_ordered(&inbox, at(1)).await;
    complete(&inbox, &claimed[0], 1, AttemptOutcome::Acknowledged).await;
    let newer = append_new(&inbox, 2, &about("a", 2)).await;
    let claimed = claim_ordered(&inbox, at(3)).await;
    assert_eq!(claimed[0].id, newer);
    let beside = SqliteInbox::open_beside(&path).unwrap();
    beside.replay(vec![older], at(4)).await.unwrap();
    drop(beside);
    let waiting = claim_ordered(&inbox, at(5)).await;
    assert!(waiting.is_empty(), "it waits for the newer one");
    let released = Completion::released(&claimed[0], at(6));
    inbox.complete(released).await.unwrap();
    let claimed = claim_ordered(&inbox, at(7)).await;
    assert_eq!(claimed_ids(&claimed), [older]);
}

/// An inbox of a version whose order held across sources: a signed event waits for a callback about
/// its subject.
#[tokio::test]
async fn upgrade_unblocks_deliveries_that_waited_for_another_source() {
    for order in [DispatchOrder::PerSubject, DispatchOrder::Unordered] {
        let (_folder, path, inbox) = opened();
        let callback = about("a", 0).into();
        let callback = NewDelivery::new(at(0), Source::Callback, Vec::new(), callback);
        inbox.append(callback).await.unwrap();
        let signed = append_new(&inbox, 0, &about("a", 1)).await;
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
        let request = ClaimRequest::due(10, at(1)).order(order);
        let claimed = claimed_ids(&inbox.claim(request).await.unwrap().deliveries);
        assert!(claimed.contains(&signed), "{order:?}: it waits");
        inbox.close().await.unwrap();
    }
}

/// With `sqlite3`, say, which knows nothing of the order.
#[tokio::test]
async fn delivery_whose_predecessor_another_program_deletes_is_dispatched() {
    let (_folder, path, inbox) = opened();
    let older = append_new(&inbox, 0, &about("a", 1)).await;
    let claimed = claim_ordered(&inbox, at(1)).await;
    let newer = append_new(&inbox, 2, &about("a", 2)).await;
    complete(&inbox, &claimed[0], 3, AttemptOutcome::Retry).await;
    let claimed = claim_ordered(&inbox, at(4)).await;
    assert_eq!(claimed_ids(&claimed), [older]);
    inbox.close().await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    for table in ["attempt", "content", "delivery"] {
        let id = if table == "attempt" {
            "delivery_id"
        } else {
            "id"
        };
        let delete = format!("DELETE FROM {table} WHERE {id} = (SELECT min(id) FROM delivery)");
        connection.execute(&delete, ()).unwrap();
    }
    connection.close().unwrap();
    let inbox = SqliteInbox::open(&path).unwrap();
    let room = vec![heygen_inbox::Room::new(1, 1, 1)];
    let request = ClaimRequest::new(at(5), DispatchOrder::PerSubject, room, |_| 0);
    let claimed = inbox.claim(request).await.unwrap().deliveries;
    assert_eq!(claimed_ids(&claimed), [newer]);
}
