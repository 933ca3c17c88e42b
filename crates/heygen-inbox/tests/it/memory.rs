//! What only [`MemoryInbox`] has: its capacity, and what it counts as live.

use heygen_inbox::{
    AttemptOutcome, ClaimRequest, DispatchOrder, Imported, Inbox as _, InboxAdmin, InboxErrorKind,
    MemoryInbox, Room,
};

use crate::support::{
    about, all_ids, append_duplicate, append_new, at, body, claim_one, claim_ordered, claimed_ids,
    complete, complete_one, delivery, poll_once_and_drop,
};

#[tokio::test]
async fn finished_deliveries_make_room_and_others_do_not() {
    let inbox = MemoryInbox::with_capacity(2);
    let first = append_new(&inbox, 9, &body("a")).await;
    let claimed = claim_one(&inbox, 9).await;
    let second = append_new(&inbox, 9, &body("b")).await;
    let full = inbox.append(delivery(9, body("c"))).await.unwrap_err();
    assert_eq!(full.kind(), InboxErrorKind::Busy);
    assert_eq!(all_ids(&inbox).await, [second, first]);
    append_duplicate(&inbox, 9, body("b")).await;

    complete(&inbox, &claimed, 9, AttemptOutcome::Acknowledged).await;
    let third = append_new(&inbox, 9, &body("c")).await;
    assert_eq!(all_ids(&inbox).await, [third, second]);
    assert_eq!(inbox.get(first).await.unwrap(), None);
}

#[tokio::test]
async fn ids_are_never_given_twice() {
    let inbox = MemoryInbox::with_capacity(1);
    let mut ids = Vec::new();
    for place in 0..3 {
        // The clock stands still, and what was there is gone.
        ids.push(append_new(&inbox, 0, &body(&place.to_string())).await);
        complete_one(&inbox, 0, AttemptOutcome::DeadLettered).await;
    }
    assert!(ids.is_sorted_by(|left, right| left < right), "{ids:?}");
}

#[tokio::test]
async fn pruned_deliveries_are_no_duplicates() {
    let inbox = MemoryInbox::with_capacity(1);
    for _ in 0..3 {
        for name in ["a", "b"] {
            append_new(&inbox, 0, &body(name)).await;
            complete_one(&inbox, 0, AttemptOutcome::Acknowledged).await;
        }
    }
}

/// Another delivery of the subject is due then.
#[tokio::test]
async fn removal_by_hand_wakes_the_dispatcher() {
    let inbox = MemoryInbox::new();
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(append_new(&inbox, 0, &about("a", number)).await);
    }
    inbox.wait_for_append().await;
    let is_woken = async || poll_once_and_drop(inbox.wait_for_append()).await.is_some();
    assert!(!is_woken().await);
    inbox.dead_letter(vec![ids[0]], at(1)).await.unwrap();
    assert!(is_woken().await);
    inbox.delete(vec![ids[1]]).await.unwrap();
    assert!(is_woken().await);
    assert_eq!(claimed_ids(&claim_ordered(&inbox, at(2)).await), [ids[2]]);
}

/// What another inbox had, also what HeyGen signed, goes after what comes in now.
async fn check_imported_is_backlog(inbox: impl InboxAdmin) {
    let imported = vec![Imported::new(delivery(0, body("imported")))];
    inbox.import(imported).await.unwrap();
    let live = append_new(&inbox, 1, &body("live")).await;
    let room = vec![Room::new(2, 2, 0)];
    let request = ClaimRequest::new(at(2), DispatchOrder::Unordered, room, |_| 0);
    let claimed = inbox.claim(request).await.unwrap().deliveries;
    let are_live: Vec<_> = claimed
        .iter()
        .map(|claimed| (claimed.id == live, claimed.is_live))
        .collect();
    assert_eq!(are_live, [(true, true), (false, false)]);
}

#[tokio::test]
async fn imported_delivery_is_of_the_backlog() {
    check_imported_is_backlog(MemoryInbox::new()).await;
    #[cfg(feature = "sqlite")]
    {
        let (_folder, _, inbox) = crate::support::opened();
        check_imported_is_backlog(inbox).await;
    }
}
