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
pub(crate) struct Pulse(sync::Mutex<Looks>);

#[derive(Debug, Default)]
struct Looks {
    last: Option<Look>,
    /// When it last did not answer. The pages that waited meanwhile must not ask one after the other.
    failed_at: Option<Instant>,
}

#[derive(Debug)]
struct Look {
    looked_at: Instant,
    text: String,
    /// When a text that differs was first known.
    changed_at: Instant,
}

impl Looks {
    /// What was found within the last second.
    fn known(&self, now: Instant) -> Option<Option<String>> {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < LOOK_AGAIN;
        if self.failed_at.is_some_and(is_recent) {
            return Some(None);
        }
        let look = self.last.as_ref();
        let look = look.filter(|look| is_recent(look.looked_at));
        look.map(|look| Some(look.text.clone()))
    }

    fn remember(&mut self, text: Option<String>, now: Instant) {
        self.failed_at = text.is_none().then_some(now);
        if let Some(text) = text {
            let same = self.last.take().filter(|look| look.text == text);
            self.last = Some(Look {
                looked_at: now,
                text,
                changed_at: same.map_or(now, |look| look.changed_at),
            });
        }
    }
}

impl Pulse {
    /// A text that differs when something has changed; `None` when the inbox does not answer.
    async fn now(&self, inbox: &BoxInbox) -> Option<String> {
        let mut looks = self.0.lock().await;
        if let Some(known) = looks.known(Instant::now()) {
            return known;
        }
        let text = Self::look(inbox).await;
        looks.remember(text.clone(), Instant::now());
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

    /// Whether what was read from then on has every change that was sent to pages.
    async fn is_unchanged_since(&self, then: Instant) -> bool {
        let looks = self.0.lock().await;
        looks
            .last
            .as_ref()
            .is_none_or(|look| look.changed_at < then)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_that_does_not_answer_is_asked_once_a_second() {
        let (mut looks, begin) = (Looks::default(), Instant::now());
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        assert_eq!(looks.known(at(0)), None);
        looks.remember(Some("one".to_owned()), at(0));
        assert_eq!(looks.known(at(999)), Some(Some("one".to_owned())));
        assert_eq!(looks.known(at(1000)), None);
        looks.remember(None, at(1000));
        assert_eq!(looks.known(at(1999)), Some(None));
        assert_eq!(looks.known(at(2000)), None);
        looks.remember(Some("one".to_owned()), at(2000));
        assert_eq!(looks.known(at(2000)), Some(Some("one".to_owned())));
        assert_eq!(looks.last.unwrap().changed_at, at(0));
    }
}
