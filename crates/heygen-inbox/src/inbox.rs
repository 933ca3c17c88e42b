//! [`Inbox`]: what every store can do.

use std::future::Future;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::{
    AttemptResult, ClaimRequest, Counts, DeliveryId, Header, InboxError, Kept, NewDelivery, Query,
    Source, Summary,
};

/// A durable record of deliveries.
///
/// How many processes at a time may append to it and hand out what is in it, each store says: one to a file, any number to streams. Dropping a returned future does not undo what
/// it asked for: an append whose caller has gone away is still kept.
pub trait Inbox: Send + Sync + 'static {
    /// Keeps a delivery, or finds that the same event is here already; returns only when either is certain to survive.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::InboxErrorKind::Busy) at once when too much is waiting already,
    /// [`Storage`](crate::InboxErrorKind::Storage) when it could not be written. In both cases nothing was kept, and the
    /// sender has to be told so.
    fn append(
        &self,
        delivery: NewDelivery,
    ) -> impl Future<Output = Result<Appended, InboxError>> + Send;

    /// Takes up to `limit` deliveries that are due at `now`, the longest due first, and marks them as being handled. With
    /// [`Order::Subject`] one that is about the same as an earlier, unfinished one has to wait for that.
    ///
    /// What was claimed when the process died is handed out again, its attempt recorded: after the next open, or by another process
    /// once it is certain that this one is gone.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the claim could not be recorded,
    /// [`Unsupported`](crate::InboxErrorKind::Unsupported) for an order that this store cannot keep.
    fn claim(
        &self,
        limit: usize,
        now: SystemTime,
        order: Order,
    ) -> impl Future<Output = Result<Claim, InboxError>> + Send;

    /// Claims what there is room for, as a dispatcher does: each destination has room of its own, and live deliveries go before
    /// the backlog. What a clock that was wrong put far into the future is due at once; a store finds it within a minute.
    ///
    /// A store that does not implement it claims what is due, whatever its destination, up to the sum of the room.
    ///
    /// # Errors
    ///
    /// As [`claim`](Self::claim).
    fn claim_for(
        &self,
        request: ClaimRequest,
    ) -> impl Future<Output = Result<Claim, InboxError>> + Send {
        self.claim(request.limit(), request.now, request.order)
    }

    /// Records how a handing-out ended, or with [`Finish::released`] that it is to be as if it had not been.
    ///
    /// It may be told again when it is uncertain whether it was recorded. One that comes late, after the delivery was
    /// handed out anew, is recorded among the attempts and changes nothing else, unless it says done. Of a delivery that is
    /// not there nothing is recorded.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when it could not be written; the delivery then stays claimed.
    fn finish(&self, finish: Finish) -> impl Future<Output = Result<(), InboxError>> + Send;

    /// Returns once something was appended after the last call.
    fn appended(&self) -> impl Future<Output = ()> + Send;

    /// What `query` asks for, newest first.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the store could not be read.
    fn list(&self, query: Query) -> impl Future<Output = Result<Vec<Summary>, InboxError>> + Send;

    /// One delivery, whole; `None` when there is none of that id.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the store could not be read.
    fn get(&self, id: DeliveryId) -> impl Future<Output = Result<Option<Kept>, InboxError>> + Send;

    /// How much is in it.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the store could not be read.
    fn counts(&self) -> impl Future<Output = Result<Counts, InboxError>> + Send;

    /// Returns when something was written and is certain to survive: what an append would wait for.
    ///
    /// # Errors
    ///
    /// As an append's.
    fn ready(&self) -> impl Future<Output = Result<(), InboxError>> + Send;

    /// How many requests wait to be written.
    fn queue_len(&self) -> usize;

    /// Deletes some of what is finished (done or dead), the oldest first; never what is pending or being handled.
    ///
    /// One step is small, so that appends do not wait for it; call it again with the [`Pruned::next`] of the last until
    /// that is `None`. What was deleted is no longer known as a duplicate.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when it could not be written; nothing was deleted then.
    fn prune(&self, step: Prune) -> impl Future<Output = Result<Pruned, InboxError>> + Send;
}

/// In which order deliveries are claimed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Order {
    /// The longest due first, whatever they are about.
    #[default]
    Due,
    /// Deliveries about one subject (video id and so on) and of one [`Source`](crate::Source) one at a time, in the order in which
    /// they were stored: the next is claimed when the one before is done or dead. Other subjects do not wait, nor does what has no
    /// subject, nor what came another way: a callback can name any subject.
    Subject,
}

/// One step of pruning.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Prune {
    /// Only what was kept before this time.
    pub before: SystemTime,
    /// At most so many. Default: 200.
    pub limit: usize,
    /// Where the last step ended; what is older is not looked at again.
    pub after: Option<DeliveryId>,
}

impl Prune {
    /// The first step of deleting what was kept before this time.
    #[must_use]
    pub fn before(before: SystemTime) -> Self {
        Self {
            before,
            limit: 200,
            after: None,
        }
    }

    /// Deletes at most so many in one step.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Goes on from where the last step ended.
    #[must_use]
    pub fn after(mut self, after: Option<DeliveryId>) -> Self {
        self.after = after;
        self
    }
}

/// What one step of pruning did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Pruned {
    /// How many deliveries were deleted.
    pub deleted: usize,
    /// Where to go on; `None` when there is nothing more to delete.
    pub next: Option<DeliveryId>,
    /// How many bytes of storage are in use afterwards.
    pub bytes: u64,
}

/// The answer to an append.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Appended {
    /// It was new, and is kept under this id.
    New(DeliveryId),
    /// The same event was kept before, under this id.
    Duplicate(DeliveryId),
}

impl Appended {
    /// The id under which the event is kept.
    #[must_use]
    pub fn id(self) -> DeliveryId {
        match self {
            Self::New(id) | Self::Duplicate(id) => id,
        }
    }
}

/// The answer to a claim.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Claim {
    /// What the caller now has to hand out and to [`finish`](Inbox::finish).
    pub deliveries: Vec<Claimed>,
    /// When the next delivery falls due, where nothing more is due now.
    pub next_due: Option<SystemTime>,
}

/// A delivery on its way to a handler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claimed {
    /// The inbox's own id of the delivery.
    pub id: DeliveryId,
    /// When it came in, by the receiver's clock.
    pub received_at: SystemTime,
    /// Which way it came in.
    pub source: Source,
    /// 1 for the first handing-out, over its whole life.
    pub attempt: u32,
    /// With which attempt the present round began: 1, or the first after the last replay.
    pub first_attempt: u32,
    /// How many attempts of the present round do not count: those that ended with their process, and those that asked for a
    /// [pause](Finish::is_counted).
    pub uncounted: u32,
    /// How many of them ended with their process, without a result.
    pub interrupted: u32,
    /// How much of the time for retries the present round has used: attempts, and the waits between them.
    pub elapsed: Duration,
    /// Since when it was due.
    pub due_at: SystemTime,
    /// Whether it is live: it came in lately, and this is its first attempt.
    pub is_live: bool,
    /// The event's type; `None` when the body is not an event.
    pub event_type: Option<String>,
    /// The headers it came with. HeyGen signs none of them.
    pub headers: Vec<Header>,
    /// The bytes received.
    pub body: Bytes,
}

/// How a handing-out ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finish {
    /// Which delivery.
    pub id: DeliveryId,
    /// Which handing-out: the `attempt` of the [`Claimed`].
    pub attempt: u32,
    /// When the handler was called.
    pub started_at: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// What it ended with.
    pub result: AttemptResult,
    /// What the handler said about it, if anything.
    pub detail: Option<String>,
    /// When to hand it out again; only of use with [`AttemptResult::Retry`].
    pub due_at: SystemTime,
    /// How much of the time for retries the present round has used by then.
    pub elapsed: Duration,
    /// Whether it counts among the attempts that a delivery has. One that ended with its process does not either way.
    pub is_counted: bool,
    /// Whether the delivery goes back as if it had never been claimed: it did not reach the handler. Of such an attempt nothing is
    /// recorded, and its number is given again.
    pub is_released: bool,
}

impl Finish {
    /// The end of an attempt without a word about it, due again at once if it is to be repeated.
    #[must_use]
    pub fn new(
        claimed: &Claimed,
        started_at: SystemTime,
        duration: Duration,
        result: AttemptResult,
    ) -> Self {
        Self {
            id: claimed.id,
            attempt: claimed.attempt,
            started_at,
            duration,
            result,
            detail: None,
            due_at: started_at + duration,
            elapsed: claimed.elapsed,
            is_counted: true,
            is_released: false,
        }
    }

    /// The delivery goes back as if it had never been claimed, due at `due_at`: it did not reach the handler.
    #[must_use]
    pub fn released(claimed: &Claimed, due_at: SystemTime) -> Self {
        Self {
            due_at,
            is_released: true,
            ..Self::new(claimed, due_at, Duration::ZERO, AttemptResult::Retry)
        }
    }

    /// Does not count it among the attempts that a delivery has.
    #[must_use]
    pub fn uncounted(mut self) -> Self {
        self.is_counted = false;
        self
    }

    /// Sets how much of the time for retries the present round has used.
    #[must_use]
    pub fn elapsed(mut self, elapsed: Duration) -> Self {
        self.elapsed = elapsed;
        self
    }

    /// Adds what the handler said.
    #[must_use]
    pub fn detail(mut self, detail: Option<String>) -> Self {
        self.detail = detail;
        self
    }

    /// Sets when to hand it out again.
    #[must_use]
    pub fn due_at(mut self, due_at: SystemTime) -> Self {
        self.due_at = due_at;
        self
    }
}
