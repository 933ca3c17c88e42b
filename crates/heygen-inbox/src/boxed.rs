//! [`BoxInbox`]: an inbox whose type is chosen at run time.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use crate::admin::{InboxAdmin, PruneReport, PruneStep};
use crate::claim::{Claim, ClaimRequest};
use crate::completion::Completion;
use crate::delivery::NewDelivery;
use crate::drift::DriftCount;
use crate::error::InboxError;
use crate::id::DeliveryId;
use crate::imported::Imported;
use crate::inbox::{Appended, Inbox};
use crate::record::{
    Counts, DeadLetterReport, DeleteReport, DeliverySummary, Query, ReplayReport, StoredDelivery,
};
use crate::stats::Stats;
use crate::traffic::{TrafficCount, TrafficUnit};

/// An inbox whose type is chosen at run time. Clones share one inbox.
///
/// # Examples
///
/// ```
/// use heygen_inbox::{BoxInbox, Inbox, MemoryInbox};
///
/// let inbox = BoxInbox::new(MemoryInbox::new());
/// assert!(inbox.orders_by_subject());
/// ```
#[derive(Clone)]
pub struct BoxInbox(Arc<dyn DynInbox>);

impl BoxInbox {
    /// Hides the type of `inbox`.
    pub fn new(inbox: impl InboxAdmin) -> Self {
        Self(Arc::new(inbox))
    }
}

impl fmt::Debug for BoxInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxInbox").finish_non_exhaustive()
    }
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Lists every method once: the object-safe version of both traits, and the implementations that
/// delegate to it.
macro_rules! delegate {
    (
        Inbox {
            $(fn $sync:ident() -> $sync_result:ty;)*
            $(async fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*
        }
        InboxAdmin {
            $(async fn $admin:ident($($admin_argument:ident: $admin_type:ty),*) -> $admin_result:ty;)*
        }
    ) => {
        trait DynInbox: Send + Sync {
            $(fn $sync(&self) -> $sync_result;)*
            fn closed(&self) -> BoxFuture<'static, ()>;
            $(fn $name(&self, $($argument: $type),*) -> BoxFuture<'_, $result>;)*
            $(fn $admin(&self, $($admin_argument: $admin_type),*) -> BoxFuture<'_, $admin_result>;)*
        }

        impl<I: InboxAdmin> DynInbox for I {
            $(fn $sync(&self) -> $sync_result {
                Inbox::$sync(self)
            })*
            fn closed(&self) -> BoxFuture<'static, ()> {
                Box::pin(Inbox::closed(self))
            }
            $(fn $name(&self, $($argument: $type),*) -> BoxFuture<'_, $result> {
                Box::pin(Inbox::$name(self, $($argument),*))
            })*
            $(fn $admin(&self, $($admin_argument: $admin_type),*) -> BoxFuture<'_, $admin_result> {
                Box::pin(InboxAdmin::$admin(self, $($admin_argument),*))
            })*
        }

        impl Inbox for BoxInbox {
            $(fn $sync(&self) -> $sync_result {
                self.0.$sync()
            })*
            fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
                self.0.closed()
            }
            $(fn $name(&self, $($argument: $type),*) -> impl Future<Output = $result> + Send {
                self.0.$name($($argument),*)
            })*
        }

        impl InboxAdmin for BoxInbox {
            $(fn $admin(&self, $($admin_argument: $admin_type),*) -> impl Future<Output = $admin_result> + Send {
                self.0.$admin($($admin_argument),*)
            })*
        }

        impl<I: Inbox> Inbox for Arc<I> {
            $(fn $sync(&self) -> $sync_result {
                I::$sync(self)
            })*
            fn closed(&self) -> impl Future<Output = ()> + Send + use<I> {
                I::closed(self)
            }
            $(fn $name(&self, $($argument: $type),*) -> impl Future<Output = $result> + Send {
                I::$name(self, $($argument),*)
            })*
        }

        impl<I: InboxAdmin> InboxAdmin for Arc<I> {
            $(fn $admin(&self, $($admin_argument: $admin_type),*) -> impl Future<Output = $admin_result> + Send {
                I::$admin(self, $($admin_argument),*)
            })*
        }
    };
}

delegate! {
    Inbox {
        fn queue_len() -> usize;
        fn orders_by_subject() -> bool;
        fn max_body_bytes() -> Option<usize>;
        async fn append(delivery: NewDelivery) -> Result<Appended, InboxError>;
        async fn claim(request: ClaimRequest) -> Result<Claim, InboxError>;
        async fn complete(completion: Completion) -> Result<(), InboxError>;
        async fn wait_for_append() -> ();
        async fn ready() -> Result<(), InboxError>;
        async fn wait_until_synced() -> ();
        async fn close() -> Result<(), InboxError>;
    }
    InboxAdmin {
        async fn list(query: Query) -> Result<Vec<DeliverySummary>, InboxError>;
        async fn get(id: DeliveryId) -> Result<Option<StoredDelivery>, InboxError>;
        async fn count(query: Query) -> Result<u64, InboxError>;
        async fn counts() -> Result<Counts, InboxError>;
        async fn stats(attempts_since: SystemTime) -> Result<Stats, InboxError>;
        async fn find(deliveries: Vec<NewDelivery>) -> Result<Vec<Option<DeliveryId>>, InboxError>;
        async fn import(deliveries: Vec<Imported>) -> Result<Vec<Appended>, InboxError>;
        async fn replay(ids: Vec<DeliveryId>, now: SystemTime) -> Result<ReplayReport, InboxError>;
        async fn dead_letter(ids: Vec<DeliveryId>, now: SystemTime) -> Result<DeadLetterReport, InboxError>;
        async fn delete(ids: Vec<DeliveryId>) -> Result<DeleteReport, InboxError>;
        async fn pause(now: SystemTime) -> Result<(), InboxError>;
        async fn resume() -> Result<(), InboxError>;
        async fn paused() -> Result<Option<SystemTime>, InboxError>;
        async fn drift() -> Result<Vec<DriftCount>, InboxError>;
        async fn traffic(since: SystemTime, unit: TrafficUnit) -> Result<Vec<TrafficCount>, InboxError>;
        async fn count_prunable(before: SystemTime) -> Result<u64, InboxError>;
        async fn prune(step: PruneStep) -> Result<PruneReport, InboxError>;
        async fn bookmark(name: String) -> Result<Option<String>, InboxError>;
        async fn set_bookmark(name: String, value: Option<String>) -> Result<(), InboxError>;
    }
}
