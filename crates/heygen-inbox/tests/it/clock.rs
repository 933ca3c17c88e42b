//! A clock that is set back, which the crate's own stores notice at the next claim.

use std::time::Duration;

use heygen_inbox::{AttemptOutcome, ClaimRequest, Completion, InboxAdmin, MemoryInbox};

use crate::support::{append_new, at, body, claim_due, claim_one};

#[tokio::test]
async fn clock_set_back_delays_no_delivery_in_memory() {
    a_clock_set_back_delays_nothing(MemoryInbox::new()).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn clock_set_back_delays_no_delivery_in_a_file() {
    let (_folder, path) = crate::support::file();
    let inbox = heygen_inbox::sqlite::SqliteInbox::open(path).unwrap();
    a_clock_set_back_delays_nothing(inbox).await;
}

#[cfg(feature = "jetstream")]
#[tokio::test]
async fn a_clock_set_back_delays_nothing_on_streams() {
    for program in [xtask_nats::Program::Current, xtask_nats::Program::Debian] {
        let server = crate::support::server(program);
        a_clock_set_back_delays_nothing(crate::support::on_server(&server).await).await;
    }
}

async fn finish_one(inbox: &impl InboxAdmin, seconds: u64, result: AttemptOutcome) {
    let claimed = claim_one(inbox, seconds).await;
    let finish = Completion::new(&claimed, at(seconds), Duration::ZERO, result);
    inbox
        .complete(finish.due_at(at(seconds + 1000)))
        .await
        .unwrap();
}

async fn a_clock_set_back_delays_nothing(inbox: impl InboxAdmin) {
    // The clock was a year ahead when these were received, and at the attempt of the second.
    const YEAR: u64 = 365 * 24 * 3600;
    append_new(&inbox, YEAR, &body("tried")).await;
    finish_one(&inbox, YEAR, AttemptOutcome::Retry).await;
    append_new(&inbox, YEAR, &body("new")).await;
    let claim = inbox.claim(ClaimRequest::due(10, at(5))).await.unwrap();
    assert_eq!(claim.deliveries.len(), 2);

    // A retry that was scheduled by the right clock stays.
    for claimed in &claim.deliveries {
        let finish = Completion::new(claimed, at(5), Duration::ZERO, AttemptOutcome::Retry);
        inbox.complete(finish.due_at(at(500))).await.unwrap();
    }
    assert!(claim_due(&inbox, 10, 100).await.is_empty());
    let later = inbox.claim(ClaimRequest::due(10, at(50))).await.unwrap();
    assert!(
        later.deliveries.is_empty(),
        "set back again, and due at 500 all the same"
    );
}
