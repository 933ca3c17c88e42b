//! Notifies systemd, where it asks for that (`Type=notify`): ready, reloading, stopping, alive.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use heygen_inbox::{BoxInbox, Inbox as _, InboxErrorKind};
use heygen_receiver::Observer;
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// When a part of the process last showed that it is alive.
#[derive(Clone, Debug)]
pub(crate) struct Pulse(Arc<Mutex<Instant>>);

impl Pulse {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn age(&self) -> Duration {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed()
    }
}

/// That of the dispatcher, which looks for deliveries at least once a second.
impl Observer for Pulse {
    fn polled(&self) {
        self.beat();
    }
}

pub(crate) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Notifies of each SIGHUP, and when the reload has ended.
pub(crate) async fn reloads(mut hangups: watch::Receiver<u64>, mut done: watch::Receiver<u64>) {
    while hangups.changed().await.is_ok() {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
        // systemd would wait for ever.
        let _ = timeout(RELOAD_TIME, done.changed()).await;
        notify(&[NotifyState::Ready]);
    }
    // A task that ended early would end the process.
    pending::<()>().await;
}

/// Notifies the watchdog, where there is one (`WatchdogSec=`), that the writer of the inbox and the dispatcher are alive, for as long
/// as they are. A disk that is full or an inbox that refuses is no reason to start again: an error is an answer.
pub(crate) async fn watchdog(inbox: BoxInbox, dispatcher: Option<Pulse>) {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return pending().await;
    };
    let asks = move || {
        let inbox = inbox.clone();
        async move {
            // A panic of the inbox is its own, and no answer.
            let asked = tokio::spawn(async move { inbox.ready().await });
            match asked.await {
                // A queue that is full may be full because no one takes from it.
                Ok(Err(error)) => error.kind() != InboxErrorKind::Busy,
                Ok(Ok(())) => true,
                Err(_) => false,
            }
        }
    };
    watch_over(interval, dispatcher, asks, || {
        notify(&[NotifyState::Watchdog]);
    })
    .await;
}

async fn watch_over<A: Future<Output = bool>>(
    interval: Duration,
    dispatcher: Option<Pulse>,
    asks: impl Fn() -> A,
    notifies: impl Fn(),
) {
    let writer = Pulse::new();
    let pause = interval / 4;
    let asking = async {
        loop {
            if asks().await {
                writer.beat();
            }
            sleep(pause).await;
        }
    };
    let notifying = async {
        let mut is_silent = false;
        loop {
            let parts = [
                Some(("inbox", &writer)),
                dispatcher.as_ref().map(|it| ("dispatcher", it)),
            ];
            let hanging = parts
                .into_iter()
                .flatten()
                .find(|(_, pulse)| pulse.age() > interval);
            match hanging {
                None => notifies(),
                Some((part, pulse)) if !is_silent => tracing::error!(
                    seconds = pulse.age().as_secs(),
                    "the {part} does not answer; systemd's watchdog is no longer notified, and ends this process"
                ),
                Some(_) => {}
            }
            is_silent = hanging.is_some();
            sleep(pause).await;
        }
    };
    tokio::join!(asking, notifying);
}

/// No one listens unless systemd started us, and what it does not hear it finds out.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be notified");
    }
}

/// Far more than it takes to read a few files.
const RELOAD_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    /// How often the watchdog is notified within ten intervals, when the parts answer for the first three.
    async fn notified(writer_hangs: bool, dispatcher_hangs: bool) -> usize {
        let begun = Instant::now();
        let is_early = move || begun.elapsed() < 3 * INTERVAL;
        let count = AtomicUsize::new(0);
        let dispatcher = Pulse::new();
        let dispatching = async {
            while is_early() || !dispatcher_hangs {
                dispatcher.polled();
                sleep(Duration::from_secs(1)).await;
            }
            pending::<()>().await;
        };
        let asks = || async {
            if !is_early() && writer_hangs {
                pending::<()>().await;
            }
            true
        };
        let notifies = || {
            count.fetch_add(1, Ordering::Relaxed);
        };
        tokio::select! {
            () = watch_over(INTERVAL, Some(dispatcher.clone()), asks, notifies) => {}
            () = dispatching => {}
            () = sleep(10 * INTERVAL) => {}
        }
        count.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn watchdog_is_notified_only_while_all_parts_answer() {
        let always = notified(false, false).await;
        assert!((39..=41).contains(&always), "{always}");
        for (writer_hangs, dispatcher_hangs) in [(true, false), (false, true), (true, true)] {
            let count = notified(writer_hangs, dispatcher_hangs).await;
            // Until one interval after the last answer.
            assert!((12..=17).contains(&count), "{count}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn watchdog_is_notified_again_when_a_part_comes_back() {
        let is_answering = AtomicBool::new(false);
        let count = AtomicUsize::new(0);
        let asks = || async { is_answering.load(Ordering::Relaxed) };
        let notifies = || {
            count.fetch_add(1, Ordering::Relaxed);
        };
        tokio::select! {
            () = watch_over(INTERVAL, None, asks, notifies) => {}
            () = async {
                sleep(3 * INTERVAL).await;
                let before = count.swap(0, Ordering::Relaxed);
                // For one interval it counts as alive since the start.
                assert!((4..=5).contains(&before), "{before}");
                is_answering.store(true, Ordering::Relaxed);
                sleep(2 * INTERVAL).await;
            } => {}
        }
        let after = count.into_inner();
        assert!((5..=9).contains(&after), "{after}");
    }
}
