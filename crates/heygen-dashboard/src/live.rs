//! [`Pulse`]: whether something has changed. Any number of open pages costs the inbox one look a second.

use std::time::{Duration, Instant};

use heygen_inbox::{BoxInbox, DeliveryId, InboxAdmin as _, Query};
use tokio::sync::Mutex;

pub(crate) mod changes;

/// What the inbox was like when it was last looked at.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<Option<(Instant, String)>>);

impl Pulse {
    /// A text that differs when something has changed; `None` when the inbox does not answer.
    async fn now(&self, inbox: &BoxInbox) -> Option<String> {
        let mut last = self.0.lock().await;
        if let Some((at, text)) = &*last
            && at.elapsed() < LOOK_AGAIN
        {
            return Some(text.clone());
        }
        let newest = inbox.list(Query::default().limit(LOOKED_AT)).await.ok()?;
        let counts = inbox.counts().await.ok()?;
        // What was replayed may be acknowledged again by now, and has one attempt more.
        let attempts: u64 = newest
            .iter()
            .map(|summary| u64::from(summary.attempts))
            .sum();
        let newest = newest.first();
        let newest = newest.map_or(DeliveryId::new(0, 0), |summary| summary.id);
        let text = format!(
            "{newest}.{attempts}.{}.{}.{}",
            counts.pending, counts.claimed, counts.dead_lettered
        );
        *last = Some((Instant::now(), text.clone()));
        Some(text)
    }
}

/// As many as a list shows.
const LOOKED_AT: usize = 50;
const LOOK_AGAIN: Duration = Duration::from_secs(1);
