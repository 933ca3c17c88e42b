//! [`Pulse`]: whether something has changed. Any number of open pages costs the inbox one look a second. [`Copies`]: pages that many
//! have open, which are made once a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use heygen_inbox::{BoxInbox, DeliveryId, InboxAdmin as _, Query};
use tokio::sync;

pub(crate) mod changes;

/// What the inbox was like when it was last looked at.
#[derive(Debug, Default)]
pub(crate) struct Pulse(sync::Mutex<Option<Look>>);

#[derive(Debug)]
struct Look {
    looked_at: Instant,
    /// `None` when it did not answer: the pages that waited meanwhile must not ask one after the other.
    text: Option<String>,
}

impl Pulse {
    /// A text that differs when something has changed; `None` when the inbox does not answer.
    async fn now(&self, inbox: &BoxInbox) -> Option<String> {
        let mut last = self.0.lock().await;
        if let Some(look) = &*last
            && look.looked_at.elapsed() < LOOK_AGAIN
        {
            return look.text.clone();
        }
        let text = Self::look(inbox).await;
        let looked_at = Instant::now();
        *last = Some(Look {
            looked_at,
            text: text.clone(),
        });
        text
    }

    async fn look(inbox: &BoxInbox) -> Option<String> {
        let newest = inbox.list(Query::default().limit(LOOKED_AT)).await.ok()?;
        let counts = inbox.counts().await.ok()?;
        // What was replayed may be acknowledged again by now, and has one attempt more.
        let attempts = newest.iter().map(|summary| u64::from(summary.attempts));
        let attempts: u64 = attempts.sum();
        let newest = newest.first();
        let newest = newest.map_or(DeliveryId::new(0, 0), |summary| summary.id);
        Some(format!(
            "{newest}.{attempts}.{}.{}.{}",
            counts.pending, counts.claimed, counts.dead_lettered
        ))
    }
}

tokio::task_local! {
    /// The text of before the page that is being made read anything.
    static SEEN: Option<String>;
}

/// What the page that is being made shows at least; its stream sends what differs from it.
pub(crate) fn seen() -> Option<String> {
    SEEN.try_with(Clone::clone).ok().flatten()
}

/// The last of each page that was fetched again, by its address. Who made it holds the lock, and others wait for it.
#[derive(Debug, Default)]
pub(crate) struct Copies(Mutex<HashMap<String, Arc<sync::Mutex<Option<MadePage>>>>>);

#[derive(Debug)]
struct MadePage {
    made_at: Instant,
    /// What it shows at least.
    seen: Option<String>,
    page: Bytes,
}

impl Copies {
    fn of(&self, address: &str) -> Arc<sync::Mutex<Option<MadePage>>> {
        let mut copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if copies.len() >= MAX_COPIES {
            copies.clear();
        }
        Arc::clone(copies.entry(address.to_owned()).or_default())
    }
}

/// As many as a list shows.
const LOOKED_AT: usize = 50;
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const MAX_COPIES: usize = 32;

#[cfg(test)]
mod tests {
    use heygen_inbox::MemoryInbox;

    use super::*;

    #[tokio::test]
    async fn inbox_that_does_not_answer_is_asked_once_a_second() {
        let (pulse, inbox) = (Pulse::default(), BoxInbox::new(MemoryInbox::new()));
        let (now, text) = (Instant::now(), None);
        let looked_at = now.checked_add(PATIENCE).unwrap();
        *pulse.0.lock().await = Some(Look { looked_at, text });
        assert_eq!(pulse.now(&inbox).await, None);
        pulse.0.lock().await.as_mut().unwrap().looked_at = now.checked_sub(LOOK_AGAIN).unwrap();
        assert!(pulse.now(&inbox).await.is_some());
    }

    /// As long as a slow machine may take for one line.
    const PATIENCE: Duration = Duration::from_secs(60);
}
