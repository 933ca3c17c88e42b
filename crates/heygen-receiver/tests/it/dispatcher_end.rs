//! Shutdown of a dispatcher: running handlers end, or their deliveries are redelivered.

use std::sync::Arc;
use std::time::Duration;

use heygen_inbox::{Inbox as _, InboxAdmin, MemoryInbox, State};
use heygen_receiver::{Delivery, DispatchOptions, Dispatcher, Handler};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::support::{Fault, Tampered, delivery, results, until, within_patience};

/// A dispatcher at work, and the word that ends it.
fn start<I: InboxAdmin + Clone>(
    inbox: &I,
    handler: impl Handler,
    shutdown_timeout: Duration,
) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let mut options = DispatchOptions::default();
    options.shutdown_timeout = shutdown_timeout;
    let (stop, stopped) = oneshot::channel::<()>();
    let dispatcher = Dispatcher::with(inbox.clone(), handler, options);
    let task = tokio::spawn(dispatcher.run(async {
        // A test that ended without a word ends its dispatcher too.
        let _ = stopped.await;
    }));
    (stop, task)
}

/// A handler that tells when it is called and then waits for a permit.
fn waiting(permits: &Arc<Semaphore>) -> (impl Handler, mpsc::UnboundedReceiver<()>) {
    let (calls, called) = mpsc::unbounded_channel();
    let permits = Arc::clone(permits);
    let handler = move |_: Delivery| {
        let (calls, permits) = (calls.clone(), Arc::clone(&permits));
        async move {
            // The test may have seen enough.
            let _ = calls.send(());
            permits.acquire().await.unwrap().forget();
        }
    };
    (handler, called)
}

#[tokio::test]
async fn running_handlers_may_end() {
    let inbox = MemoryInbox::new();
    let permits = Arc::new(Semaphore::new(0));
    let (handler, mut called) = waiting(&permits);
    let (stop, task) = start(&inbox, handler, Duration::from_secs(3600));
    let id = inbox.append(delivery("a")).await.unwrap().id();
    within_patience(called.recv()).await.unwrap();
    stop.send(()).unwrap();
    let late = inbox.append(delivery("late")).await.unwrap().id();
    permits.add_permits(2);
    within_patience(task).await.unwrap();
    let state = async |id| inbox.get(id).await.unwrap().unwrap().summary.state;
    assert_eq!(state(id).await, State::Acknowledged);
    let late = state(late).await;
    assert!(
        matches!(late, State::Pending | State::Acknowledged),
        "not claimed: {late}"
    );
}

/// Else its delivery would stay claimed while the inbox is open, and no other dispatcher would get it.
#[tokio::test]
async fn handler_of_a_dropped_dispatcher_may_end() {
    let inbox = MemoryInbox::new();
    let permits = Arc::new(Semaphore::new(0));
    let (handler, mut called) = waiting(&permits);
    let (_stop, task) = start(&inbox, handler, Duration::from_secs(3600));
    let id = inbox.append(delivery("a")).await.unwrap().id();
    within_patience(called.recv()).await.unwrap();
    task.abort();
    assert!(within_patience(task).await.unwrap_err().is_cancelled());
    permits.add_permits(1);
    until(async || {
        let stored = inbox.get(id).await.unwrap().unwrap();
        stored.summary.state == State::Acknowledged
    })
    .await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn delivery_of_a_handler_that_does_not_end_is_redelivered() {
    use heygen_inbox::AttemptOutcome;
    use heygen_inbox::sqlite::SqliteInbox;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inbox.db");
    let inbox = SqliteInbox::open(&path).unwrap();
    let id = inbox.append(delivery("a")).await.unwrap().id();
    let (handler, mut called) = waiting(&Arc::new(Semaphore::new(0)));
    let (stop, task) = start(&inbox, handler, Duration::from_millis(20));
    within_patience(called.recv()).await.unwrap();
    stop.send(()).unwrap();
    within_patience(task).await.unwrap();
    inbox.close().await.unwrap();

    let inbox = SqliteInbox::open(&path).unwrap();
    let permits = Arc::new(Semaphore::new(1));
    let (handler, mut called) = waiting(&permits);
    let (stop, task) = start(&inbox, handler, Duration::from_secs(3600));
    within_patience(called.recv()).await.unwrap();
    stop.send(()).unwrap();
    within_patience(task).await.unwrap();
    let results = results(&inbox, id).await;
    assert_eq!(
        results,
        [AttemptOutcome::Interrupted, AttemptOutcome::Acknowledged]
    );
}

#[tokio::test]
async fn hanging_inbox_does_not_delay_shutdown() {
    let inbox = Tampered::new(Fault::ClaimHangs);
    let (stop, task) = start(&inbox, async |_: Delivery| {}, Duration::from_millis(20));
    stop.send(()).unwrap();
    within_patience(task).await.unwrap();
}

#[tokio::test]
async fn idle_dispatcher_ends_at_once() {
    let (stop, task) = start(
        &MemoryInbox::new(),
        async |_: Delivery| {},
        Duration::from_secs(3600),
    );
    stop.send(()).unwrap();
    within_patience(task).await.unwrap();
}
