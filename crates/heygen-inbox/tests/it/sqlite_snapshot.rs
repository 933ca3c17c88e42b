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
    let looking = tokio::spawn({
        let is_over = Arc::clone(&is_over);
        async move {
            while !is_over.load(Ordering::Relaxed) {
                let kept = get(&reader, id).await;
                let ended = match kept.summary.state {
                    State::Claimed => kept.summary.attempts - 1,
                    _ => kept.summary.attempts,
                };
                let last = kept.attempts.last().map_or(0, |attempt| attempt.number);
                assert_eq!(last, ended, "{:?}", kept.summary);
            }
        }
    });
    hand_out_often(&inbox).await;
    is_over.store(true, Ordering::Relaxed);
    looking.await.unwrap();
}

async fn hand_out_often(inbox: &SqliteInbox) {
    for _ in 0..500 {
        let now = SystemTime::now();
        let claim = inbox.claim(ClaimRequest::due(1, now)).await.unwrap();
        let claimed = &claim.deliveries[0];
        let finish = Completion::new(claimed, now, Duration::ZERO, AttemptOutcome::Retry);
        inbox.complete(finish.due_at(now)).await.unwrap();
    }
}
