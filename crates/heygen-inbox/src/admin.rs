//! [`InboxAdmin`]: what operators do with an inbox.

use std::future::Future;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::delivery::NewDelivery;
use crate::drift::DriftCount;
use crate::error::{InboxError, InboxErrorKind};
use crate::id::DeliveryId;
use crate::imported::Imported;
use crate::inbox::{Appended, Inbox};
use crate::record::{
    Counts, DeadLetterReport, DeleteReport, DeliverySummary, Query, ReplayReport, State,
    StoredDelivery,
};
use crate::setters::setters;
use crate::stats::Stats;
use crate::time::{from_micros, to_micros};
use crate::traffic::{TrafficCount, TrafficUnit, of_summaries};

/// What operators do with an inbox: query, pause, replay, dead-letter, delete, prune, import.
///
/// # Errors
///
/// Unless a method documents otherwise, [`Storage`](crate::InboxErrorKind::Storage) when the store
/// could not be read or written.
pub trait InboxAdmin: Inbox {
    /// The deliveries that match `query`, newest first unless it asks for the oldest first.
    fn list(
        &self,
        query: Query,
    ) -> impl Future<Output = Result<Vec<DeliverySummary>, InboxError>> + Send;

    /// One delivery, whole; `None` when there is none of that id.
    fn get(
        &self,
        id: DeliveryId,
    ) -> impl Future<Output = Result<Option<StoredDelivery>, InboxError>> + Send;

    /// How many deliveries match `query`, its limit aside. Goes through all that are in its range.
    fn count(&self, query: Query) -> impl Future<Output = Result<u64, InboxError>> + Send;

    /// How much is in it, as far as that is known without going through all of it.
    fn counts(&self) -> impl Future<Output = Result<Counts, InboxError>> + Send;

    /// What is in it by event, state and source, and the results of the attempts since a time. Goes
    /// through all of it.
    fn stats(
        &self,
        attempts_since: SystemTime,
    ) -> impl Future<Output = Result<Stats, InboxError>> + Send;

    /// For each of these the id of the same event, if it is stored already. Changes nothing.
    fn find(
        &self,
        deliveries: Vec<NewDelivery>,
    ) -> impl Future<Output = Result<Vec<Option<DeliveryId>>, InboxError>> + Send;

    /// Stores these with their past. One that is stored already stays as it is. Idempotent: call it
    /// again after a failure.
    fn import(
        &self,
        deliveries: Vec<Imported>,
    ) -> impl Future<Output = Result<Vec<Appended>, InboxError>> + Send;

    /// Makes these due at `now`, whatever their state, with as many attempts as a new delivery has.
    /// What is claimed stays so.
    fn replay(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> impl Future<Output = Result<ReplayReport, InboxError>> + Send;

    /// Dead-letters these at `now`, as a handler may: they are not dispatched again unless they are
    /// replayed. An attempt without a handler is recorded. What is claimed or acknowledged stays
    /// so.
    fn dead_letter(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> impl Future<Output = Result<DeadLetterReport, InboxError>> + Send;

    /// Deletes these with their attempts, whatever their state; what is claimed stays.
    ///
    /// What was deleted is no longer known as a duplicate: the same event is stored as new, and
    /// dispatched, when HeyGen sends it again or a backfill finds it. To keep an event from being
    /// dispatched, [dead-letter](Self::dead_letter) it.
    fn delete(
        &self,
        ids: Vec<DeliveryId>,
    ) -> impl Future<Output = Result<DeleteReport, InboxError>> + Send;

    /// Pauses dispatch until [`resume`](Self::resume), for every process and over restarts: a
    /// [`claim`](Inbox::claim) gets nothing. Appending goes on, and so do attempts that have begun.
    /// Other processes notice within a second or two.
    ///
    /// Default: a [bookmark](Self::set_bookmark), which `claim` has to look at by
    /// [`paused`](Self::paused).
    fn pause(&self, now: SystemTime) -> impl Future<Output = Result<(), InboxError>> + Send {
        async move {
            if self.paused().await?.is_some() {
                return Ok(());
            }
            let since = to_micros(now).to_string();
            self.set_bookmark(DISPATCH_PAUSED.to_owned(), Some(since))
                .await
        }
    }

    /// Ends a [pause](Self::pause).
    fn resume(&self) -> impl Future<Output = Result<(), InboxError>> + Send {
        async move {
            if self.paused().await?.is_none() {
                return Ok(());
            }
            self.set_bookmark(DISPATCH_PAUSED.to_owned(), None).await
        }
    }

    /// Since when dispatch is [paused](Self::pause); `None` when it is not.
    fn paused(&self) -> impl Future<Output = Result<Option<SystemTime>, InboxError>> + Send {
        async move {
            let since = self.bookmark(DISPATCH_PAUSED.to_owned()).await?;
            // What another version wrote pauses too.
            Ok(since.map(|since| since.parse().map_or(UNIX_EPOCH, from_micros)))
        }
    }

    /// How events differed from what this version knows, the last seen first.
    ///
    /// Default: [`Unsupported`](crate::InboxErrorKind::Unsupported), for a store that does not
    /// count it.
    fn drift(&self) -> impl Future<Output = Result<Vec<DriftCount>, InboxError>> + Send {
        let message = "this inbox does not count in what events differ from what is known";
        std::future::ready(Err(InboxError::new(InboxErrorKind::Unsupported, message)))
    }

    /// How many deliveries were accepted, were duplicates and failed an attempt since a time, the
    /// oldest first. A store may keep these counts when it prunes deliveries.
    ///
    /// Default: the newest 2,000 deliveries that are still stored, as accepted.
    fn traffic(
        &self,
        since: SystemTime,
        unit: TrafficUnit,
    ) -> impl Future<Output = Result<Vec<TrafficCount>, InboxError>> + Send {
        async move {
            let query = Query::default().since(unit.start_of(since)).limit(2000);
            let newest = self.list(query).await?;
            Ok(of_summaries(&newest, unit))
        }
    }

    /// How many deliveries pruning up to this time deletes.
    fn count_prunable(
        &self,
        before: SystemTime,
    ) -> impl Future<Output = Result<u64, InboxError>> + Send {
        async move {
            let finished = |state| self.count(Query::default().until(before).state(state));
            Ok(finished(State::Acknowledged).await? + finished(State::DeadLettered).await?)
        }
    }

    /// Deletes some finished (acknowledged or dead-lettered) deliveries, the oldest first; never
    /// what is pending or claimed.
    ///
    /// One step is small, so that appends do not wait for it; call it again with the
    /// [`PruneReport::next`] of the last until that is `None`. What was deleted is no longer known
    /// as a duplicate.
    fn prune(
        &self,
        step: PruneStep,
    ) -> impl Future<Output = Result<PruneReport, InboxError>> + Send;

    /// The value of a bookmark, with which work that continues over restarts records its progress.
    fn bookmark(
        &self,
        name: String,
    ) -> impl Future<Output = Result<Option<String>, InboxError>> + Send;

    /// Sets a bookmark; `None` removes it.
    fn set_bookmark(
        &self,
        name: String,
        value: Option<String>,
    ) -> impl Future<Output = Result<(), InboxError>> + Send;
}

/// One step of pruning.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PruneStep {
    /// Only what was stored before this time.
    pub before: SystemTime,
    /// How many deliveries at most. Default: 200.
    pub limit: usize,
    /// Where the last step ended; older deliveries are not scanned again.
    pub after: Option<DeliveryId>,
}

impl PruneStep {
    /// The first step of deleting what was stored before this time.
    #[must_use]
    pub fn before(before: SystemTime) -> Self {
        Self {
            before,
            limit: 200,
            after: None,
        }
    }
}

setters! {
    PruneStep {
        /// Deletes at most so many in one step.
        limit(limit: usize) => limit;
        /// Goes on from where the last step ended.
        after(after: Option<DeliveryId>) => after;
    }
}

impl PruneReport {
    /// A report of a step that deleted so many; the next step starts after `next`.
    #[must_use]
    pub fn new(deleted: usize, next: Option<DeliveryId>, bytes: u64) -> Self {
        Self {
            deleted,
            damaged: Vec::new(),
            next,
            bytes,
        }
    }
}

/// What one step of pruning did.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PruneReport {
    /// How many deliveries were deleted.
    pub deleted: usize,
    /// Which stay although they are old, because a page of them is damaged.
    pub damaged: Vec<DeliveryId>,
    /// Where the next step starts; `None` when there is nothing more to delete.
    pub next: Option<DeliveryId>,
    /// How many bytes of storage are in use afterwards.
    pub bytes: u64,
}

/// The bookmark that is set while dispatch is paused.
pub(crate) const DISPATCH_PAUSED: &str = "dispatch-paused";

/// What is recorded of a delivery that [`InboxAdmin::dead_letter`] gave up.
pub(crate) const DEAD_LETTERED_BY_HAND: &str = "dead-lettered by hand";
