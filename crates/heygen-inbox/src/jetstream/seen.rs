//! [`Seen`]: which of the newest events were here before, beside what the servers themselves know.
//!
//! The servers know a duplicate by one id a message, for as long as their window. Two deliveries of which one has an `event_id` and
//! the other has none are the same event by their digest, and the log of events reaches further back than the window. So each
//! receiver follows the stream's headers and remembers fingerprints of the newest. A fingerprint only finds a candidate; the event
//! itself decides. Memory is bounded: two maps, of which the older is dropped when the newer is full.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull::OrderedConfig};
use futures_util::StreamExt as _;
use tokio::sync::watch;

use super::Shared;
use super::link::Link;
use super::message::fingerprints;
use crate::sameness::{Fingerprint, Sameness};

#[derive(Debug)]
pub(super) struct Seen {
    maps: Mutex<Maps>,
    /// Of how many fingerprints one map is made.
    map_len: usize,
    /// Becomes true when all that was in the stream at the start is known.
    caught_up: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Maps {
    newer: HashMap<Fingerprint, u64>,
    older: HashMap<Fingerprint, u64>,
    is_followed: bool,
}

impl Seen {
    /// Remembers the newest `events`, or up to twice as many.
    pub(super) fn new(events: usize) -> Self {
        Self {
            maps: Mutex::default(),
            map_len: events.max(1),
            caught_up: watch::Sender::new(false),
        }
    }

    pub(super) fn insert(&self, fingerprints: impl Iterator<Item = Fingerprint>, sequence: u64) {
        let mut maps = self.maps();
        if maps.newer.len() >= self.map_len {
            maps.older = std::mem::take(&mut maps.newer);
        }
        for fingerprint in fingerprints {
            let known = maps.newer.entry(fingerprint).or_insert(sequence);
            *known = sequence.max(*known);
        }
    }

    /// Where the same event may be, the newest first.
    pub(super) fn candidates(&self, sameness: &Sameness) -> Vec<u64> {
        let maps = self.maps();
        let mut found: Vec<u64> = sameness
            .look_under()
            .iter()
            .flat_map(|fingerprint| [maps.newer.get(fingerprint), maps.older.get(fingerprint)])
            .flatten()
            .copied()
            .collect();
        found.sort_unstable_by(|left, right| right.cmp(left));
        found.dedup();
        found
    }

    /// Returns once all that was in the stream when it began to be followed is known.
    pub(super) async fn caught_up(&self) {
        // The sender is ours, so waiting ends with what is waited for.
        let _ = self.caught_up.subscribe().wait_for(|is_so| *is_so).await;
    }

    /// Whether somebody has to begin to follow.
    pub(super) fn begin(&self) -> bool {
        !std::mem::replace(&mut self.maps().is_followed, true)
    }

    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the stream for as long as the inbox is there, through whatever happens to the connection.
pub(super) async fn follow(link: Link, shared: Weak<Shared>, events: usize) {
    let mut next = None;
    while shared.strong_count() > 0 {
        match read_on(&link, &shared, events, &mut next).await {
            Ok(()) => return,
            Err(error) => {
                tracing::debug!(%error, "the stream could not be followed; trying again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn read_on(
    link: &Link,
    shared: &Weak<Shared>,
    events: usize,
    next: &mut Option<u64>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let state = link.events.get_info().await?.state;
    let oldest = state.last_sequence.saturating_sub(events as u64);
    let first = next.unwrap_or(oldest.max(state.first_sequence)).max(1);
    let all = link.names.all_of("events");
    // What a consumer says of that may come from a server that is behind the stream's leader.
    let is_known = async |read_to: u64| {
        let last = state.last_sequence;
        link.is_over(&link.events, &all, read_to + 1, last).await
    };
    let tell_known = || {
        if let Some(shared) = shared.upgrade() {
            shared.seen.caught_up.send_replace(true);
        }
    };
    let mut is_caught_up = state.messages == 0 || is_known(first - 1).await?;
    if is_caught_up {
        tell_known();
    }
    let consumer = link
        .events
        .create_consumer(OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: first,
            },
            headers_only: true,
            ..OrderedConfig::default()
        })
        .await?;
    let mut messages = consumer.messages().await?;
    loop {
        // Without a message the inbox may be gone as well.
        let message = match tokio::time::timeout(LOOK_UP, messages.next()).await {
            Ok(Some(message)) => message?,
            Ok(None) => return Err("the stream's messages ended".into()),
            Err(_) if shared.strong_count() == 0 => return Ok(()),
            Err(_) => {
                // What was to come may have been deleted.
                let read_to = next.map_or(first - 1, |next| next - 1);
                if !is_caught_up && is_known(read_to).await? {
                    is_caught_up = true;
                    tell_known();
                }
                continue;
            }
        };
        let Some(shared) = shared.upgrade() else {
            return Ok(());
        };
        let info = message.info()?;
        let (sequence, pending) = (info.stream_sequence, info.pending);
        if let Some(headers) = &message.headers {
            shared.seen.insert(fingerprints(headers), sequence);
        }
        *next = Some(sequence + 1);
        let may_be_last = pending == 0 || sequence >= state.last_sequence;
        if !is_caught_up && may_be_last && is_known(sequence).await? {
            is_caught_up = true;
            tell_known();
        }
    }
}

const AGAIN: Duration = Duration::from_secs(1);
const LOOK_UP: Duration = Duration::from_secs(1);
