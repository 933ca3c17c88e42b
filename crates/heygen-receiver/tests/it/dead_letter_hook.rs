//! The hook for what is dead-lettered: called beside the dispatcher, which never waits for it.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heygen_inbox::{DeliveryId, Inbox as _, InboxAdmin as _, MemoryInbox};
use heygen_receiver::{
    DeadLetterHook, DeadLetterHookOptions, Delivery, DispatchOptions, Dispatcher, Disposition,
    Handler,
};
use tokio::sync::oneshot;

use crate::support::{delivery, until, within_patience};

/// Dispatches everything to its end as a dead letter, observed by `hook`.
async fn dead_letter_all<H: Handler>(inbox: &MemoryInbox, hook: &DeadLetterHook<H>, count: u64) {
    let options = DispatchOptions::default().with_observer(hook.clone());
    let handler = async |_: Delivery| Disposition::dead_letter("no such customer: “é”");
    let dispatcher = Dispatcher::with(inbox.clone(), handler, options);
    let dispatching = tokio::spawn(dispatcher.run(pending()));
    until(async || inbox.counts().await.unwrap().dead_lettered == count).await;
    dispatching.abort();
}

async fn append(inbox: &MemoryInbox, count: u64) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for number in 0..count {
        let appended = inbox.append(delivery(&format!("v{number}"))).await;
        ids.push(appended.unwrap().id());
    }
    ids
}

#[tokio::test]
async fn hook_is_called_once_with_the_delivery_and_the_reason() {
    let inbox = MemoryInbox::new();
    let ids = append(&inbox, 3).await;
    let calls: Arc<Mutex<Vec<(DeliveryId, u32, String)>>> = Arc::default();
    let hook = DeadLetterHook::new({
        let calls = Arc::clone(&calls);
        move |delivery: Delivery| {
            let reason = delivery.dead_letter_reason().map(ToOwned::to_owned);
            assert_eq!(delivery.event_type(), Some("avatar_video.success"));
            assert!(!delivery.body().is_empty());
            let call = (delivery.id(), delivery.attempt(), reason.unwrap());
            calls.lock().unwrap().push(call);
            async {}
        }
    });
    tokio::spawn(hook.clone().run(inbox.clone(), pending()));
    dead_letter_all(&inbox, &hook, 3).await;
    until(async || hook.called() == 3).await;
    let mut calls = calls.lock().unwrap().clone();
    calls.sort();
    let reason = "no such customer: “é”".to_owned();
    let expected: Vec<_> = ids.iter().map(|id| (*id, 1, reason.clone())).collect();
    assert_eq!(calls, expected);
    assert_eq!((hook.failed(), hook.dropped()), (0, 0));
}

/// A flood while every call hangs: all are dispatched, what the queue has no room for is counted.
#[tokio::test]
async fn hanging_hook_neither_holds_up_dispatch_nor_grows() {
    let inbox = MemoryInbox::new();
    append(&inbox, 1000).await;
    let options = DeadLetterHookOptions::default()
        .with_timeout(Duration::from_secs(3600))
        .with_queue_length(10)
        .with_concurrency(2);
    let hook = DeadLetterHook::with(async |_: Delivery| pending::<()>().await, options);
    tokio::spawn(hook.clone().run(inbox.clone(), pending()));
    dead_letter_all(&inbox, &hook, 1000).await;
    let dropped = hook.dropped();
    assert!((988..=990).contains(&dropped), "{dropped}");
    assert_eq!((hook.called(), hook.failed()), (0, 0));
}

#[tokio::test]
async fn calls_that_fail_panic_or_take_too_long_are_counted() {
    let inbox = MemoryInbox::new();
    append(&inbox, 4).await;
    let options = DeadLetterHookOptions::default().with_timeout(Duration::from_millis(20));
    let hook = DeadLetterHook::with(
        async |delivery: Delivery| {
            let body = String::from_utf8_lossy(delivery.body()).into_owned();
            match body {
                body if body.contains("v0") => Disposition::retry("later"),
                body if body.contains("v1") => panic!("as the test wants"),
                body if body.contains("v2") => pending().await,
                _ => Disposition::Ack,
            }
        },
        options,
    );
    tokio::spawn(hook.clone().run(inbox.clone(), pending()));
    dead_letter_all(&inbox, &hook, 4).await;
    until(async || hook.called() + hook.failed() == 4).await;
    assert_eq!((hook.called(), hook.failed(), hook.dropped()), (1, 3, 0));
}

/// What waits is called before the process ends; what takes too long then is counted.
#[tokio::test]
async fn calls_that_wait_are_made_at_the_end() {
    for (hangs, expected) in [(false, (20, 0)), (true, (0, 20))] {
        let inbox = MemoryInbox::new();
        append(&inbox, 20).await;
        let shutdown_timeout = match hangs {
            false => Duration::from_secs(60),
            true => Duration::from_millis(20),
        };
        let options = DeadLetterHookOptions::default().with_shutdown_timeout(shutdown_timeout);
        let hook = DeadLetterHook::with(
            move |_: Delivery| async move {
                if hangs {
                    pending::<()>().await;
                }
            },
            options,
        );
        dead_letter_all(&inbox, &hook, 20).await;
        let (stop, stopped) = oneshot::channel::<()>();
        drop(stop);
        let running = hook.clone().run(inbox, async {
            let _ = stopped.await;
        });
        within_patience(running).await;
        assert_eq!((hook.called(), hook.dropped()), expected);
    }
}
