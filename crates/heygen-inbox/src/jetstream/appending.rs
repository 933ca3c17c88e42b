//! Taking in: published, and answered when the stream has acknowledged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use tokio::time::Instant;

use super::message::{Stored, message_id, publication};
use super::record::Record;
use super::{JetStreamInbox, Shared};
use crate::dedup::DedupKey;
use crate::dedup::rule::{Asks, Best, Candidate, Fit, Link, asks, compare};
use crate::time::to_micros;
use crate::{Appended, InboxError, InboxErrorKind, NewDelivery, Source, State};

impl JetStreamInbox {
    pub(super) async fn take_in(&self, delivery: &NewDelivery) -> Result<Appended, InboxError> {
        let shared = &self.shared;
        let _turn = Turn::take(&shared.waiting, shared.options.queue_capacity)?;
        shared.link.check_connected()?;
        self.follow();
        shared.seen.caught_up_soon().await;
        if let Some(sequence) = shared.find_and_link(delivery).await? {
            shared.count_repeat(sequence, delivery).await;
            return Ok(Appended::Duplicate(shared.link.id(sequence)));
        }
        match shared.publish(delivery, None).await? {
            Published::New(sequence) => {
                shared.appended_to.fetch_max(sequence, Ordering::Relaxed);
                self.tell_appended();
                Ok(Appended::New(shared.link.id(sequence)))
            }
            Published::Known(sequence) => {
                shared.count_repeat(sequence, delivery).await;
                Ok(Appended::Duplicate(shared.link.id(sequence)))
            }
        }
    }
}

/// What a publication came to.
pub(super) enum Published {
    New(u64),
    /// The same event is there.
    Known(u64),
}

impl Shared {
    /// Where the same event is, as far as it is remembered here. What `delivery` adds to it is stored by then.
    pub(super) async fn find_and_link(
        &self,
        delivery: &NewDelivery,
    ) -> Result<Option<u64>, InboxError> {
        let mut passed_over = Vec::new();
        loop {
            let Some((sequence, fit)) = self.find(delivery, &passed_over).await? else {
                return Ok(None);
            };
            match fit.link {
                Some(link) if !self.store(sequence, link, delivery).await? => {
                    passed_over.push(sequence);
                }
                _ => return Ok(Some(sequence)),
            }
        }
    }

    /// Where the same event is, as far as it is remembered here, but for those that are passed over.
    pub(super) async fn find(
        &self,
        delivery: &NewDelivery,
        passed_over: &[u64],
    ) -> Result<Option<(u64, Fit)>, InboxError> {
        let mut best = Best::none();
        let candidates = self.seen.candidates(delivery);
        let candidates = candidates
            .into_iter()
            .filter(|one| !passed_over.contains(one));
        // The log is read again and again, and each record has to find its own.
        let most = match delivery.source() {
            Source::Webhook | Source::Callback => MOST_CANDIDATES,
            Source::Backfill | Source::Import => usize::MAX,
        };
        for sequence in candidates.take(most) {
            let Some(stored) = self.link.event(sequence).await? else {
                continue;
            };
            let stored = self.candidate(&stored, delivery).await?;
            if stored.is_some_and(|stored| best.look_at(delivery, sequence, &stored)) {
                break;
            }
        }
        Ok(best.into_found())
    }

    async fn candidate(
        &self,
        stored: &Stored,
        new: &NewDelivery,
    ) -> Result<Option<Candidate>, InboxError> {
        let asks = asks(new.source(), stored.source);
        if asks == Asks::Nothing {
            return Ok(None);
        }
        let key = DedupKey::of(&stored.body);
        let mut candidate = Candidate::new(stored.source, stored.received_at, &key);
        if asks == Asks::Event
            && let Some(found) = self.link.record(stored.sequence).await?
        {
            found.record.add_to(&mut candidate);
        }
        Ok(Some(candidate))
    }

    /// Stores with an event what `delivery` adds. `false` where that does not fit, or somebody else was first with something else.
    async fn store(
        &self,
        sequence: u64,
        link: Link,
        delivery: &NewDelivery,
    ) -> Result<bool, InboxError> {
        let Some(stored) = self.link.event(sequence).await? else {
            return Ok(false);
        };
        let key = DedupKey::of(&stored.body);
        let longest = self.link.client.max_payload() / ROOM_FOR_ONE_POST;
        let mut is_linked = false;
        let changed = self.link.change_record(sequence, |record| {
            let mut record = record.unwrap_or_else(Record::new);
            let mut candidate = Candidate::new(stored.source, stored.received_at, &key);
            record.add_to(&mut candidate);
            let fit = compare(delivery, &candidate)?;
            // Meanwhile the very same was stored.
            is_linked = fit.link.is_none();
            let fits =
                fit.link == Some(link) && record.link(link, delivery) && record.len() <= longest;
            fits.then_some(record)
        });
        Ok(changed.await?.is_some() || is_linked)
    }

    /// Publishes an event that is not known here; the servers may know it.
    pub(super) async fn publish(
        &self,
        delivery: &NewDelivery,
        past: Option<State>,
    ) -> Result<Published, InboxError> {
        let link = &self.link;
        let subject = link.names.event(delivery.label().event_type.as_deref());
        let plain_id = message_id(delivery);
        let mut id = plain_id.clone();
        let deadline = Instant::now() + self.options.publish_time;
        let mut is_tried = false;
        let mut others = 0;
        loop {
            let message = publication(delivery, &id, past).expected_stream(link.names.events());
            let acknowledged = link.publish(subject.clone(), message).await;
            let was_tried = std::mem::replace(&mut is_tried, true);
            match acknowledged {
                Ok(PublishAck {
                    duplicate: false,
                    sequence,
                    ..
                }) => {
                    self.seen.insert_own(delivery, sequence);
                    return Ok(Published::New(sequence));
                }
                // The same message is just being replicated: it is not certain yet that it will be kept.
                Ok(PublishAck { sequence: 0, .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(UNDER_WAY).await;
                }
                Ok(PublishAck { sequence: 0, .. }) => return Err(self.under_way()),
                // What was deleted meanwhile is no duplicate, though the servers remember its id.
                Ok(PublishAck { sequence, .. }) => match link.event(sequence).await? {
                    // An earlier try of ours, of which only the answer did not come.
                    Some(kept) if was_tried && kept.is_of(delivery) => {
                        self.seen.insert_own(delivery, sequence);
                        return Ok(Published::New(sequence));
                    }
                    Some(kept) if delivery.is_duplicate_of(&kept.to_delivery()) => {
                        return Ok(Published::Known(sequence));
                    }
                    // Equal words of more than an hour ago, or of what was deleted. All receivers go from one to the next by
                    // the same ids, and so find what another has published meanwhile.
                    Some(_) | None if others < MOST_OTHERS => {
                        others += 1;
                        id = format!("{plain_id}-{sequence}");
                    }
                    Some(_) | None => {
                        id = format!("{plain_id}-at-{}", to_micros(delivery.received_at()));
                    }
                },
                Err(error) if may_pass(&error) && Instant::now() < deadline => {
                    link.check_connected()?;
                    tokio::time::sleep(UNDER_WAY).await;
                }
                Err(error) => return Err(self.refused(error)),
            }
        }
    }

    /// The event is kept in any case; that it came again is for people to see.
    async fn count_repeat(&self, sequence: u64, delivery: &NewDelivery) {
        if !delivery.source().is_received() {
            return;
        }
        let counted = self.link.change_record(sequence, |record| {
            let mut record = record.unwrap_or_else(Record::new);
            record.repeat(delivery.received_at(), delivery.headers());
            Some(record)
        });
        if let Err(error) = counted.await {
            tracing::warn!(%error, "that a delivery came again could not be recorded");
        }
    }

    fn refused(&self, error: PublishError) -> InboxError {
        let place = self.link.names.events();
        let message = match error.kind() {
            PublishErrorKind::StreamNotFound => {
                format!("no server has the stream {place}, or it has no leader")
            }
            PublishErrorKind::TimedOut => format!(
                "the stream {place} did not acknowledge within {:?}",
                self.options.publish_time
            ),
            PublishErrorKind::MaxPayloadExceeded => format!(
                "the delivery is larger than the {} bytes a message may have: raise max_payload at the servers",
                self.link.client.max_payload()
            ),
            PublishErrorKind::MaxAckPending => {
                return InboxError::new(InboxErrorKind::Busy, "too much waits for the stream")
                    .with_source(error);
            }
            _ if is_full(&error) => {
                format!(
                    "the stream {place} is full: raise its max bytes, or prune what is finished"
                )
            }
            _ => format!("the stream {place} refused a delivery"),
        };
        InboxError::new(InboxErrorKind::Storage, message).with_source(error)
    }

    fn under_way(&self) -> InboxError {
        InboxError::new(
            InboxErrorKind::Storage,
            format!(
                "the stream {} is still taking in the same event",
                self.link.names.events()
            ),
        )
    }
}

/// Whether trying again may end otherwise. A stream whose leader is just being elected answers nothing, or that there is none; what
/// it took in all the same it knows by its id.
fn may_pass(error: &PublishError) -> bool {
    matches!(
        error.kind(),
        PublishErrorKind::TimedOut
            | PublishErrorKind::BrokenPipe
            | PublishErrorKind::StreamNotFound
    ) || is_under_way(error)
}

/// Whether the servers are just taking in the same message, which newer ones say with an error of its own.
fn is_under_way(error: &PublishError) -> bool {
    told(error).is_some_and(|told| told.error_code().0 == MESSAGE_ID_UNDER_WAY)
}

/// Whether there is no room for more, by the stream's own limit or the account's.
fn is_full(error: &PublishError) -> bool {
    told(error).is_some_and(|told| {
        let is_ours = told.error_code() == ErrorCode::STREAM_STORE_FAILED
            && told.to_string().contains("maximum bytes");
        is_ours || told.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED
    })
}

/// What the servers said.
fn told(error: &PublishError) -> Option<&async_nats::jetstream::Error> {
    use std::error::Error as _;
    error.source()?.downcast_ref()
}

/// One of those that wait for their acknowledgement.
struct Turn<'a>(&'a AtomicUsize);

impl<'a> Turn<'a> {
    fn take(waiting: &'a AtomicUsize, capacity: usize) -> Result<Self, InboxError> {
        if waiting.fetch_add(1, Ordering::Relaxed) >= capacity {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(InboxError::new(
                InboxErrorKind::Busy,
                format!("{capacity} deliveries wait for the stream already"),
            ));
        }
        Ok(Self(waiting))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Beyond so many that may be the same event a POST counts as new: of equal words there is one an hour.
const MOST_CANDIDATES: usize = 64;

/// How many that the servers call a duplicate and are none are passed over: there is one an hour, and the window is a day.
const MOST_OTHERS: usize = 64;

/// A message of the records holds a POST and what is said of its attempts later, of which it takes up a quarter.
const ROOM_FOR_ONE_POST: usize = 4;

const UNDER_WAY: Duration = Duration::from_millis(50);

/// nats-server, `JSStreamDuplicateMessageConflict`: the client names no constant for it.
const MESSAGE_ID_UNDER_WAY: u64 = 10_158;
