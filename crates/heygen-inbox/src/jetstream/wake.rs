//! [`Wake`]: wakes dispatchers, in this process and others, when there is something to claim.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::Notify;

use super::streams::Streams;
use super::task::keep_running;

/// Wakes dispatchers when there is something to claim.
#[derive(Debug)]
pub(super) struct Wake {
    streams: Arc<Streams>,
    appended: Notify,
    is_waking: AtomicBool,
    is_listening: AtomicBool,
}

impl Wake {
    pub(super) fn new(streams: Arc<Streams>) -> Self {
        Self {
            streams,
            appended: Notify::new(),
            is_waking: AtomicBool::new(false),
            is_listening: AtomicBool::new(false),
        }
    }

    /// Wakes dispatchers, in other processes once for all that is stored within a moment.
    pub(super) fn notify(self: &Arc<Self>) {
        self.appended.notify_one();
        if !self.is_waking.swap(true, Ordering::Relaxed) {
            let wake = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(WAKE_PAUSE).await;
                wake.is_waking.store(false, Ordering::Relaxed);
                let (client, names) = (&wake.streams.connection.client, &wake.streams.names);
                // A dispatcher that is not woken looks within a second.
                let _ = client.publish(names.wake(), "".into()).await;
            });
        }
    }

    /// Returns when this process or another one notifies.
    pub(super) async fn wait(self: &Arc<Self>) {
        if !self.is_listening.swap(true, Ordering::Relaxed) {
            let wake = Arc::downgrade(self);
            keep_running("listen", move || listen(Weak::clone(&wake)));
        }
        self.appended.notified().await;
    }
}

/// Passes on the notifications of other processes until the inbox is dropped.
async fn listen(wake: Weak<Wake>) {
    while let Some(strong) = wake.upgrade() {
        let (client, names) = (&strong.streams.connection.client, &strong.streams.names);
        let subscribed = client.subscribe(names.wake()).await;
        drop(strong);
        if let Ok(mut messages) = subscribed {
            loop {
                let message = tokio::time::timeout(LISTEN_TIMEOUT, messages.next()).await;
                let Some(strong) = wake.upgrade() else {
                    return;
                };
                match message {
                    Ok(Some(_)) => {
                        strong.streams.references.expect(true);
                        strong.appended.notify_one();
                        // A consumer led by another server learns of it a little later.
                        tokio::time::sleep(LEADER_LAG).await;
                        strong.appended.notify_one();
                    }
                    Ok(None) => break,
                    Err(_) => {}
                }
            }
        }
        tokio::time::sleep(LISTEN_TIMEOUT).await;
    }
}

const WAKE_PAUSE: Duration = Duration::from_millis(2);

const LEADER_LAG: Duration = Duration::from_millis(20);

const LISTEN_TIMEOUT: Duration = Duration::from_secs(1);
