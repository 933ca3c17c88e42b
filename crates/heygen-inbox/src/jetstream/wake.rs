//! [`Wake`]: tells dispatchers, here and in other processes, that there is something to claim.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::Notify;

use super::streams::Streams;
use super::task::keep_running;

/// Tells that there is something to claim.
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

    /// Wakes who waits, here and in other processes; there once for all that comes within a moment.
    pub(super) fn notify(self: &Arc<Self>) {
        self.appended.notify_one();
        if !self.is_waking.swap(true, Ordering::Relaxed) {
            let wake = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(WAKE_PAUSE).await;
                wake.is_waking.store(false, Ordering::Relaxed);
                let (client, names) = (&wake.streams.connection.client, &wake.streams.names);
                // Who is not woken looks within a second.
                let _ = client.publish(names.wake(), "".into()).await;
            });
        }
    }

    /// Returns when something was told, here or in another process.
    pub(super) async fn wait(self: &Arc<Self>) {
        if !self.is_listening.swap(true, Ordering::Relaxed) {
            let wake = Arc::downgrade(self);
            keep_running("listen", move || listen(Weak::clone(&wake)));
        }
        self.appended.notified().await;
    }
}

/// Passes on what other processes tell, for as long as the inbox is there.
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
                        // A consumer whose leader is elsewhere hears of it a little later than we.
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
