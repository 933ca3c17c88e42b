//! [`Follower`]: reads what other receivers append, so that duplicates of it are known here.
//!
//! It follows the stream's headers as long as others append: reading back the events of this process
//! would cost more than appending them.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull::OrderedConfig};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::fingerprint_cache::FingerprintCache;
use super::message::fingerprints;
use super::streams::Streams;

/// Follows the stream of events.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    streams: Arc<Streams>,
    cache: Weak<FingerprintCache>,
    /// How many of the newest events to cache.
    events: usize,
    /// How long to follow the stream before it is decided whether others append.
    pub(super) follow_time: Duration,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

impl Follower {
    pub(super) fn new(
        streams: &Arc<Streams>,
        cache: &Arc<FingerprintCache>,
        events: usize,
    ) -> Self {
        Self {
            streams: Arc::clone(streams),
            cache: Arc::downgrade(cache),
            events,
            follow_time: FOLLOW_TIME,
        }
    }

    /// Follows the stream until the inbox is dropped, over reconnects, except while no one else
    /// appends.
    pub(super) async fn run(self) {
        let mut next = None;
        while self.cache.strong_count() > 0 {
            let followed = match self.read_available(&mut next).await {
                Ok(()) => self.until_others_append(&mut next).await,
                Err(error) => Err(error),
            };
            if let Err(error) = followed {
                tracing::debug!(%error, "the stream could not be followed; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    /// Returns when an event is not cached a second after it was stored: another process appended it.
    async fn until_others_append(&self, next: &mut Option<u64>) -> Result<(), Error> {
        let mut last = 0;
        while let Some(known_to) = self.cache.upgrade().map(|cache| cache.known_to()) {
            if known_to < last {
                *next = Some(known_to + 1);
                break;
            }
            last = self.streams.events.stream.state().await?.last_sequence;
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
        Ok(())
    }

    /// Returns when no one else has appended for a while, or the inbox was dropped.
    async fn read_available(&self, next: &mut Option<u64>) -> Result<(), Error> {
        let events = &self.streams.events.stream;
        let state = events.state().await?;
        let oldest = state.last_sequence.saturating_sub(self.events as u64);
        let first = next.unwrap_or(oldest.max(state.first_sequence)).max(1);
        let all = self.streams.names.all_of("events");
        // A consumer's answer may come from a server that is behind the stream's leader.
        let is_known = async |read_to: u64| {
            let last = state.last_sequence;
            events.is_empty_between(&all, read_to + 1, last).await
        };
        let set_synced = || {
            if let Some(cache) = self.cache.upgrade() {
                cache.caught_up_to(state.last_sequence);
            }
        };
        let mut is_caught_up = state.messages == 0 || is_known(first - 1).await?;
        if is_caught_up {
            set_synced();
        }
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: first,
            },
            headers_only: true,
            ..OrderedConfig::default()
        };
        let consumer = events.inner.create_consumer(config).await?;
        let mut messages = consumer.messages().await?;
        let own = || self.cache.upgrade().map_or(0, |cache| cache.own());
        let (mut since, mut read, mut own_before) = (Instant::now(), 0, own());
        loop {
            if is_caught_up && since.elapsed() > self.follow_time {
                let own_now = own();
                if is_alone(read, own_now - own_before) {
                    return Ok(());
                }
                (since, read, own_before) = (Instant::now(), 0, own_now);
            }
            // The inbox may be dropped while no message comes.
            let message = match tokio::time::timeout(CHECK_INTERVAL, messages.next()).await {
                Ok(Some(message)) => message?,
                Ok(None) => return Err("the stream's messages ended".into()),
                Err(_) if self.cache.strong_count() == 0 => return Ok(()),
                Err(_) => {
                    // The last events may have been deleted.
                    let read_to = next.map_or(first - 1, |next| next - 1);
                    if !is_caught_up && is_known(read_to).await? {
                        is_caught_up = true;
                        set_synced();
                    }
                    continue;
                }
            };
            let Some(cache) = self.cache.upgrade() else {
                return Ok(());
            };
            let info = message.info()?;
            let (sequence, pending) = (info.stream_sequence, info.pending);
            let headers = message.headers.clone().unwrap_or_default();
            cache.insert(fingerprints(&headers), sequence);
            read += 1;
            // They come in order: those before it are cached or deleted.
            cache.read_to(sequence);
            *next = Some(sequence + 1);
            let may_be_last = pending == 0 || sequence >= state.last_sequence;
            if !is_caught_up && may_be_last && is_known(sequence).await? {
                is_caught_up = true;
                set_synced();
            }
        }
    }
}

/// Whether nearly all of those that were read are our own. Some are read before or after their
/// acknowledgement. It may be wrong about a few: the missing ones are noticed, and the stream is
/// followed again.
fn is_alone(read: u64, own: u64) -> bool {
    read.saturating_sub(own) <= (own / 2).min(MOST_UNDER_WAY)
}

const MOST_UNDER_WAY: u64 = 512;

const FOLLOW_TIME: Duration = Duration::from_secs(10);

const RETRY_PAUSE: Duration = Duration::from_secs(1);
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_noticed() {
        assert!(is_alone(0, 0));
        assert!(!is_alone(1, 0));
        assert!(is_alone(10_100, 10_000));
        assert!(!is_alone(20_000, 10_000));
        assert!(is_alone(9_000, 10_000));
    }
}
