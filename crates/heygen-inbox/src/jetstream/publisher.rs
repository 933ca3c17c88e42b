//! [`Publisher`]: publishes deliveries, and answers when the stream has acknowledged.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::fingerprint_cache::FingerprintCache;
use super::follower::Follower;
use super::message::{Stored, message_id, publication};
use super::options::JetStreamOptions;
use super::record::Record;
use super::streams::Streams;
use super::task::keep_running;
use super::wake::Wake;
use crate::dedup::DedupKey;
use crate::dedup::rule::{BestMatch, Candidate, Comparison, Link, Match, compare, comparison};
use crate::delivery::NewDelivery;
use crate::error::{InboxError, InboxErrorKind};
use crate::id::DeliveryId;
use crate::inbox::Appended;
use crate::record::State;
use crate::source::Source;
use crate::time::to_micros;

/// Publishes deliveries to the stream of events, each once.
#[derive(Debug)]
pub(super) struct Publisher {
    streams: Arc<Streams>,
    wake: Arc<Wake>,
    cache: Arc<FingerprintCache>,
    /// Room for those that wait for their acknowledgement.
    room: Semaphore,
    queue_capacity: usize,
    publish_timeout: Duration,
    follower: Follower,
}

/// What a publication came to.
pub(super) enum Published {
    New(u64),
    /// The same event is there.
    Duplicate(u64),
}

impl Publisher {
    pub(super) fn new(streams: Arc<Streams>, wake: Arc<Wake>, options: &JetStreamOptions) -> Self {
        let cache = Arc::new(FingerprintCache::new(options.remembered));
        let queue_capacity = options.queue_capacity.min(Semaphore::MAX_PERMITS);
        Self {
            follower: Follower::new(&streams, &cache, options.remembered),
            streams,
            wake,
            cache,
            room: Semaphore::new(queue_capacity),
            queue_capacity,
            publish_timeout: options.publish_timeout,
        }
    }

    /// How many wait for their acknowledgement.
    pub(super) fn waiting(&self) -> usize {
        self.queue_capacity - self.room.available_permits()
    }

    pub(super) async fn append(&self, delivery: &NewDelivery) -> Result<Appended, InboxError> {
        let _turn = self.room.try_acquire().map_err(|_| {
            let capacity = self.queue_capacity;
            let message = format!("{capacity} deliveries wait for the stream already");
            InboxError::new(InboxErrorKind::Busy, message)
        })?;
        self.streams.connection.check_connected()?;
        let events = &self.streams.events;
        self.follow();
        self.cache.caught_up_soon().await;
        match self.publish(delivery, None).await? {
            Published::New(sequence) => {
                self.streams.queue.wrote(sequence);
                self.wake.notify();
                Ok(Appended::New(events.id(sequence)))
            }
            Published::Duplicate(sequence) => {
                self.count_redelivery(sequence, delivery).await;
                Ok(Appended::Duplicate(events.id(sequence)))
            }
        }
    }

    /// Begins to remember what is in the stream.
    fn follow(&self) {
        if self.cache.begin() {
            let follower = self.follower.clone();
            keep_running("follow the stream", move || follower.clone().run());
        }
    }

    /// Returns once as much as it remembers of what is in the stream is known.
    pub(super) async fn wait_until_synced(&self) {
        self.follow();
        self.cache.wait_until_synced().await;
    }

    /// Under which id the same event is here already, for each.
    pub(super) async fn find_all(
        &self,
        deliveries: &[NewDelivery],
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        self.wait_until_synced().await;
        let mut found = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let one = self.find(delivery, &[]).await?;
            found.push(one.map(|(sequence, _)| self.streams.events.id(sequence)));
        }
        Ok(found)
    }

    /// Where the same event is, as far as it is remembered here. What `delivery` adds to it is
    /// stored by then.
    async fn find_and_link(&self, delivery: &NewDelivery) -> Result<Option<u64>, InboxError> {
        let mut skipped = Vec::new();
        loop {
            let Some((sequence, fit)) = self.find(delivery, &skipped).await? else {
                return Ok(None);
            };
            match fit.link {
                Some(link) if !self.store(sequence, link, delivery).await? => {
                    skipped.push(sequence);
                }
                _ => return Ok(Some(sequence)),
            }
        }
    }

    /// Where the same event is, as far as it is remembered here, but for those that are passed
    /// over.
    async fn find(
        &self,
        delivery: &NewDelivery,
        skipped: &[u64],
    ) -> Result<Option<(u64, Match)>, InboxError> {
        let mut best = BestMatch::new();
        let candidates = self.cache.candidates(delivery);
        let candidates = candidates.into_iter().filter(|one| !skipped.contains(one));
        // The log is read again and again, and each record has to find its own.
        let most = match delivery.source() {
            Source::Webhook | Source::Callback => MAX_CANDIDATES,
            Source::Backfill | Source::Import => usize::MAX,
        };
        for sequence in candidates.take(most) {
            let Some(stored) = self.streams.events.get(sequence).await? else {
                continue;
            };
            let found = match comparison(delivery.source(), stored.source) {
                Comparison::Never => continue,
                Comparison::Event => self.streams.records.get(sequence).await?,
                Comparison::Body => None,
            };
            let record = found.map(|found| found.record);
            if best.consider(delivery, sequence, &candidate(&stored, record.as_ref())) {
                break;
            }
        }
        Ok(best.into_match())
    }

    /// Stores with an event what `delivery` adds. `false` where that does not fit, or someone else
    /// was first with something else.
    async fn store(
        &self,
        sequence: u64,
        link: Link,
        delivery: &NewDelivery,
    ) -> Result<bool, InboxError> {
        let Some(stored) = self.streams.events.get(sequence).await? else {
            return Ok(false);
        };
        let longest = self.streams.connection.client.max_payload() / ROOM_FOR_ONE_POST;
        let mut is_linked = false;
        let changed = self.streams.records.update(sequence, |mut record| {
            let fit = compare(delivery, &candidate(&stored, Some(&record)))?;
            // Meanwhile the very same was stored.
            is_linked = fit.link.is_none();
            let fits =
                fit.link == Some(link) && record.link(link, delivery) && record.len() <= longest;
            fits.then_some(record)
        });
        Ok(changed.await? || is_linked)
    }

    /// Publishes an event, unless it is known here or to the servers. `past` says how far it had
    /// come elsewhere, where it is imported.
    pub(super) async fn publish(
        &self,
        delivery: &NewDelivery,
        past: Option<State>,
    ) -> Result<Published, InboxError> {
        if let Some(sequence) = self.find_and_link(delivery).await? {
            return Ok(Published::Duplicate(sequence));
        }
        let (connection, events) = (&self.streams.connection, &self.streams.events);
        let event_type = delivery.label().event_type.as_deref();
        let subject = self.streams.names.event(event_type);
        let plain_id = message_id(delivery);
        let mut id = plain_id.clone();
        let deadline = Instant::now() + self.publish_timeout;
        let mut is_tried = false;
        let mut other_ids = 0;
        loop {
            let message = publication(delivery, &id, past);
            let acknowledged = events.stream.publish(subject.clone(), message).await;
            let was_tried = std::mem::replace(&mut is_tried, true);
            match acknowledged {
                Ok(acknowledged) if !acknowledged.duplicate => {
                    self.cache.insert_own(delivery, acknowledged.sequence);
                    return Ok(Published::New(acknowledged.sequence));
                }
                // The same message is just being replicated: it is not certain yet that it will be
                // kept.
                Ok(PublishAck { sequence: 0, .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(IN_FLIGHT_PAUSE).await;
                }
                Ok(PublishAck { sequence: 0, .. }) => {
                    let name = self.streams.names.events();
                    let message = format!("the stream {name} is still taking in the same event");
                    return Err(InboxError::new(InboxErrorKind::Storage, message));
                }
                // What was deleted meanwhile is no duplicate, though the servers remember its id.
                Ok(PublishAck { sequence, .. }) => match events.get(sequence).await? {
                    // An earlier try of ours, of which only the answer did not come.
                    Some(stored) if was_tried && stored.is_of(delivery) => {
                        self.cache.insert_own(delivery, sequence);
                        return Ok(Published::New(sequence));
                    }
                    Some(stored) if delivery.is_duplicate_of(&stored.to_delivery()) => {
                        return Ok(Published::Duplicate(sequence));
                    }
                    // Equal words of more than an hour ago, or of what was deleted. All receivers
                    // go from one to the next by the same ids, and so find what another has
                    // published meanwhile.
                    Some(_) | None if other_ids < MAX_OTHER_IDS => {
                        other_ids += 1;
                        id = format!("{plain_id}-{sequence}");
                    }
                    Some(_) | None => {
                        id = format!("{plain_id}-at-{}", to_micros(delivery.received_at()));
                    }
                },
                Err(error) if is_transient(&error) && Instant::now() < deadline => {
                    connection.check_connected()?;
                    tokio::time::sleep(IN_FLIGHT_PAUSE).await;
                }
                Err(error) => return Err(self.publish_error(error)),
            }
        }
    }

    /// The event is kept in any case; that it came again is for people to see.
    async fn count_redelivery(&self, sequence: u64, delivery: &NewDelivery) {
        if !delivery.source().is_received() {
            return;
        }
        let counted = self.streams.records.update(sequence, |mut record| {
            record.count_redelivery(delivery.received_at(), delivery.headers());
            Some(record)
        });
        if let Err(error) = counted.await {
            tracing::warn!(%error, "that a delivery came again could not be recorded");
        }
    }

    fn publish_error(&self, error: PublishError) -> InboxError {
        let name = self.streams.names.events();
        let message = match error.kind() {
            PublishErrorKind::StreamNotFound => {
                format!("no server has the stream {name}, or it has no leader")
            }
            PublishErrorKind::TimedOut => format!(
                "the stream {name} did not acknowledge within {:?}",
                self.publish_timeout
            ),
            PublishErrorKind::MaxPayloadExceeded => format!(
                "the delivery is larger than the {} bytes a message may have: raise max_payload at the servers",
                self.streams.connection.client.max_payload()
            ),
            PublishErrorKind::MaxAckPending => {
                return InboxError::new(InboxErrorKind::Busy, "too much waits for the stream")
                    .with_source(error);
            }
            _ if is_full(&error) => {
                format!("the stream {name} is full: raise its max bytes, or prune what is finished")
            }
            _ => format!("the stream {name} refused a delivery"),
        };
        InboxError::new(InboxErrorKind::Storage, message).with_source(error)
    }
}

/// What an event and its record are compared by.
fn candidate(stored: &Stored, record: Option<&Record>) -> Candidate {
    let key = DedupKey::of(&stored.body);
    let mut candidate = Candidate::new(stored.source, stored.received_at, &key);
    if let Some(record) = record {
        record.add_to(&mut candidate);
    }
    candidate
}

/// Whether trying again may end otherwise. A stream whose leader is just being elected answers
/// nothing, or that there is none; what it took in all the same it knows by its id.
fn is_transient(error: &PublishError) -> bool {
    matches!(
        error.kind(),
        PublishErrorKind::TimedOut
            | PublishErrorKind::BrokenPipe
            | PublishErrorKind::StreamNotFound
    ) || is_in_flight(error)
}

/// Whether the servers are just taking in the same message, which newer ones say with an error of
/// its own.
fn is_in_flight(error: &PublishError) -> bool {
    server_error(error).is_some_and(|error| error.error_code().0 == MESSAGE_ID_UNDER_WAY)
}

/// Whether there is no room for more, by the stream's own limit or the account's.
fn is_full(error: &PublishError) -> bool {
    server_error(error).is_some_and(|error| {
        let is_ours = error.error_code() == ErrorCode::STREAM_STORE_FAILED
            && error.to_string().contains("maximum bytes");
        is_ours || error.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED
    })
}

/// What the servers said.
fn server_error(error: &PublishError) -> Option<&async_nats::jetstream::Error> {
    use std::error::Error as _;
    error.source()?.downcast_ref()
}

/// Beyond so many that may be the same event a POST counts as new: of equal words there is one an
/// hour.
const MAX_CANDIDATES: usize = 64;

/// How many that the servers call a duplicate and are none are passed over: there is one an hour,
/// and the window is a day.
const MAX_OTHER_IDS: usize = 64;

/// A message of the records holds a POST and what is said of its attempts later, of which it takes
/// up a quarter.
const ROOM_FOR_ONE_POST: usize = 4;

const IN_FLIGHT_PAUSE: Duration = Duration::from_millis(50);

/// nats-server, `JSStreamDuplicateMessageConflict`: the client names no constant for it.
const MESSAGE_ID_UNDER_WAY: u64 = 10_158;

#[cfg(test)]
mod tests {
    use xtask_nats::{Program, Server};

    use super::*;
    use crate::jetstream::setup::{IfMissing, Setup};

    #[tokio::test]
    async fn what_others_append_is_known_after_a_time_alone() {
        let server = Server::start(Program::Current, &xtask_nats::Options::new());
        let server = server.expect("a server");
        let address = format!("{}/HEYGEN", server.url());
        let address = address.parse().expect("an address");
        let options = JetStreamOptions::default();
        let open = async || {
            let opened = Box::pin(Setup::open(&address, &options, IfMissing::Create)).await;
            let streams = Arc::new(opened.expect("an inbox"));
            let wake = Arc::new(Wake::new(Arc::clone(&streams)));
            Publisher::new(streams, wake, &options)
        };
        let (mut ours, theirs) = (open().await, open().await);
        // So that it follows no longer than it has to.
        ours.follower.follow_time = Duration::ZERO;
        for number in 0..3 {
            let body = |whose: &str| {
                let data = format!(r#"{{"video_id":"{whose}{number}"}}"#);
                format!(r#"{{"event_type":"a.b","event_data":{data}}}"#)
            };
            let delivery = |whose: &str| {
                let now = std::time::SystemTime::now();
                NewDelivery::new(now, Source::Webhook, Vec::new(), body(whose).into())
            };
            ours.append(&delivery("ours")).await.expect("stored");
            theirs.append(&delivery("theirs")).await.expect("stored");
            let theirs = delivery("theirs");
            let deadline = Instant::now() + Duration::from_secs(60);
            while ours.cache.candidates(&theirs).is_empty() {
                assert!(Instant::now() < deadline, "not known in a minute");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}
