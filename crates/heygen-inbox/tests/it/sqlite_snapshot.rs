//! One delivery is read in one snapshot, whatever a server does with it at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{AttemptOutcome, ClaimRequest, Completion, Inbox as _, State};

use crate::support::{body, delivery, get, opened};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivery_and_attempts_are_read_in_one_snapshot() {
    let (_folder, path, inbox) = opened();
    let id = inbox.append(delivery(0, body("a"))).await.unwrap().id();
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = SqliteInbox::open_read_only(&path).unwrap();
    let reading = tokio::spawn({
        let is_over = Arc::clone(&is_over);
        async move {
            while !is_over.load(Ordering::Relaxed) {
                let stored = get(&reader, id).await;
                let ended = match stored.summary.state {
                    State::Claimed => stored.summary.attempts - 1,
                    _ => stored.summary.attempts,
                };
                let last = stored.attempts.last().map_or(0, |attempt| attempt.number);
                assert_eq!(last, ended, "{:?}", stored.summary);
            }
        }
    });
    claim_often(&inbox).await;
    is_over.store(true, Ordering::Relaxed);
    reading.await.unwrap();
}

async fn claim_often(inbox: &SqliteInbox) {
    for _ in 0..500 {
        let now = SystemTime::now();
        let claim = inbox.claim(ClaimRequest::due(1, now)).await.unwrap();
        let claimed = &claim.deliveries[0];
        let finish = Completion::new(claimed, now, Duration::ZERO, AttemptOutcome::Retry);
        inbox.complete(finish.due_at(now)).await.unwrap();
    }
}
