//! A backlog of a million: opened, claimed, appended to and counted as if it were ten.

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, DispatchOrder, Inbox as _, InboxAdmin as _, Query, State,
};

use crate::support::{append_duplicate, append_new, at, body, complete, fill, opened};

const MILLION: u64 = 1_000_000;

#[tokio::test]
async fn a_million_pending_events_are_worked_off_like_ten() {
    let (_folder, path, inbox) = opened();
    let first = append_new(&inbox, 0, &body("first")).await;
    drop(inbox);
    fill(&path, MILLION, "'avatar_video.success'", "'v' || (n / 3)");

    let inbox = SqliteInbox::open(&path).unwrap();
    assert_eq!(inbox.counts().await.unwrap().pending, MILLION + 1);
    for order in [DispatchOrder::Unordered, DispatchOrder::PerSubject] {
        let mut last = None;
        for _ in 0..50 {
            let claim = inbox
                .claim(ClaimRequest::due(16, at(10)).order(order))
                .await
                .unwrap();
            assert_eq!(claim.deliveries.len(), 16);
            for claimed in &claim.deliveries {
                assert!(last < Some(claimed.id) || order == DispatchOrder::PerSubject);
                last = Some(claimed.id);
                complete(&inbox, claimed, 10, AttemptOutcome::Acknowledged).await;
            }
        }
    }
    // A new delivery is stored at once, and an old one is a duplicate.
    append_new(&inbox, 20, &body("new")).await;
    let again = append_duplicate(&inbox, 21, body("first")).await;
    assert_eq!(again, first);
    let counts = inbox.counts().await.unwrap();
    assert_eq!(counts.pending, MILLION + 2 - 1600);
    let newest = inbox
        .list(Query::default().state(State::Pending).limit(3))
        .await
        .unwrap();
    assert_eq!(newest.len(), 3);
}
