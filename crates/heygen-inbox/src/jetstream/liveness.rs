//! [`Liveness`]: whether the server that we are connected to still gets answers for us.
//!
//! A node that is cut off from the rest of its cluster keeps its clients, reads to them what it
//! has, and acknowledges nothing. The client library sees a connection that is well. So when
//! nothing was answered for a while, we connect again, to another server with luck, and with more
//! luck the next time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Client;
use tokio::time::Instant;

/// Since when nothing was acknowledged. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Liveness {
    /// When an answer failed to come, the first time since an acknowledgement, or since we
    /// connected again, and the last time.
    silence: Arc<Mutex<Option<(Instant, Instant)>>>,
    /// Whether there is another server to go to.
    pub(super) has_choice: bool,
}

impl Liveness {
    pub(super) fn new(has_choice: bool) -> Self {
        Self {
            silence: Arc::default(),
            has_choice,
        }
    }

    /// Something was acknowledged, which no server does alone.
    pub(super) fn answered(&self) {
        *self.silence() = None;
    }

    /// An answer did not come in time. Connects again where that has gone on for too long.
    pub(super) fn unanswered(&self, client: &Client) {
        if self.has_choice && self.is_silent() {
            tracing::warn!(
                server = client.server_info().server_name,
                "nothing was answered for {SILENCE:?}: connecting again, in case this server is cut off from the others"
            );
            let client = client.clone();
            tokio::spawn(async move {
                // It only fails when the client is closed, and only waits where that cannot be told
                // either.
                let _ = tokio::time::timeout(SILENCE, client.force_reconnect()).await;
            });
        }
    }

    /// Whether it has been silent for too long, told once for each time.
    fn is_silent(&self) -> bool {
        let mut silence = self.silence();
        let now = Instant::now();
        let since = match *silence {
            // Whoever only reads hears of no acknowledgement: what went wrong long ago is another
            // matter.
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
    async fn silence_is_told_once_for_each_time() {
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
    async fn two_troubles_far_apart_are_no_silence() {
        let liveness = Liveness::new(true);
        for _ in 0..3 {
            assert!(!liveness.is_silent());
            tokio::time::advance(SILENCE_EXPIRY).await;
        }
    }
}
