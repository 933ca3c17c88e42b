//! [`Pulse`]: whether the server that we are connected to still gets answers for us.
//!
//! A node that is cut off from the rest of its cluster keeps its clients, and answers nothing that the streams would have to. The
//! client library sees a connection that is well. So when nothing was answered for a while, we connect anew, to another server with
//! luck, and with more luck the next time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Client;
use tokio::time::Instant;

/// Since when nothing was answered. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    /// When the first answer failed to come since the last that came, or since we connected anew.
    silent_since: Arc<Mutex<Option<Instant>>>,
    /// Whether there is another server to go to.
    has_choice: bool,
}

impl Pulse {
    pub(super) fn new(has_choice: bool) -> Self {
        Self {
            silent_since: Arc::default(),
            has_choice,
        }
    }

    /// The streams answered.
    pub(super) fn answered(&self) {
        *self.silent_since() = None;
    }

    /// An answer did not come in time. Connects anew where that has gone on for too long.
    pub(super) fn unanswered(&self, client: &Client) {
        if self.has_choice && self.is_silent() {
            tracing::warn!(
                server = client.server_info().server_name,
                "nothing was answered for {SILENCE:?}: connecting anew, in case this server is cut off from the others"
            );
            let client = client.clone();
            tokio::spawn(async move {
                // It only fails when the client is closed, and only waits where that cannot be told either.
                let _ = tokio::time::timeout(SILENCE, client.force_reconnect()).await;
            });
        }
    }

    /// Whether it has been silent for too long, told once for each time.
    fn is_silent(&self) -> bool {
        let mut silent_since = self.silent_since();
        let is_silent = silent_since.get_or_insert_with(Instant::now).elapsed() >= SILENCE;
        if is_silent {
            *silent_since = None;
        }
        is_silent
    }

    fn silent_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// About as long as a cluster takes to elect a leader.
const SILENCE: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_told_once_for_each_time() {
        let pulse = Pulse::new(true);
        tokio::time::advance(SILENCE).await;
        assert!(!pulse.is_silent(), "nothing was asked before");
        tokio::time::advance(SILENCE).await;
        assert!(pulse.is_silent());
        assert!(!pulse.is_silent(), "one connection anew at a time");
        tokio::time::advance(SILENCE / 2).await;
        pulse.answered();
        tokio::time::advance(SILENCE / 2).await;
        assert!(!pulse.is_silent());
    }
}
