//! [`Publisher`]: publishes deliveries, and waits for the stream's acknowledgement.

use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use tokio::sync::Semaphore;

use super::drift::DriftTally;
use super::fingerprint_cache::FingerprintCache;
use super::follower::Follower;
use super::message::{Stored, message_id, publication};
use super::options::JetStreamOptions;
use super::record::Record;
use super::stream::error_code;
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
use crate::throttle::Throttle;
use crate::time::to_micros;

/// Publishes deliveries to the stream of events, each once.
#[derive(Debug)]
pub(super) struct Publisher {
    streams: Arc<Streams>,
    wake: Arc<Wake>,
    cache: Arc<FingerprintCache>,
    pub(super) drift: Arc<DriftTally>,
    /// Permits for appends that wait for their acknowledgement.
    room: Semaphore,
    queue_capacity: usize,
    publish_timeout: Duration,
    follower: Follower,
    failures: Mutex<Failures>,
}

/// When to log why deliveries cannot be stored, once a minute, and that they are stored again. The
/// receiver only answers 503.
#[derive(Debug)]
struct Failures {
    throttle: Throttle,
    /// Whether the log still says that deliveries cannot be stored.
    is_logged: bool,
}

impl Publisher {
    pub(super) fn new(streams: Arc<Streams>, wake: Arc<Wake>, options: &JetStreamOptions) -> Self {
        let cache = Arc::new(FingerprintCache::new(options.remembered));
        let queue_capacity = options.queue_capacity.min(Semaphore::MAX_PERMITS);
        Self {
            follower: Follower::new(&streams, &cache, options.remembered),
            drift: DriftTally::new(Arc::clone(&streams)),
            streams,
            wake,
            cache,
            room: Semaphore::new(queue_capacity),
            queue_capacity,
            publish_timeout: options.publish_timeout,
            failures: Mutex::new(Failures::new()),
        }
    }

    /// How many appends wait for their acknowledgement.
    pub(super) fn waiting(&self) -> usize {
        self.queue_capacity - self.room.available_permits()
    }

    pub(super) async fn append(&self, delivery: &NewDelivery) -> Result<Appended, InboxError> {
        let appended = self.append_once(delivery).await;
        let is_logged = {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            match &appended {
                Ok(_) => failures.is_end_logged(),
                // The receiver logs that it is overloaded.
                Err(error) if error.kind() == InboxErrorKind::Busy => false,
                Err(_) => failures.is_failure_logged(Instant::now()),
            }
        };
        match &appended {
            Ok(_) if is_logged => tracing::info!("deliveries are stored again"),
            Err(error) if is_logged => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(%error, cause, "deliveries cannot be stored");
            }
            Ok(_) | Err(_) => {}
        }
        appended
    }

    async fn append_once(&self, delivery: &NewDelivery) -> Result<Appended, InboxError> {
        let _turn = self.room.try_acquire().map_err(|_| {
            let capacity = self.queue_capacity;
            let message = format!("{capacity} deliveries wait for the stream already");
            InboxError::new(InboxErrorKind::Busy, message)
        })?;
        self.streams.connection.check_connected()?;
        self.follow();
        self.cache.caught_up_soon().await;
        let appended = self.publish(delivery, None).await?;
        match appended {
            Appended::New(id) => {
                self.streams.queue.wrote(id.key());
                self.wake.notify();
            }
            Appended::Duplicate(id) => self.count_redelivery(id.key(), delivery).await,
        }
        Ok(appended)
    }

    /// Begins to cache the fingerprints of the stream.
    fn follow(&self) {
        if self.cache.begin() {
            let follower = self.follower.clone();
            keep_running("follow the stream", move || follower.clone().run());
        }
    }

    /// Returns once the fingerprints of the newest events are cached, also of those that others have
    /// just appended. Where those cannot be read, a duplicate of one would count as new.
    pub(super) async fn sync(&self) -> Result<(), InboxError> {
        self.follow();
        self.follower.catch_up(&self.cache, u64::MAX).await?;
        Ok(())
    }

    /// The same, however long the events cannot be read for.
    pub(super) async fn wait_until_synced(&self) {
        self.follow();
        self.cache.wait_until_synced().await;
        if let Err(error) = self.sync().await {
            tracing::debug!(%error, "the newest events of others could not be read");
        }
    }

    /// For each delivery the id of the same event, if it is stored.
    pub(super) async fn find_all(
        &self,
        deliveries: &[NewDelivery],
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        self.sync().await?;
        let mut found = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let one = self.find(delivery, &[]).await?;
            found.push(one.map(|(sequence, _)| self.streams.events.id(sequence)));
        }
        Ok(found)
    }

    /// The sequence of the same event, as far as its fingerprints are cached. What `delivery` adds
    /// to it is stored then.
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

    /// The sequence of the same event, as far as its fingerprints are cached, without those skipped.
    async fn find(
        &self,
        delivery: &NewDelivery,
        skipped: &[u64],
    ) -> Result<Option<(u64, Match)>, InboxError> {
        let mut best = BestMatch::new();
        let candidates = self.cache.candidates(delivery);
        let candidates = candidates.into_iter().filter(|one| !skipped.contains(one));
        // HeyGen's log is read again and again, and each record has to find its own event.
        let most = match delivery.source() {
            Source::Webhook | Source::Callback => MAX_CANDIDATES,
            Source::Backfill | Source::Import => usize::MAX,
        };
        for sequence in candidates.take(most) {
            let Some(stored) = self.streams.events.get(sequence).await? else {
                continue;
            };
            let record = match comparison(delivery.source(), stored.source) {
                Comparison::Never => continue,
                Comparison::Event => self.streams.records.of(&stored).await?.record,
                Comparison::Body => Record::new(),
            };
            if best.consider(delivery, sequence, &candidate(&stored, &record)) {
                break;
            }
        }
        Ok(best.into_match())
    }

    /// Stores with an event what `delivery` adds. `false` where that does not fit, or another process
    /// stored something else first.
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
        let changed = self.streams.records.update(sequence, |record| {
            let mut record = record.of(&stored);
            let fit = compare(delivery, &candidate(&stored, &record))?;
            // Another process has just stored the same.
            is_linked = fit.link.is_none();
            let fits =
                fit.link == Some(link) && record.link(link, delivery) && record.len() <= longest;
            fits.then_some(record)
        });
        Ok(changed.await? || is_linked)
    }

    /// Publishes an event, unless it is a duplicate. `imported` is its state in the inbox it is
    /// imported from.
    pub(super) async fn publish(
        &self,
        delivery: &NewDelivery,
        imported: Option<State>,
    ) -> Result<Appended, InboxError> {
        let (connection, events) = (&self.streams.connection, &self.streams.events);
        if let Some(sequence) = self.find_and_link(delivery).await? {
            return Ok(Appended::Duplicate(events.id(sequence)));
        }
        let subject = self.streams.names.event(delivery.event_type());
        let plain_id = message_id(delivery);
        let mut id = plain_id.clone();
        let deadline = Instant::now() + self.publish_timeout;
        let mut is_tried = false;
        let mut is_of_before = false;
        let mut other_ids = 0;
        loop {
            let message = publication(delivery, &id, imported);
            let acknowledged = events.stream.publish(subject.clone(), message).await;
            let was_tried = std::mem::replace(&mut is_tried, true);
            if !was_tried {
                is_of_before = matches!(acknowledged, Ok(PublishAck { sequence: 0, .. }));
            }
            match acknowledged {
                Ok(acknowledged) if !acknowledged.duplicate => {
                    return Ok(self.stored(delivery, acknowledged.sequence));
                }
                // The same message is just being replicated: it is not certain yet that it will be
                // stored.
                Ok(PublishAck { sequence: 0, .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(IN_FLIGHT_PAUSE).await;
                }
                // Servers before 2.11 may drop a message when a leader is elected, and call every
                // retry its duplicate for the whole duplicate window. One that this append sent may
                // still be stored: another id would store it twice.
                Ok(PublishAck { sequence: 0, .. }) if is_of_before && id == plain_id => {
                    id = format!("{plain_id}-0");
                }
                Ok(PublishAck { sequence: 0, .. }) => {
                    let name = self.streams.names.events();
                    let message = format!("the stream {name} is still storing the same event");
                    return Err(InboxError::new(InboxErrorKind::Storage, message));
                }
                // What was deleted meanwhile is no duplicate, though the servers remember its id.
                Ok(PublishAck { sequence, .. }) => match events.get(sequence).await? {
                    // Stored by an earlier try whose acknowledgement did not arrive.
                    Some(stored) if was_tried && stored.is_of(delivery) => {
                        return Ok(self.stored(delivery, sequence));
                    }
                    Some(stored) if delivery.is_duplicate_of(&stored.to_delivery()) => {
                        return Ok(Appended::Duplicate(events.id(sequence)));
                    }
                    // An equal body of more than an hour ago, or one that was deleted. All
                    // receivers try the same ids in the same order, and so find what another has
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

    fn stored(&self, delivery: &NewDelivery, sequence: u64) -> Appended {
        self.cache.insert(delivery.index_fingerprints(), sequence);
        let id = self.streams.events.id(sequence);
        self.drift.count(delivery, id);
        Appended::New(id)
    }

    /// Best effort: the event is stored in any case, and HeyGen waits for the answer.
    async fn count_redelivery(&self, sequence: u64, delivery: &NewDelivery) {
        if !delivery.source().is_received() {
            return;
        }
        let connection = &self.streams.connection;
        let counting = Box::pin(self.try_count_redelivery(sequence, delivery));
        let counted = tokio::time::timeout(connection.answer_timeout, counting).await;
        let counted = counted.map_err(|error| connection.cannot("write to", error));
        if let Err(error) = counted.flatten() {
            tracing::warn!(%error, "a duplicate was recognised, and could not be counted");
        }
    }

    async fn try_count_redelivery(
        &self,
        sequence: u64,
        delivery: &NewDelivery,
    ) -> Result<(), InboxError> {
        let Some(stored) = self.streams.events.get(sequence).await? else {
            return Ok(());
        };
        let counted = self.streams.records.update(sequence, |record| {
            let mut record = record.of(&stored);
            record.count_redelivery(delivery.received_at(), delivery.headers());
            Some(record)
        });
        counted.await?;
        Ok(())
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
                return InboxError::new(
                    InboxErrorKind::Busy,
                    "too many deliveries wait for the stream",
                )
                .with_source(error);
            }
            _ if is_full(&error) => format!(
                "the stream {name} is full, or the storage of its account or servers: raise the limit, or prune"
            ),
            _ => format!("the stream {name} refused a delivery"),
        };
        InboxError::new(InboxErrorKind::Storage, message).with_source(error)
    }
}

impl Failures {
    fn new() -> Self {
        Self {
            throttle: Throttle::new(LOG_INTERVAL),
            is_logged: false,
        }
    }

    fn is_failure_logged(&mut self, now: Instant) -> bool {
        let passes = self.throttle.passes(now);
        self.is_logged |= passes;
        passes
    }

    /// The next failure still waits for its minute: where only some fail, each would be logged.
    fn is_end_logged(&mut self) -> bool {
        std::mem::take(&mut self.is_logged)
    }
}

/// An event and its record, as deduplication compares them.
fn candidate(stored: &Stored, record: &Record) -> Candidate {
    let key = DedupKey::of(&stored.body);
    let mut candidate = Candidate::new(stored.source, stored.received_at, &key);
    record.add_to(&mut candidate);
    candidate
}

/// Whether a retry may succeed. A stream whose leader is just being elected does not answer, or
/// answers that it does not exist; what it stored all the same it recognises by its id.
fn is_transient(error: &PublishError) -> bool {
    let is_in_flight = error_code(error) == Some(ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT);
    is_in_flight
        || matches!(
            error.kind(),
            PublishErrorKind::TimedOut
                | PublishErrorKind::BrokenPipe
                | PublishErrorKind::StreamNotFound
        )
}

/// Whether a limit on what may be stored is reached: the stream's, the account's or the servers'.
fn is_full(error: &PublishError) -> bool {
    match error_code(error) {
        Some(
            ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ) => true,
        // The servers have one code for all that a store can fail with.
        Some(ErrorCode::STREAM_STORE_FAILED) => {
            use std::error::Error as _;
            let cause = error.source().map(ToString::to_string);
            cause.is_some_and(|cause| cause.contains("maximum"))
        }
        _ => false,
    }
}

/// After so many candidates a POST counts as new: of equal bodies without a job id one is stored per
/// hour.
const MAX_CANDIDATES: usize = 64;

/// How many other ids to try for an equal body that is no duplicate: one is stored per hour, and the
/// window is a day.
const MAX_OTHER_IDS: usize = 64;

/// A record may use a quarter of a message for a POST: its attempts follow.
const ROOM_FOR_ONE_POST: usize = 4;

const IN_FLIGHT_PAUSE: Duration = Duration::from_millis(50);

const LOG_INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use xtask_nats::{Program, Server};

    use super::*;

    #[test]
    fn failures_that_alternate_with_successes_are_logged_once_a_minute() {
        let (mut failures, begin) = (Failures::new(), Instant::now());
        let mut logged = Vec::new();
        for second in 0..=120 {
            let is_logged = failures.is_failure_logged(begin + Duration::from_secs(second));
            assert_eq!(
                failures.is_end_logged(),
                is_logged,
                "no end without a beginning"
            );
            logged.extend(is_logged.then_some(second));
        }
        assert_eq!(logged, [0, 60, 120]);
    }

    async fn open(server: &Server) -> Publisher {
        let streams = Arc::new(Streams::at(server).await);
        let wake = Arc::new(Wake::new(Arc::clone(&streams)));
        Publisher::new(streams, wake, &JetStreamOptions::default())
    }

    fn delivery(name: &str) -> NewDelivery {
        let body = format!(r#"{{"event_type":"a.b","event_data":{{"video_id":"{name}"}}}}"#);
        let now = std::time::SystemTime::now();
        NewDelivery::new(now, Source::Webhook, Vec::new(), body.into())
    }

    #[tokio::test]
    async fn events_of_others_are_followed() {
        let server = Server::start(Program::Current, &xtask_nats::Options::new());
        let server = server.expect("a server");
        let (ours, theirs) = (open(&server).await, open(&server).await);
        for number in 0..3 {
            let other = delivery(&format!("theirs{number}"));
            let own = delivery(&format!("ours{number}"));
            ours.append(&own).await.expect("stored");
            theirs.append(&other).await.expect("stored");
            let deadline = Instant::now() + Duration::from_secs(60);
            while ours.cache.candidates(&other).is_empty() {
                assert!(Instant::now() < deadline, "not known in a minute");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    #[tokio::test]
    async fn events_are_followed_after_the_stream_began_again() {
        let server = Server::start(Program::Current, &xtask_nats::Options::new());
        let server = server.expect("a server");
        let ours = open(&server).await;
        let streams = &ours.streams;
        ours.append(&delivery("before")).await.expect("stored");
        ours.sync().await.expect("synced");

        let mut config = streams.events.stream.info().config.clone();
        let context = &streams.connection.context;
        let deleted = context.delete_stream(&config.name).await;
        deleted.expect("deleted");
        config.first_sequence = None;
        context.create_stream(config).await.expect("created");
        let theirs = delivery("theirs");
        let message = publication(&theirs, &message_id(&theirs), None);
        let subject = streams.names.event(theirs.event_type());
        let published = streams.events.stream.publish(subject, message).await;
        assert_eq!(published.expect("stored").sequence, 1);
        ours.sync().await.expect("synced");
        assert_eq!(ours.cache.candidates(&theirs), [1]);
    }
}
