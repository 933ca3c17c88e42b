//! A clock that is set back, which the crate's own stores notice at the next claim.

use std::time::Duration;

use heygen_inbox::{AttemptOutcome, Completion, InboxAdmin, MemoryInbox, PruneStep, State};

use crate::support::{append_new, at, body, claim_due, claim_one, complete, complete_one};

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

#[tokio::test]
async fn clock_in_a_distant_future_stops_no_delivery() {
    a_distant_future_stops_no_delivery(MemoryInbox::new()).await;
    #[cfg(feature = "sqlite")]
    {
        let (_folder, path) = crate::support::file();
        let inbox = heygen_inbox::sqlite::SqliteInbox::open(path).unwrap();
        a_distant_future_stops_no_delivery(inbox).await;
    }
}

async fn a_distant_future_stops_no_delivery(inbox: impl InboxAdmin) {
    const FAR: u64 = 5000 * 365 * 24 * 3600;
    // The clock is right again when the last one is received.
    for seconds in [FAR, 2 * FAR, 5] {
        let id = append_new(&inbox, seconds, &body(&seconds.to_string())).await;
        let claimed = claim_one(&inbox, seconds).await;
        assert_eq!(claimed.id, id);
        let result = AttemptOutcome::Acknowledged;
        let completion = Completion::new(&claimed, at(seconds), Duration::ZERO, result);
        inbox.complete(completion).await.unwrap();
        let stored = inbox.get(id).await.unwrap().unwrap();
        assert_eq!(stored.summary.state, State::Acknowledged);
    }
}

#[tokio::test]
async fn backlog_is_as_old_as_its_times_after_the_clock_was_ahead() {
    for ahead in [20 * 60, YEAR] {
        backlog_is_as_old_as_its_times(MemoryInbox::new(), ahead).await;
        #[cfg(feature = "sqlite")]
        {
            let (_folder, _, inbox) = crate::support::opened();
            backlog_is_as_old_as_its_times(inbox, ahead).await;
        }
    }
}

/// Ids stay ahead of a clock that was set back.
async fn backlog_is_as_old_as_its_times(inbox: impl InboxAdmin, ahead: u64) {
    append_new(&inbox, ahead, &body("ahead")).await;
    complete_one(&inbox, ahead, AttemptOutcome::Acknowledged).await;
    for seconds in [5, 6] {
        append_new(&inbox, seconds, &body(&seconds.to_string())).await;
    }
    let counts = inbox.counts().await.unwrap();
    assert_eq!(counts.oldest_pending, Some(at(5)));
    for claimed in claim_due(&inbox, 2, 7).await {
        complete(&inbox, &claimed, 7, AttemptOutcome::Acknowledged).await;
    }
    assert_eq!(inbox.count_prunable(at(10)).await.unwrap(), 2);
    let pruned = inbox.prune(PruneStep::before(at(10))).await.unwrap();
    assert_eq!(pruned.deleted, 2);
}

const YEAR: u64 = 365 * 24 * 3600;

/// That a retry of the right clock stays is a case of the conformance suite.
async fn a_clock_set_back_delays_nothing(inbox: impl InboxAdmin) {
    // The clock was a year ahead when these were received, and at the attempt of the second.
    append_new(&inbox, YEAR, &body("tried")).await;
    complete_one(&inbox, YEAR, AttemptOutcome::Retry).await;
    append_new(&inbox, YEAR, &body("new")).await;
    assert_eq!(claim_due(&inbox, 10, 5).await.len(), 2);
}
