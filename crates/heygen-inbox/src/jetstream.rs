//! [`JetStreamInbox`]: an inbox for more than one machine, on streams of NATS JetStream.
//!
//! Any number of receivers publish to one stream, and answer when it has acknowledged; any number of workers are handed what is in
//! it. Replication, election and persistence are the servers': nothing of that is done here.
//!
//! # Streams
//!
//! For the address `nats://…/HEYGEN` and the prefix `heygen`:
//!
//! | stream | subjects | holds |
//! |---|---|---|
//! | `HEYGEN` | `heygen.events.<event_type>` | one message an event, the payload its exact body |
//! | `HEYGEN_DEAD` | `heygen.dead.<event_type>` | a copy of each event that was given up |
//! | `HEYGEN_RECORDS` | `heygen.records.>` | what became of each event; the newest word a subject |
//! | `HEYGEN_AGAIN` | `heygen.again.>` | references to what is to be handed out again |
//!
//! They are made where they are missing, and never changed where they are there. What subjects cannot hold is written `%20`, and
//! what could not be read as an event stands under `_unreadable`.
//!
//! # What is kept
//!
//! A server acknowledges before its disk has it, unless its configuration says `sync_interval: always`, which
//! [`MIN_SYNC_VERSION`] and later know. [`doubts`](JetStreamInbox::doubts) tells what can be seen to stand against the promise.
//!
//! # How it differs from a file
//!
//! - [`Order::Subject`] is refused: many workers keep no order among what is about the same.
//! - A worker that ends in the middle has its deliveries handed to another after the ack wait, not at the next start.
//! - A duplicate is known by the servers for their duplicate window, by the digest of its body; by a receiver for as long as it
//!   remembers. A POST and its record in HeyGen's log that two receivers get in the same moment are delivered twice.
//! - Events are fetched in their order. What waits for a destination without room is held here, up to 1,000 deliveries; beyond,
//!   it holds up the others. Live are all events, backlog is what comes by a reference.
//! - Of each delivery the newest 100 attempts are kept.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use async_nats::jetstream::message::PublishMessage;
use futures_util::StreamExt as _;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::{
    Appended, Claim, ClaimRequest, Completion, Counts, DeliveryId, Imported, Inbox, InboxAdmin,
    InboxError, Kept, NewDelivery, Prune, Pruned, Query, Replayed, Stats, Summary,
};

mod address;
mod appending;
mod carrying;
mod connection;
mod ending;
mod hand;
mod handing;
mod link;
mod looking;
mod message;
mod next_server;
mod opening;
mod options;
mod promise;
mod pruning;
mod pulse;
mod reading;
mod record;
mod seen;
mod subject;

pub use address::{Address, AddressError};
pub use options::{Access, JetStreamOptions, StreamOptions};
pub use promise::{Doubt, MIN_SYNC_VERSION, MIN_SYNC_VERSION_REPLICATED};

use hand::Hand;
use link::Link;
use opening::Missing;
use seen::Seen;

/// An inbox on streams of NATS JetStream, for any number of receivers and workers. Clones share one connection.
///
/// It has to be opened within a Tokio runtime.
///
/// # Examples
///
/// ```no_run
/// use heygen_inbox::jetstream::{JetStreamInbox, JetStreamOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let address = "nats://a:4222,b:4222,c:4222/HEYGEN".parse()?;
/// let inbox = JetStreamInbox::open(&address, JetStreamOptions::default()).await?;
/// for doubt in inbox.doubts() {
///     eprintln!("what was acknowledged may be lost: {doubt}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct JetStreamInbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    link: Link,
    options: JetStreamOptions,
    seen: Seen,
    hand: Mutex<Hand>,
    /// One claim at a time.
    claiming: tokio::sync::Mutex<()>,
    is_extending: AtomicBool,
    is_listening: AtomicBool,
    may_be_references: AtomicBool,
    looked_at: Mutex<Instant>,
    appended: Notify,
    is_waking: AtomicBool,
    waiting: AtomicUsize,
    /// Up to where this process wrote events, and references, that no consumer was seen to give out yet; 0 when there are none.
    appended_to: AtomicU64,
    referred_to: AtomicU64,
}

impl JetStreamInbox {
    /// Connects, and opens the streams, making those that are missing.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when no server was reached in time, it turned us away, or a stream could be
    /// neither opened nor made; [`Version`](crate::InboxErrorKind::Version) when a stream of that name is something else.
    pub async fn open(address: &Address, options: JetStreamOptions) -> Result<Self, InboxError> {
        // Much is on its way at once; whoever opens an inbox need not carry that in a future of its own.
        let link = Box::pin(Link::open(address, &options, Missing::Make)).await?;
        Ok(Self::of(link, options))
    }

    /// The same for whoever only wants to look: where there is no inbox, none is made.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Storage`](crate::InboxErrorKind::Storage) when a stream is missing.
    pub async fn open_existing(
        address: &Address,
        options: JetStreamOptions,
    ) -> Result<Self, InboxError> {
        let link = Box::pin(Link::open(address, &options, Missing::Refuse)).await?;
        Ok(Self::of(link, options))
    }

    fn of(link: Link, options: JetStreamOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                link,
                seen: Seen::new(options.remembered),
                options,
                hand: Mutex::default(),
                claiming: tokio::sync::Mutex::default(),
                is_extending: AtomicBool::new(false),
                is_listening: AtomicBool::new(false),
                may_be_references: AtomicBool::new(true),
                looked_at: Mutex::new(Instant::now()),
                appended: Notify::new(),
                is_waking: AtomicBool::new(false),
                waiting: AtomicUsize::new(0),
                appended_to: AtomicU64::new(0),
                referred_to: AtomicU64::new(0),
            }),
        }
    }

    /// What stands against “acknowledged means kept”, as far as the server tells a client.
    #[must_use]
    pub fn doubts(&self) -> &[Doubt] {
        &self.shared.link.doubts
    }

    /// How what was there already differs from what the options ask for, in words. Nothing was changed.
    #[must_use]
    pub fn differences(&self) -> &[String] {
        &self.shared.link.differences
    }

    /// The version of the server that it is connected to.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.shared.link.client.server_info().version
    }

    /// On how many servers each message is kept.
    #[must_use]
    pub fn replicas(&self) -> usize {
        self.shared
            .link
            .events
            .cached_info()
            .config
            .num_replicas
            .max(1)
    }

    /// After how long without a word the deliveries of a worker go to another.
    #[must_use]
    pub fn ack_wait(&self) -> Duration {
        self.shared.link.ack_wait
    }

    /// Begins to remember what is in the stream, for whoever appends.
    fn follow(&self) {
        if self.shared.seen.begin() {
            let link = self.shared.link.clone();
            let events = self.shared.options.remembered;
            let shared = Arc::downgrade(&self.shared);
            keep_running("follow the stream", move || {
                seen::follow(link.clone(), Weak::clone(&shared), events)
            });
        }
    }

    /// Wakes who waits, here and in other processes; there once for all that comes within a moment.
    fn tell_appended(&self) {
        self.shared.appended.notify_one();
        if !self.shared.is_waking.swap(true, Ordering::Relaxed) {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                tokio::time::sleep(WAKE_PAUSE).await;
                shared.is_waking.store(false, Ordering::Relaxed);
                let subject = shared.link.names.wake();
                // Whoever is not woken looks within a second.
                let _ = shared.link.client.publish(subject, "".into()).await;
            });
        }
    }

    fn listen(&self) {
        if !self.shared.is_listening.swap(true, Ordering::Relaxed) {
            let shared = Arc::downgrade(&self.shared);
            keep_running("listen", move || listen(Weak::clone(&shared)));
        }
    }
}

impl Inbox for JetStreamInbox {
    async fn append(&self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        self.take_in(&delivery).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim, InboxError> {
        self.hand_out(&request, request.turns()).await
    }

    async fn complete(&self, completion: Completion) -> Result<(), InboxError> {
        self.end(&completion).await
    }

    async fn wait_for_append(&self) {
        self.listen();
        self.shared.appended.notified().await;
    }

    async fn ready(&self) -> Result<(), InboxError> {
        let link = &self.shared.link;
        link.check_connected()?;
        // The stream of events has a leader, and what is beside it takes a write.
        let info = link.events.get_info().await;
        info.map_err(|error| link.cannot("read from", error))?;
        let message = PublishMessage::build()
            .payload("ready".into())
            .expected_stream(link.names.records());
        self.shared
            .publish_to(link.names.readiness(), message)
            .await?;
        Ok(())
    }

    fn queue_len(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    fn max_body_bytes(&self) -> Option<usize> {
        // With room for the headers of the message.
        let most = self.shared.link.client.max_payload();
        Some(most.saturating_sub(HEADER_ROOM))
    }

    /// Returns once as much as it remembers of what is in the stream is known. HeyGen's log of events
    /// reaches back further than the servers' duplicate window.
    async fn caught_up(&self) {
        self.follow();
        self.shared.seen.caught_up().await;
    }

    /// Hands back what waits here for its time, and sees to it that everything said has reached the
    /// server; one that was not reached finds out after the ack wait.
    async fn close(&self) -> Result<(), InboxError> {
        self.let_go().await?;
        let flushed = tokio::time::timeout(FLUSH_TIME, self.shared.link.client.flush()).await;
        match flushed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.shared.link.cannot("write to", error)),
            Err(error) => Err(self.shared.link.cannot("write to", error)),
        }
    }
}

impl InboxAdmin for JetStreamInbox {
    async fn list(&self, query: Query) -> Result<Vec<Summary>, InboxError> {
        self.look_for(&query).await
    }

    async fn get(&self, id: DeliveryId) -> Result<Option<Kept>, InboxError> {
        match self.shared.link.sequence(id) {
            Some(sequence) => self.look_at(sequence).await,
            None => Ok(None),
        }
    }

    async fn count(&self, query: Query) -> Result<u64, InboxError> {
        self.count_all(query).await
    }

    async fn counts(&self) -> Result<Counts, InboxError> {
        self.counts_now().await
    }

    async fn stats(&self, attempts_since: SystemTime) -> Result<Stats, InboxError> {
        self.stats_since(attempts_since).await
    }

    async fn find(
        &self,
        deliveries: Vec<NewDelivery>,
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        self.find_all(&deliveries).await
    }

    async fn import(&self, deliveries: Vec<Imported>) -> Result<Vec<Appended>, InboxError> {
        self.import_all(&deliveries).await
    }

    async fn replay(&self, ids: Vec<DeliveryId>, now: SystemTime) -> Result<Replayed, InboxError> {
        self.replay_all(&ids, now).await
    }

    async fn prune(&self, step: Prune) -> Result<Pruned, InboxError> {
        self.prune_some(&step).await
    }

    async fn bookmark(&self, name: String) -> Result<Option<String>, InboxError> {
        self.read_bookmark(&name).await
    }

    async fn set_bookmark(&self, name: String, value: Option<String>) -> Result<(), InboxError> {
        self.write_bookmark(&name, value.as_deref()).await
    }
}

impl Shared {
    fn hand(&self) -> MutexGuard<'_, Hand> {
        // A panic while the lock was held cannot leave a delivery half moved: each is moved whole.
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn looked_at(&self) -> Instant {
        *self
            .looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn set_looked_at(&self, at: Instant) {
        *self
            .looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = at;
    }
}

/// Runs a task beside the inbox to its end, and starts it again where it panics: without it the
/// inbox would only seem well.
fn keep_running<F>(name: &'static str, task: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        while let Err(error) = tokio::spawn(task()).await {
            if error.is_cancelled() {
                return;
            }
            tracing::error!(%error, task = name, "a task of the inbox panicked; starting it again");
            tokio::time::sleep(START_AGAIN).await;
        }
    });
}

/// Passes on what other processes tell, for as long as the inbox is there.
async fn listen(shared: Weak<Shared>) {
    while let Some(strong) = shared.upgrade() {
        let subscribed = strong.link.client.subscribe(strong.link.names.wake()).await;
        drop(strong);
        if let Ok(mut told) = subscribed {
            loop {
                let message = tokio::time::timeout(LISTEN_TIME, told.next()).await;
                let Some(strong) = shared.upgrade() else {
                    return;
                };
                match message {
                    Ok(Some(_)) => {
                        strong.may_be_references.store(true, Ordering::Relaxed);
                        strong.appended.notify_one();
                        // A consumer whose leader is elsewhere hears of it a little later than we.
                        tokio::time::sleep(HEARD_LATER).await;
                        strong.appended.notify_one();
                    }
                    Ok(None) => break,
                    Err(_) => {}
                }
            }
        }
        tokio::time::sleep(LISTEN_TIME).await;
    }
}

/// For what a message has beside its body: the headers of the request, and ours.
const HEADER_ROOM: usize = 64 * 1024;

const FLUSH_TIME: Duration = Duration::from_secs(5);

const WAKE_PAUSE: Duration = Duration::from_millis(2);

const HEARD_LATER: Duration = Duration::from_millis(20);

const START_AGAIN: Duration = Duration::from_secs(1);

const LISTEN_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn task_that_panics_is_started_again_and_one_that_ends_is_not() {
        let started = Arc::new(AtomicUsize::new(0));
        let ours = Arc::clone(&started);
        keep_running("test", move || {
            let number = ours.fetch_add(1, Ordering::Relaxed);
            async move { assert!(number >= 2, "a fault of the test") }
        });
        tokio::time::sleep(START_AGAIN * 10).await;
        assert_eq!(started.load(Ordering::Relaxed), 3);
    }
}
