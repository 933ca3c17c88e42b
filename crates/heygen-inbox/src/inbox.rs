//! [`Inbox`]: the interface of every store for receivers and dispatchers.

use std::future::Future;

use crate::claim::{Claim, ClaimRequest};
use crate::completion::Completion;
use crate::delivery::NewDelivery;
use crate::error::InboxError;
use crate::id::DeliveryId;

/// A durable record of deliveries: what a receiver appends to and a dispatcher claims from.
///
/// Each store documents how many processes may write: one for SQLite, any number for JetStream.
/// Dropping a returned future does not undo what it asked for: an append whose caller has gone away
/// is still stored.
///
/// An [`Arc`](std::sync::Arc) of an inbox is an inbox, and [`BoxInbox`](crate::BoxInbox) is one
/// whose type is chosen at run time.
pub trait Inbox: Send + Sync + 'static {
    /// Stores a delivery, or finds that the same event is stored already; returns only when either
    /// is certain to survive.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::InboxErrorKind::Busy) at once when too much is waiting already,
    /// [`Storage`](crate::InboxErrorKind::Storage) when it could not be written. In both cases
    /// nothing was stored, and the sender must get an error.
    fn append(
        &self,
        delivery: NewDelivery,
    ) -> impl Future<Output = Result<Appended, InboxError>> + Send;

    /// Claims deliveries that are due, as many as `request` has room for, and marks them as being
    /// handled. With [`DispatchOrder::PerSubject`](crate::DispatchOrder::PerSubject) a delivery
    /// waits for earlier, unfinished ones of its subject.
    ///
    /// What was claimed when the process died is delivered again, its attempt recorded: after the
    /// next open, or by another process once it is certain that this one is gone. A due time that
    /// only a wrong clock explains counts as due; a store notices it within a minute.
    ///
    /// A store that cannot distinguish live deliveries from the backlog claims what has been due
    /// longest. While dispatch is [paused](crate::InboxAdmin::paused) nothing is claimed, and the
    /// answer is [`Claim::paused`].
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the claim could not be recorded,
    /// [`Unsupported`](crate::InboxErrorKind::Unsupported) for
    /// [`DispatchOrder::PerSubject`](crate::DispatchOrder::PerSubject) where
    /// [`orders_by_subject`](Self::orders_by_subject) is false.
    fn claim(
        &self,
        request: ClaimRequest,
    ) -> impl Future<Output = Result<Claim, InboxError>> + Send;

    /// Records the result of an attempt, or with [`Completion::released`] undoes the claim.
    ///
    /// Idempotent: call it again if unsure. A result that comes late, after the delivery was
    /// claimed again, is recorded among the attempts and changes nothing else, unless it is
    /// [`Acknowledged`](crate::AttemptOutcome::Acknowledged). The result of a delivery that is not
    /// stored is ignored.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when it could not be written; the delivery then
    /// stays claimed.
    fn complete(
        &self,
        completion: Completion,
    ) -> impl Future<Output = Result<(), InboxError>> + Send;

    /// Returns once something was appended after the last call.
    fn wait_for_append(&self) -> impl Future<Output = ()> + Send;

    /// Returns when something was written and is certain to survive: what an append would wait for.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    fn ready(&self) -> impl Future<Output = Result<(), InboxError>> + Send;

    /// How many requests wait to be written. Default: 0, for a store without a queue.
    fn queue_len(&self) -> usize {
        0
    }

    /// Whether it can claim in [`DispatchOrder::PerSubject`](crate::DispatchOrder::PerSubject).
    /// Default: false.
    fn orders_by_subject(&self) -> bool {
        false
    }

    /// The longest body that fits, in bytes. Default: `None`, no limit.
    fn max_body_bytes(&self) -> Option<usize> {
        None
    }

    /// Returns once duplicates of old events are recognized too, which some stores read in the
    /// background after they were opened. Default: at once.
    fn wait_until_synced(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Returns when nothing can be stored any more, for good. Does not keep the inbox open.
    /// Default: never.
    fn closed(&self) -> impl Future<Output = ()> + Send + use<Self> {
        std::future::pending()
    }

    /// Writes what is queued and closes the store; later calls fail. Default: there is nothing to
    /// do.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when it could not be closed cleanly. What was
    /// acknowledged before is stored all the same.
    fn close(&self) -> impl Future<Output = Result<(), InboxError>> + Send {
        std::future::ready(Ok(()))
    }
}

/// The answer to an append.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Appended {
    /// It was new, and is stored under this id.
    New(DeliveryId),
    /// It is a duplicate of the delivery with this id.
    Duplicate(DeliveryId),
}

impl Appended {
    /// The id under which the event is stored.
    #[must_use]
    pub fn id(self) -> DeliveryId {
        match self {
            Self::New(id) | Self::Duplicate(id) => id,
        }
    }
}
