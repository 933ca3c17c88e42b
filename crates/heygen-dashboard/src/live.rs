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
    text: String,
    /// When a text that differs was first known.
    changed_at: Instant,
}

impl Pulse {
    /// A text that differs when something has changed; `None` when the inbox does not answer.
    async fn now(&self, inbox: &BoxInbox) -> Option<String> {
        let mut last = self.0.lock().await;
        if let Some(look) = &*last
            && look.looked_at.elapsed() < LOOK_AGAIN
        {
            return Some(look.text.clone());
        }
        let newest = inbox.list(Query::default().limit(LOOKED_AT)).await.ok()?;
        let counts = inbox.counts().await.ok()?;
        // What was replayed may be acknowledged again by now, and has one attempt more.
        let attempts = newest.iter().map(|summary| u64::from(summary.attempts));
        let attempts: u64 = attempts.sum();
        let newest = newest.first();
        let newest = newest.map_or(DeliveryId::new(0, 0), |summary| summary.id);
        let text = format!(
            "{newest}.{attempts}.{}.{}.{}",
            counts.pending, counts.claimed, counts.dead_lettered
        );
        let looked_at = Instant::now();
        let same = last.take().filter(|look| look.text == text);
        *last = Some(Look {
            looked_at,
            text: text.clone(),
            changed_at: same.map_or(looked_at, |look| look.changed_at),
        });
        Some(text)
    }

    /// Whether what was read from then on has every change that was sent to pages.
    async fn is_unchanged_since(&self, then: Instant) -> bool {
        let last = self.0.lock().await;
        last.as_ref().is_none_or(|look| look.changed_at < then)
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
