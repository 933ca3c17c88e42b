//! [`JetStreamInbox`]: an inbox for more than one machine, on streams of NATS JetStream.
//!
//! Any number of receivers publish to one stream, and answer when it has acknowledged; any number
//! of workers consume it. The servers replicate, elect leaders and persist; nothing here does.
//!
//! # Streams
//!
//! For the address `nats://…/HEYGEN` and the prefix `heygen`:
//!
//! | stream | subjects | holds |
//! |---|---|---|
//! | `HEYGEN` | `heygen.events.<event_type>` | one message per event, the payload its exact body |
//! | `HEYGEN_DEAD` | `heygen.dead.<event_type>` | a copy of each dead letter |
//! | `HEYGEN_RECORDS` | `heygen.records.>` | the newest record of each event's state and attempts; bookmarks, drift |
//! | `HEYGEN_AGAIN` | `heygen.again.>` | references to deliveries due for another attempt |
//!
//! Missing streams are created, existing ones never changed. Those beside the events are created
//! again if they are deleted later. Characters that a subject cannot hold
//! are percent-encoded, and a body that is not an event is under `_unreadable`.
//!
//! # Durability
//!
//! A server acknowledges before it writes to the disk, unless it has `sync_interval: always`, which
//! [`MIN_SYNC_VERSION`] and later know.
//! [`durability_warnings`](JetStreamInbox::durability_warnings) lists why an acknowledged delivery
//! may be lost, as far as a client can see.
//!
//! # How it differs from a file
//!
//! - [`DispatchOrder::PerSubject`](crate::DispatchOrder::PerSubject) is refused: many workers cannot
//!   keep the order of a subject.
//! - The deliveries of a worker that dies go to another after the ack wait, not at the next start.
//! - The servers recognise a duplicate within their duplicate window, by the digest of its body; a
//!   receiver recognises the newest events, those of others one to two seconds after they were
//!   stored. A POST and its record in HeyGen's log that two receivers get within that time may both
//!   be dispatched.
//! - Events are fetched in order. Deliveries that wait for a full destination are held by the
//!   worker, up to 1,000; beyond that they delay the others. Events are live, references backlog.
//! - Each worker notices within a second that dispatch is paused. A delivery that was dead-lettered
//!   by hand before its first attempt counts as pending until a worker fetches it.
//! - The newest 100 attempts of a delivery are kept.
//! - Drift is counted every few seconds; what a process that is killed had not written is missing.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::admin::{InboxAdmin, PruneReport, PruneStep};
use crate::claim::{Claim, ClaimRequest};
use crate::completion::Completion;
use crate::delivery::NewDelivery;
use crate::drift::DriftCount;
use crate::error::{InboxError, InboxErrorKind};
use crate::id::DeliveryId;
use crate::imported::Imported;
use crate::inbox::{Appended, Inbox};
use crate::record::{
    Counts, DeadLetterReport, DeleteReport, DeliverySummary, Query, ReplayReport, StoredDelivery,
};
use crate::stats::Stats;

mod ack_token;
mod address;
mod connection;
mod consumer;
mod control;
mod credentials;
mod dead_letters;
mod drift;
mod durability;
mod events;
mod fingerprint_cache;
mod follower;
mod in_flight;
mod liveness;
mod message;
mod next_server;
mod options;
mod publisher;
mod queries;
mod queue;
mod reader;
mod record;
mod records;
mod references;
mod setup;
mod stream;
mod streams;
mod subject;
mod task;
mod transfer;
mod wake;

pub use address::{Address, AddressError};
pub use durability::{DurabilityWarning, MIN_SYNC_VERSION, MIN_SYNC_VERSION_REPLICATED};
pub use options::{Access, JetStreamOptions, StreamOptions};

use consumer::Consumer;
use publisher::Publisher;
use queries::Queries;
use setup::{IfMissing, Setup};
use streams::Streams;
use transfer::Transfer;
use wake::Wake;

/// An inbox on streams of NATS JetStream, for any number of receivers and workers. Clones share one
/// connection.
///
/// Open it within a Tokio runtime.
///
/// # Examples
///
/// ```no_run
/// use heygen_inbox::jetstream::{JetStreamInbox, JetStreamOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let address = "nats://a:4222,b:4222,c:4222/HEYGEN".parse()?;
/// let inbox = JetStreamInbox::open(&address, JetStreamOptions::default()).await?;
/// for warning in inbox.durability_warnings() {
///     eprintln!("acknowledged deliveries may be lost: {warning}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct JetStreamInbox {
    streams: Arc<Streams>,
    wake: Arc<Wake>,
    publisher: Arc<Publisher>,
    consumer: Arc<Consumer>,
}

impl JetStreamInbox {
    /// Connects, and opens the streams, creating those that are missing.
    ///
    /// # Errors
    ///
    /// [`Access`](crate::InboxErrorKind::Access) when the servers refuse us,
    /// [`Storage`](crate::InboxErrorKind::Storage) when no server was reached in time, or a stream
    /// could be neither opened nor created; [`Subjects`](crate::InboxErrorKind::Subjects) or
    /// [`Version`](crate::InboxErrorKind::Version) when a stream or consumer of that name is
    /// something else.
    pub async fn open(address: &Address, options: JetStreamOptions) -> Result<Self, InboxError> {
        Self::open_with(address, &options, IfMissing::Create).await
    }

    /// The same for commands that only read: a missing inbox is not created.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Missing`](crate::InboxErrorKind::Missing) when a stream is
    /// missing.
    pub async fn open_existing(
        address: &Address,
        options: JetStreamOptions,
    ) -> Result<Self, InboxError> {
        Self::open_with(address, &options, IfMissing::Refuse).await
    }

    async fn open_with(
        address: &Address,
        options: &JetStreamOptions,
        if_missing: IfMissing,
    ) -> Result<Self, InboxError> {
        // A large future: boxed here, so that callers do not carry it in theirs.
        let streams = Box::pin(Setup::open(address, options, if_missing)).await?;
        let streams = Arc::new(streams);
        let wake = Arc::new(Wake::new(Arc::clone(&streams)));
        let publisher = Publisher::new(Arc::clone(&streams), Arc::clone(&wake), options);
        Ok(Self {
            consumer: Arc::new(Consumer::new(Arc::clone(&streams))),
            publisher: Arc::new(publisher),
            wake,
            streams,
        })
    }

    /// Why an acknowledged delivery may be lost all the same, as far as a client can see.
    #[must_use]
    pub fn durability_warnings(&self) -> &[DurabilityWarning] {
        &self.streams.durability_warnings
    }

    /// How existing streams and consumers differ from the options, in words. Nothing was changed.
    #[must_use]
    pub fn config_drift(&self) -> &[String] {
        &self.streams.config_drift
    }

    /// The version of the server it is connected to.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.streams.connection.client.server_info().version
    }

    /// On how many servers each message is stored.
    #[must_use]
    pub fn replicas(&self) -> usize {
        let config = &self.streams.events.stream.info().config;
        config.num_replicas.max(1)
    }

    /// After how long without a sign of life the deliveries of a worker go to another.
    #[must_use]
    pub fn ack_wait(&self) -> Duration {
        self.streams.ack_wait()
    }

    /// After an error, looks whether a stream is gone.
    fn watched<T>(&self, result: Result<T, InboxError>) -> Result<T, InboxError> {
        result.inspect_err(|error| {
            if error.kind() == InboxErrorKind::Storage {
                self.streams.restore_missing();
            }
        })
    }

    fn queries(&self) -> Queries<'_> {
        Queries {
            streams: &self.streams,
            consumer: &self.consumer,
        }
    }

    fn transfer(&self) -> Transfer<'_> {
        Transfer {
            streams: &self.streams,
            publisher: &self.publisher,
            consumer: &self.consumer,
            queries: self.queries(),
            wake: &self.wake,
        }
    }
}

impl Inbox for JetStreamInbox {
    async fn append(&self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        self.publisher.append(&delivery).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim, InboxError> {
        self.watched(self.consumer.claim(&request).await)
    }

    async fn complete(&self, completion: Completion) -> Result<(), InboxError> {
        self.watched(self.consumer.complete(&completion).await)
    }

    async fn wait_for_append(&self) {
        self.wake.wait().await;
    }

    async fn ready(&self) -> Result<(), InboxError> {
        // The stream of events has a leader, and the stream of records accepts a write.
        self.streams.events.stream.state().await?;
        self.watched(self.streams.records.check().await)
    }

    fn queue_len(&self) -> usize {
        self.publisher.waiting()
    }

    fn max_body_bytes(&self) -> Option<usize> {
        let most = self.streams.connection.client.max_payload();
        Some(most.saturating_sub(HEADER_ROOM))
    }

    /// Returns once the fingerprints of the newest events are read: HeyGen's log reaches back
    /// further than the servers' duplicate window.
    async fn wait_until_synced(&self) {
        self.publisher.wait_until_synced().await;
    }

    /// Gives back the deliveries it holds, and flushes. A server that is not reached delivers them
    /// again after the ack wait.
    async fn close(&self) -> Result<(), InboxError> {
        self.publisher.drift.write().await;
        self.consumer.release_held().await?;
        self.streams.connection.flush().await
    }
}

impl InboxAdmin for JetStreamInbox {
    async fn list(&self, query: Query) -> Result<Vec<DeliverySummary>, InboxError> {
        let mut found = Vec::new();
        self.queries()
            .list(&query, |summary| found.push(summary))
            .await?;
        Ok(found)
    }

    async fn get(&self, id: DeliveryId) -> Result<Option<StoredDelivery>, InboxError> {
        self.queries().get(id).await
    }

    async fn count(&self, mut query: Query) -> Result<u64, InboxError> {
        query.limit = None;
        let mut count = 0;
        self.queries().list(&query, |_| count += 1).await?;
        Ok(count)
    }

    async fn counts(&self) -> Result<Counts, InboxError> {
        self.queries().counts().await
    }

    async fn stats(&self, attempts_since: SystemTime) -> Result<Stats, InboxError> {
        self.queries().stats(attempts_since).await
    }

    async fn find(
        &self,
        deliveries: Vec<NewDelivery>,
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        self.publisher.find_all(&deliveries).await
    }

    async fn import(&self, deliveries: Vec<Imported>) -> Result<Vec<Appended>, InboxError> {
        self.transfer().import(&deliveries).await
    }

    async fn replay(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> Result<ReplayReport, InboxError> {
        let inbox = self.clone();
        to_the_end(async move { inbox.transfer().replay(&ids, now).await }).await
    }

    async fn dead_letter(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> Result<DeadLetterReport, InboxError> {
        let inbox = self.clone();
        to_the_end(async move { inbox.transfer().dead_letter(&ids, now).await }).await
    }

    async fn delete(&self, ids: Vec<DeliveryId>) -> Result<DeleteReport, InboxError> {
        let inbox = self.clone();
        to_the_end(async move { inbox.transfer().delete(&ids).await }).await
    }

    async fn drift(&self) -> Result<Vec<DriftCount>, InboxError> {
        self.publisher.drift.list().await
    }

    async fn prune(&self, step: PruneStep) -> Result<PruneReport, InboxError> {
        self.queries().prune(&step).await
    }

    async fn bookmark(&self, name: String) -> Result<Option<String>, InboxError> {
        self.streams.records.bookmark(&name).await
    }

    async fn set_bookmark(&self, name: String, value: Option<String>) -> Result<(), InboxError> {
        let value = value.unwrap_or_default();
        self.streams.records.set_bookmark(&name, &value).await?;
        // It may have paused dispatch.
        self.consumer.control.forget();
        Ok(())
    }
}

/// Runs in a task of its own what writes to several streams: a caller that gives up would leave a
/// record without its reference.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, InboxError>> + Send + 'static,
) -> Result<T, InboxError> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(InboxError::new(
                InboxErrorKind::Closed,
                "the process is ending",
            )),
        },
    }
}

/// For the headers of a message: the request's, and ours.
const HEADER_ROOM: usize = 64 * 1024;
