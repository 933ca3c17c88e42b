//! [`Follower`]: reads what other receivers append, so that duplicates of it are known here.
//!
//! It reads what is not known a second after it was stored: reading back the events of this process
//! would cost more than appending them.

use std::error::Error as _;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::fingerprint_cache::FingerprintCache;
use super::message::fingerprints;
use super::reader::Reader;
use super::streams::Streams;
use crate::error::InboxError;

/// Reads the stream of events.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    streams: Arc<Streams>,
    cache: Weak<FingerprintCache>,
    /// How many of the newest events to cache.
    events: usize,
}

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
        }
    }

    /// Reads what others append until the inbox is dropped, over reconnects.
    pub(super) async fn run(self) {
        let mut stored_before = u64::MAX;
        let mut failures = 0_u32;
        while let Some(cache) = self.cache.upgrade() {
            match self.catch_up(&cache, stored_before).await {
                Ok(last) => {
                    stored_before = last;
                    failures = 0;
                }
                Err(error) => {
                    failures += 1;
                    let cause = error.source().map(ToString::to_string);
                    // It may be a permission or a limit of consumers, which nothing else shows.
                    if failures.is_multiple_of(FAILURES_OF_A_WARNING) {
                        tracing::warn!(
                            %error,
                            cause,
                            "the stream of events cannot be read: a backfill waits, and duplicates that the servers do not recognise count as new"
                        );
                    } else {
                        tracing::debug!(%error, cause, "the stream could not be followed; trying again");
                    }
                }
            }
            drop(cache);
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Reads the newest events if one up to `stored_before` is not cached, and gives the sequence of
    /// the last event.
    pub(super) async fn catch_up(
        &self,
        cache: &FingerprintCache,
        stored_before: u64,
    ) -> Result<u64, InboxError> {
        let _turn = cache.reading.lock().await;
        let stream = &self.streams.events.stream;
        // Before the stream is asked: what is appended meanwhile may be greater than its answer.
        let newest = cache.newest_known();
        let info = self.streams.events.look_again().await?;
        let state = info.state;
        let last = state.last_sequence;
        let is_another = cache.is_another_stream(info.created.unix_timestamp_nanos());
        // Fewer than are known has the same stream if it was restored from an older backup.
        if is_another || newest > last {
            cache.forget_known();
        }
        // Those before the newest are not cached, or deleted.
        let oldest = last.saturating_sub(self.events as u64);
        cache.read_to(oldest.max(state.first_sequence.saturating_sub(1)));
        let first = cache.known_to() + 1;
        if first <= last.min(stored_before) {
            let reader = Reader {
                stream,
                filter: &self.streams.names.all_of("events"),
                is_without_bodies: true,
            };
            let reading = reader.read(first, last, last, |message| {
                cache.insert(fingerprints(&message.headers), message.sequence);
                // They come in order: those before it are cached or deleted.
                cache.read_to(message.sequence);
            });
            reading.await?;
            cache.read_to(last);
        }
        cache.set_synced();
        Ok(last)
    }
}

/// How often to look for events of others, and for how long those of this process may be stored
/// before they are cached.
const INTERVAL: Duration = Duration::from_secs(1);

/// Each takes a second or more: a server that restarts is no reason for a warning.
const FAILURES_OF_A_WARNING: u32 = 30;
