//! [`Liveness`]: whether the server we are connected to still gets answers from its cluster.
//!
//! A node that is cut off from its cluster keeps its clients, serves reads, and acknowledges nothing.
//! The client library sees a healthy connection. So after a while without answers we reconnect, each
//! time to another server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Client;
use tokio::time::Instant;

/// Since when nothing was acknowledged. Clones share one state.
#[derive(Clone, Debug)]
pub(super) struct Liveness {
    /// When an answer was missing, the first time since an acknowledgement or a reconnect, and the
    /// last time.
    silence: Arc<Mutex<Option<(Instant, Instant)>>>,
    /// Whether there is another server to connect to.
    pub(super) has_choice: bool,
}

impl Liveness {
    pub(super) fn new(has_choice: bool) -> Self {
        Self {
            silence: Arc::default(),
            has_choice,
        }
    }

    /// Something was acknowledged, which takes a majority of the servers.
    pub(super) fn answered(&self) {
        *self.silence() = None;
    }

    /// An answer did not come in time. Reconnects if none has come for too long.
    pub(super) fn unanswered(&self, client: &Client) {
        if self.has_choice && self.is_silent() {
            tracing::warn!(
                server = client.server_info().server_name,
                "no answer for {SILENCE:?}: reconnecting, in case this server is cut off from the others"
            );
            let client = client.clone();
            tokio::spawn(async move {
                // It fails only when the client is closed, and may hang then.
                let _ = tokio::time::timeout(SILENCE, client.force_reconnect()).await;
            });
        }
    }

    /// Whether it has been silent for too long; `true` once each time.
    fn is_silent(&self) -> bool {
        let mut silence = self.silence();
        let now = Instant::now();
        let since = match *silence {
            // A process that only reads gets no acknowledgements: an old failure does not count.
            Some((since, last)) if now - last < SILENCE_EXPIRY => since,
            Some(_) | None => now,
        };
        let is_silent = now - since >= SILENCE;
        *silence = (!is_silent).then_some((since, now));
        is_silent
    }

    fn silence(&self) -> MutexGuard<'_, Option<(Instant, Instant)>> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About as long as a cluster takes to elect a leader.
const SILENCE: Duration = Duration::from_secs(4);

const SILENCE_EXPIRY: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_reported_once_each_time() {
        let liveness = Liveness::new(true);
        tokio::time::advance(SILENCE).await;
        assert!(!liveness.is_silent(), "nothing was asked before");
        tokio::time::advance(SILENCE).await;
        assert!(liveness.is_silent());
        assert!(!liveness.is_silent(), "one new connection at a time");
        tokio::time::advance(SILENCE / 2).await;
        liveness.answered();
        tokio::time::advance(SILENCE / 2).await;
        assert!(!liveness.is_silent());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_far_apart_are_not_silence() {
        let liveness = Liveness::new(true);
        for _ in 0..3 {
            assert!(!liveness.is_silent());
            tokio::time::advance(SILENCE_EXPIRY).await;
        }
    }
}
