//! [`BoxInbox`]: an inbox whose type is chosen at run time. [`InboxOpener`]: opens one that is in use already.

use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

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

    /// An inbox that is opened while a receiver and an admin listener already answer, since opening
    /// may take longer than HeyGen waits for the answer to a probe.
    ///
    /// Until it is open, appends, claims and completions wait for that, and everything else fails as
    /// [`Opening`](InboxErrorKind::Opening). Closing it does nothing until then. An append whose
    /// caller has gone away before it is open, as when a request times out, is not stored.
    ///
    /// Until then it says that it [orders by subject](Inbox::orders_by_subject): a store that does
    /// not refuses each such claim.
    ///
    /// # Examples
    ///
    /// ```
    /// use heygen_inbox::{BoxInbox, Inbox, InboxErrorKind, MemoryInbox};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (inbox, opener) = BoxInbox::unopened();
    /// let error = inbox.ready().await.expect_err("not open yet");
    /// assert_eq!(error.kind(), InboxErrorKind::Opening);
    /// opener.open(BoxInbox::new(MemoryInbox::new()));
    /// inbox.ready().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unopened() -> (Self, InboxOpener) {
        let (opener, inbox) = watch::channel(None);
        (Self::new(Unopened(inbox)), InboxOpener(opener))
    }
}

/// Opens the inbox that [`BoxInbox::unopened`] made with it. Dropped before, it closes that inbox
/// for good.
#[derive(Debug)]
#[must_use = "dropped, it closes the inbox for good"]
pub struct InboxOpener(watch::Sender<Option<BoxInbox>>);

impl InboxOpener {
    /// From now on the inbox is `opened`.
    pub fn open(self, opened: BoxInbox) {
        self.0.send_replace(Some(opened));
    }
}

#[derive(Clone)]
struct Unopened(watch::Receiver<Option<BoxInbox>>);

impl Unopened {
    fn get(&self) -> Option<BoxInbox> {
        self.0.borrow().clone()
    }

    /// For what is not to wait.
    fn now(&self) -> Result<BoxInbox, InboxError> {
        // Asked first: what is closed now is not opened any more.
        let is_closed = self.0.has_changed().is_err();
        self.get().ok_or_else(|| match is_closed {
            true => closed(),
            false => InboxError::new(InboxErrorKind::Opening, "the inbox is being opened"),
        })
    }

    async fn opened(&self) -> Result<BoxInbox, InboxError> {
        let mut inbox = self.0.clone();
        let opened = inbox.wait_for(Option::is_some).await.ok();
        opened.and_then(|opened| opened.clone()).ok_or_else(closed)
    }
}

fn closed() -> InboxError {
    InboxError::new(InboxErrorKind::Closed, "the inbox was not opened")
}

impl Inbox for Unopened {
    fn queue_len(&self) -> usize {
        self.get().map_or(0, |inbox| Inbox::queue_len(&inbox))
    }

    /// True until it is open: a dispatcher asks once, and a store that cannot refuses the claims.
    fn orders_by_subject(&self) -> bool {
        self.get()
            .is_none_or(|inbox| Inbox::orders_by_subject(&inbox))
    }

    fn max_body_bytes(&self) -> Option<usize> {
        Inbox::max_body_bytes(&self.get()?)
    }

    async fn append(&self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        Inbox::append(&self.opened().await?, delivery).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim, InboxError> {
        Inbox::claim(&self.opened().await?, request).await
    }

    async fn complete(&self, completion: Completion) -> Result<(), InboxError> {
        Inbox::complete(&self.opened().await?, completion).await
    }

    async fn wait_for_append(&self) {
        match self.opened().await {
            Ok(inbox) => Inbox::wait_for_append(&inbox).await,
            Err(_) => pending().await,
        }
    }

    async fn ready(&self) -> Result<(), InboxError> {
        Inbox::ready(&self.now()?).await
    }

    async fn wait_until_synced(&self) {
        if let Ok(inbox) = self.opened().await {
            Inbox::wait_until_synced(&inbox).await;
        }
    }

    fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let unopened = self.clone();
        async move {
            let opened = unopened.opened().await;
            let closed = opened.map(|inbox| Inbox::closed(&inbox));
            // It keeps the inbox open.
            drop(unopened);
            if let Ok(closed) = closed {
                closed.await;
            }
        }
    }

    async fn close(&self) -> Result<(), InboxError> {
        match self.get() {
            Some(inbox) => Inbox::close(&inbox).await,
            None => Ok(()),
        }
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

        impl InboxAdmin for Unopened {
            $(async fn $admin(&self, $($admin_argument: $admin_type),*) -> $admin_result {
                InboxAdmin::$admin(&self.now()?, $($admin_argument),*).await
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

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;
    use crate::memory::MemoryInbox;
    use crate::source::Source;

    fn delivery() -> NewDelivery {
        let body = r#"{"event_type":"a.b","event_data":{}}"#.into();
        NewDelivery::new(SystemTime::now(), Source::Webhook, Vec::new(), body)
    }

    fn kind<T>(result: Result<T, InboxError>) -> Option<InboxErrorKind> {
        result.err().map(|error| error.kind())
    }

    #[tokio::test]
    async fn append_waits_until_the_inbox_is_open() {
        let (inbox, opener) = BoxInbox::unopened();
        let waiting = inbox.clone();
        let append = tokio::spawn(async move { Inbox::append(&waiting, delivery()).await });
        tokio::task::yield_now().await;
        assert!(!append.is_finished());
        assert_eq!(
            kind(Inbox::ready(&inbox).await),
            Some(InboxErrorKind::Opening)
        );
        assert_eq!(
            kind(InboxAdmin::counts(&inbox).await),
            Some(InboxErrorKind::Opening)
        );
        assert!(
            Inbox::orders_by_subject(&inbox),
            "it may, and a dispatcher asks once"
        );

        opener.open(BoxInbox::new(MemoryInbox::new()));
        let appended = append.await.expect("it ends").expect("stored");
        assert!(matches!(appended, Appended::New(_)), "{appended:?}");
        assert_eq!(kind(Inbox::ready(&inbox).await), None);
        let stored = InboxAdmin::get(&inbox, appended.id()).await.expect("open");
        assert!(stored.is_some());
        assert!(Inbox::orders_by_subject(&inbox));
    }

    #[tokio::test]
    async fn inbox_whose_opener_is_gone_is_closed() {
        let (inbox, opener) = BoxInbox::unopened();
        let waiting = inbox.clone();
        let append = tokio::spawn(async move { Inbox::append(&waiting, delivery()).await });
        tokio::task::yield_now().await;
        drop(opener);
        let closed = Some(InboxErrorKind::Closed);
        assert_eq!(kind(append.await.expect("it ends")), closed);
        assert_eq!(kind(Inbox::ready(&inbox).await), closed);
        Inbox::closed(&inbox).await;
        Inbox::close(&inbox).await.expect("nothing to close");
    }

    #[tokio::test]
    async fn waiting_for_its_end_does_not_keep_it_open() {
        let (inbox, opener) = BoxInbox::unopened();
        let closed = tokio::spawn(Inbox::closed(&inbox));
        let opened = BoxInbox::new(MemoryInbox::new());
        let weak: Weak<dyn DynInbox> = Arc::downgrade(&opened.0);
        opener.open(opened);
        Inbox::ready(&inbox).await.expect("open");
        drop(inbox);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(weak.strong_count(), 0);
        closed.abort();
    }
}
