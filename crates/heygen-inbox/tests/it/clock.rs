//! A clock that is set back, which the crate's own stores notice at the next claim.

use heygen_inbox::{AttemptOutcome, InboxAdmin, MemoryInbox};

use crate::support::{append_new, body, claim_due, complete_one};

#[tokio::test]
async fn clock_set_back_delays_no_delivery_in_memory() {
    a_clock_set_back_delays_nothing(MemoryInbox::new()).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn clock_set_back_delays_no_delivery_in_a_file() {
    let (_folder, _, inbox) = crate::support::opened();
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

/// That a retry of the right clock stays is a case of the conformance suite.
async fn a_clock_set_back_delays_nothing(inbox: impl InboxAdmin) {
    // The clock was a year ahead when these were received, and at the attempt of the second.
    const YEAR: u64 = 365 * 24 * 3600;
    append_new(&inbox, YEAR, &body("tried")).await;
    complete_one(&inbox, YEAR, AttemptOutcome::Retry).await;
    append_new(&inbox, YEAR, &body("new")).await;
    assert_eq!(claim_due(&inbox, 10, 5).await.len(), 2);
}
