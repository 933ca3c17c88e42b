//! [`Seen`]: which of the newest events were here before, beside what the servers themselves know.
//!
//! The servers know a duplicate by one id a message, for as long as their window. A POST and its record in HeyGen's log have
//! different bodies, and so ids, and the log reaches further back than the window. So each receiver remembers fingerprints of
//! the newest. A fingerprint only finds a candidate; the event itself decides. Memory is bounded: two maps, of which the older is
//! dropped when the newer is full.
//!
//! What this process appends it knows. What others append it reads, by following the stream's headers, as long as others do: reading
//! back its own would cost more than appending it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull::OrderedConfig};
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Shared;
use super::link::Link;
use super::message::fingerprints;
use crate::NewDelivery;
use crate::dedup::index::Index;
use crate::dedup::{Fingerprint, v2};

#[derive(Debug)]
pub(super) struct Seen {
    maps: Mutex<Maps>,
    /// Of how many fingerprints one map is made.
    map_len: usize,
    /// How long to look before the stream is no longer followed.
    long_enough: Duration,
    /// Becomes true when all that was in the stream at the start is known.
    caught_up: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Maps {
    newer: Index<u64>,
    older: Index<u64>,
    followed_since: Option<Instant>,
    known: Known,
}

/// Which places of the stream are known.
#[derive(Debug, Default)]
struct Known {
    /// All up to this one, this one too.
    to: u64,
    /// And these beyond it.
    beyond: BTreeSet<u64>,
    /// How many of them this process put there.
    own: u64,
}

impl Known {
    fn add(&mut self, sequence: u64) {
        if sequence > self.to {
            self.beyond.insert(sequence);
        }
        while self.beyond.remove(&(self.to + 1)) {
            self.to += 1;
        }
    }

    /// What is not there cannot be unknown.
    fn all_to(&mut self, sequence: u64) {
        self.to = self.to.max(sequence);
        let to = self.to;
        self.beyond.retain(|beyond| *beyond > to);
        self.add(0);
    }
}

impl Seen {
    /// Remembers the newest `events`, or up to twice as many.
    pub(super) fn new(events: usize) -> Self {
        Self {
            maps: Mutex::default(),
            map_len: events.max(1).saturating_mul(FINGERPRINTS),
            long_enough: LONG_ENOUGH,
            caught_up: watch::Sender::new(false),
        }
    }

    /// What this process appended.
    pub(super) fn insert_own(&self, delivery: &NewDelivery, sequence: u64) {
        self.insert(delivery.filed_under(), sequence);
        self.maps().known.own += 1;
    }

    fn insert(&self, fingerprints: impl Iterator<Item = Fingerprint>, sequence: u64) {
        let mut maps = self.maps();
        if maps.newer.len() >= self.map_len {
            maps.older = std::mem::take(&mut maps.newer);
        }
        for fingerprint in fingerprints {
            maps.newer.insert(fingerprint, sequence);
        }
        maps.known.add(sequence);
    }

    /// Where the same event may be, the newest first.
    pub(super) fn candidates(&self, delivery: &NewDelivery) -> Vec<u64> {
        let maps = self.maps();
        // Receivers of the version before this one may be publishing to the stream.
        let v2 = v2::looked_up_under(delivery.source(), delivery.dedup_key());
        let mut found: Vec<u64> = delivery
            .looked_up_under()
            .chain(v2)
            .flat_map(|fingerprint| {
                maps.newer
                    .get(fingerprint)
                    .chain(maps.older.get(fingerprint))
            })
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

    /// The same for whoever is waited for, and so may not wait long: after a start the newest are known soon, and what the version
    /// before this one published is known by nothing else.
    pub(super) async fn caught_up_soon(&self) {
        if *self.caught_up.borrow() {
            return;
        }
        let since = self.maps().followed_since;
        if let Some(since) = since {
            // Without it a duplicate may be delivered again; it is not worth an answer too late.
            let _ = tokio::time::timeout_at(since + SOON, self.caught_up()).await;
        }
    }

    /// Whether somebody has to begin to follow.
    pub(super) fn begin(&self) -> bool {
        let mut maps = self.maps();
        let is_first = maps.followed_since.is_none();
        maps.followed_since.get_or_insert_with(Instant::now);
        is_first
    }

    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the stream for as long as the inbox is there, through whatever happens to the connection, except while nobody else
/// appends to it.
pub(super) async fn follow(link: Link, shared: Weak<Shared>, events: usize) {
    let mut next = None;
    while shared.strong_count() > 0 {
        let followed = match read_on(&link, &shared, events, &mut next).await {
            Ok(()) => until_others_append(&link, &shared, &mut next).await,
            Err(error) => Err(error),
        };
        if let Err(error) = followed {
            tracing::debug!(%error, "the stream could not be followed; trying again");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Returns when there is something in the stream that did not become known within a moment: somebody else put it there.
async fn until_others_append(
    link: &Link,
    shared: &Weak<Shared>,
    next: &mut Option<u64>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut last = 0;
    loop {
        let Some(strong) = shared.upgrade() else {
            return Ok(());
        };
        let known_to = strong.seen.maps().known.to;
        drop(strong);
        if known_to < last {
            *next = Some(known_to + 1);
            return Ok(());
        }
        last = link.events.get_info().await?.state.last_sequence;
        tokio::time::sleep(LOOK_UP).await;
    }
}

/// Returns when nobody else has appended for a while, or the inbox is gone.
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
            shared.seen.maps().known.all_to(state.last_sequence);
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
    let long_enough = shared
        .upgrade()
        .map_or(LONG_ENOUGH, |shared| shared.seen.long_enough);
    let own = || {
        shared
            .upgrade()
            .map_or(0, |shared| shared.seen.maps().known.own)
    };
    let (mut since, mut read, mut own_before) = (Instant::now(), 0, own());
    loop {
        if is_caught_up && since.elapsed() > long_enough {
            let own_now = own();
            if is_alone(read, own_now - own_before) {
                return Ok(());
            }
            (since, read, own_before) = (Instant::now(), 0, own_now);
        }
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
        let headers = message.headers.clone().unwrap_or_default();
        shared.seen.insert(fingerprints(&headers), sequence);
        read += 1;
        // They come in their order, so what is not among them is not there.
        shared.seen.maps().known.all_to(sequence);
        *next = Some(sequence + 1);
        let may_be_last = pending == 0 || sequence >= state.last_sequence;
        if !is_caught_up && may_be_last && is_known(sequence).await? {
            is_caught_up = true;
            tell_known();
        }
    }
}

/// Whether of so many that were read as good as all are our own. Some are read before or after their acknowledgement comes. It may be
/// wrong about a few: what is missing then is noticed, and the stream followed again.
fn is_alone(read: u64, own: u64) -> bool {
    read.saturating_sub(own) <= (own / 2).min(MOST_UNDER_WAY)
}

const MOST_UNDER_WAY: u64 = 512;

/// So many has a POST: of its body, and of its name and data.
const FINGERPRINTS: usize = 2;

const LONG_ENOUGH: Duration = Duration::from_secs(10);

/// HeyGen waits for ten seconds, and the stream has to acknowledge too.
const SOON: Duration = Duration::from_secs(2);

const AGAIN: Duration = Duration::from_secs(1);
const LOOK_UP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use xtask_nats::{Program, Server};

    use super::*;
    use crate::jetstream::{JetStreamInbox, JetStreamOptions};
    use crate::{Inbox as _, Source};

    #[test]
    fn what_is_known_has_no_holes() {
        let mut known = Known::default();
        known.all_to(4);
        for sequence in [6, 8, 3, 6] {
            known.add(sequence);
        }
        assert_eq!(known.to, 4, "5 may be somebody else's");
        known.add(5);
        assert_eq!(known.to, 6);
        known.all_to(7);
        assert_eq!((known.to, known.beyond.len()), (8, 0));
    }

    #[test]
    fn others_are_noticed() {
        assert!(is_alone(0, 0));
        assert!(!is_alone(1, 0));
        assert!(is_alone(10_100, 10_000));
        assert!(!is_alone(20_000, 10_000));
        assert!(is_alone(9_000, 10_000));
    }

    #[tokio::test]
    async fn what_others_append_is_known_after_a_time_alone() {
        let server = Server::start(Program::Current, &xtask_nats::Options::new());
        let server = server.expect("a server");
        let address = format!("{}/HEYGEN", server.url());
        let address = address.parse().expect("an address");
        let open = async || {
            let opened = JetStreamInbox::open(&address, JetStreamOptions::default()).await;
            opened.expect("an inbox")
        };
        let (mut ours, theirs) = (open().await, open().await);
        // So that it follows no longer than it has to.
        let shared = Arc::get_mut(&mut ours.shared).expect("nobody has it yet");
        shared.seen.long_enough = Duration::ZERO;
        for number in 0..3 {
            let body = |whose: &str| {
                let data = format!(r#"{{"video_id":"{whose}{number}"}}"#);
                format!(r#"{{"event_type":"a.b","event_data":{data}}}"#)
            };
            let delivery = |whose: &str| {
                let now = std::time::SystemTime::now();
                NewDelivery::new(now, Source::Webhook, Vec::new(), body(whose).into())
            };
            ours.append(delivery("ours")).await.expect("kept");
            theirs.append(delivery("theirs")).await.expect("kept");
            let theirs = delivery("theirs");
            let deadline = Instant::now() + Duration::from_secs(60);
            while ours.shared.seen.candidates(&theirs).is_empty() {
                assert!(Instant::now() < deadline, "not known in a minute");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let seen = Seen::new(4);
        let event = |number: u64| {
            let body = format!(r#"{{"event_type":"a.b","event_data":{number}}}"#);
            let now = std::time::SystemTime::UNIX_EPOCH;
            NewDelivery::new(now, Source::Webhook, Vec::new(), body.into())
        };
        for number in 1..=100 {
            seen.insert(event(number).filed_under(), number);
        }
        assert_eq!(seen.candidates(&event(100)), [100]);
        assert_eq!(seen.candidates(&event(97)), [97]);
        assert_eq!(seen.candidates(&event(50)), [0; 0]);
        let maps = seen.maps();
        assert!(maps.newer.len() <= 8 && maps.older.len() <= 8);
    }
}
