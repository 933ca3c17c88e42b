//! A server that runs, inboxes that misbehave, and patience that ends.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use heygen_inbox::{
    Appended, AttemptOutcome, Claim, ClaimRequest, Completion, Counts, DeadLetterReport,
    DeleteReport, DeliveryId, DeliverySummary, Imported, Inbox, InboxAdmin, InboxError,
    InboxErrorKind, MemoryInbox, NewDelivery, PruneReport, PruneStep, Query, ReplayReport, Stats,
    StoredDelivery,
};
use heygen_receiver::{
    ActiveSecrets, DispatchOptions, Dispatcher, Handler, Limits, Receiver, ReceiverOptions, Secret,
    Server,
};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

pub(crate) const PATH: &str = "/webhooks/heygen";

/// Long enough for a machine that does much else; whatever takes longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn secret() -> Secret {
    Secret::new("whsec_test").unwrap()
}

/// A body about the video of that name.
pub(crate) fn body(video_id: &str) -> String {
    format!(r#"{{"event_type":"avatar_video.success","event_data":{{"video_id":"{video_id}"}}}}"#)
}

/// A body of exactly so many bytes.
pub(crate) fn body_of_len(len: usize) -> String {
    let filling = "x".repeat(len - body("").len());
    body(&filling)
}

/// A body for [`heygen_inbox`] directly.
pub(crate) fn delivery(video_id: &str) -> NewDelivery {
    let source = heygen_inbox::Source::Webhook;
    NewDelivery::new(SystemTime::now(), source, Vec::new(), body(video_id).into())
}

pub(crate) async fn within_patience<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .unwrap_or_else(|_| panic!("it hangs"))
}

/// Looks again and again until it is so.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    within_patience(async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A server of this test's own.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start<I: InboxAdmin>(receiver: Receiver<I>) -> Self {
        Self::start_on(Server::bind("127.0.0.1:0").await.unwrap(), receiver)
    }

    pub(crate) fn start_on<I: InboxAdmin>(server: Server, receiver: Receiver<I>) -> Self {
        let address = server.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.serve(receiver, async {
            // A test that ended without a word ends its server too.
            let _ = stopped.await;
        }));
        Self {
            address,
            stop: Some(stop),
            task,
        }
    }

    pub(crate) fn ask_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Returns when the server has.
    pub(crate) async fn ended(self) {
        within_patience(self.task).await.unwrap();
    }
}

/// A dispatcher at work until it is dropped, which retries at once unless `set` says otherwise.
pub(crate) struct Dispatching(JoinHandle<()>);

impl Dispatching {
    pub(crate) fn start<I: InboxAdmin + Clone>(
        inbox: &I,
        handler: impl Handler,
        set: impl FnOnce(&mut DispatchOptions),
    ) -> Self {
        let mut options = DispatchOptions::default();
        options.schedule.initial_delay = Duration::from_millis(1);
        set(&mut options);
        let dispatcher = Dispatcher::with(inbox.clone(), handler, options);
        Self(tokio::spawn(dispatcher.run(std::future::pending())))
    }
}

impl Drop for Dispatching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A server with one secret, and limits that `set` changes.
pub(crate) async fn start<I: InboxAdmin>(inbox: I, set: impl FnOnce(&mut Limits)) -> Running {
    start_with(secret(), inbox, set).await
}

pub(crate) async fn start_with<I: InboxAdmin>(
    secrets: impl Into<ActiveSecrets>,
    inbox: I,
    set: impl FnOnce(&mut Limits),
) -> Running {
    let mut options = ReceiverOptions::default();
    set(&mut options.limits);
    Running::start(Receiver::with(secrets, inbox, options)).await
}

/// How a [`Tampered`] inbox departs from the one in memory.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Appends fail with this kind.
    Fails(InboxErrorKind),
    /// Appends never end.
    Hangs,
    /// Appends wait for a permit each.
    Waits(Arc<Semaphore>),
    /// Claims never end.
    ClaimHangs,
    /// Claims fail after so long.
    ClaimFailsAfter(Duration),
    /// Nothing can be written while this is true.
    #[cfg(feature = "admin")]
    FailsWhile(Arc<std::sync::atomic::AtomicBool>),
    /// So many ends are refused before one is recorded.
    FinishFails(Arc<Semaphore>),
    /// No end of this delivery is recorded.
    FinishFailsOf(Arc<OnceLock<DeliveryId>>),
    /// It says that it keeps no order.
    KeepsNoOrder,
    /// It says that no longer body fits.
    TakesUpTo(usize),
    /// So many calls of this method panic: `append`, `claim`, `complete`, `wait_for_append`,
    /// `counts`, `bookmark`, `prune` or `clone`.
    Panics(&'static str, Arc<Semaphore>),
}

impl Fault {
    fn maybe_panic(&self, method: &str) {
        if let Self::Panics(panicking, times) = self
            && *panicking == method
            && let Ok(permit) = times.try_acquire()
        {
            permit.forget();
            panic!("as the test wants");
        }
    }
}

/// An inbox in memory with one fault.
#[derive(Debug)]
pub(crate) struct Tampered {
    pub(crate) inbox: MemoryInbox,
    pub(crate) fault: Fault,
}

impl Tampered {
    pub(crate) fn new(fault: Fault) -> Self {
        let inbox = MemoryInbox::new();
        Self { inbox, fault }
    }
}

impl Clone for Tampered {
    fn clone(&self) -> Self {
        self.fault.maybe_panic("clone");
        Self {
            inbox: self.inbox.clone(),
            fault: self.fault.clone(),
        }
    }
}

impl Inbox for Tampered {
    async fn append(&self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        self.fault.maybe_panic("append");
        match &self.fault {
            Fault::Fails(kind) => return Err(InboxError::new(*kind, "as the test wants")),
            Fault::Hangs => std::future::pending::<()>().await,
            Fault::Waits(permits) => permits.acquire().await.unwrap().forget(),
            #[cfg(feature = "admin")]
            Fault::FailsWhile(_) => self.ready().await?,
            Fault::ClaimHangs
            | Fault::ClaimFailsAfter(_)
            | Fault::FinishFails(_)
            | Fault::FinishFailsOf(_)
            | Fault::KeepsNoOrder
            | Fault::TakesUpTo(_)
            | Fault::Panics(..) => {}
        }
        self.inbox.append(delivery).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim, InboxError> {
        self.fault.maybe_panic("claim");
        if let Fault::ClaimHangs = self.fault {
            std::future::pending::<()>().await;
        }
        if let Fault::ClaimFailsAfter(time) = self.fault {
            tokio::time::sleep(time).await;
            return Err(InboxError::new(
                InboxErrorKind::Storage,
                "as the test wants",
            ));
        }
        self.inbox.claim(request).await
    }

    async fn complete(&self, completion: Completion) -> Result<(), InboxError> {
        self.fault.maybe_panic("complete");
        if let Fault::FinishFails(times) = &self.fault
            && let Ok(permit) = times.try_acquire()
        {
            permit.forget();
            return Err(InboxError::new(
                InboxErrorKind::Storage,
                "as the test wants",
            ));
        }
        if let Fault::FinishFailsOf(id) = &self.fault
            && id.get() == Some(&completion.id)
        {
            return Err(InboxError::new(
                InboxErrorKind::Storage,
                "as the test wants",
            ));
        }
        self.inbox.complete(completion).await
    }

    async fn wait_for_append(&self) {
        self.fault.maybe_panic("wait_for_append");
        self.inbox.wait_for_append().await;
    }

    async fn ready(&self) -> Result<(), InboxError> {
        match &self.fault {
            Fault::Fails(kind) => Err(InboxError::new(*kind, "as the test wants")),
            Fault::Hangs => std::future::pending().await,
            #[cfg(feature = "admin")]
            Fault::FailsWhile(is_so) if is_so.load(std::sync::atomic::Ordering::Relaxed) => Err(
                InboxError::new(InboxErrorKind::Storage, "as the test wants"),
            ),
            #[cfg(feature = "admin")]
            Fault::FailsWhile(_) => Ok(()),
            Fault::Waits(_)
            | Fault::ClaimHangs
            | Fault::ClaimFailsAfter(_)
            | Fault::FinishFails(_)
            | Fault::FinishFailsOf(_)
            | Fault::KeepsNoOrder
            | Fault::TakesUpTo(_)
            | Fault::Panics(..) => Ok(()),
        }
    }

    fn queue_len(&self) -> usize {
        self.inbox.queue_len()
    }

    fn orders_by_subject(&self) -> bool {
        !matches!(self.fault, Fault::KeepsNoOrder)
    }

    fn max_body_bytes(&self) -> Option<usize> {
        match self.fault {
            Fault::TakesUpTo(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl InboxAdmin for Tampered {
    async fn list(&self, query: Query) -> Result<Vec<DeliverySummary>, InboxError> {
        self.inbox.list(query).await
    }

    async fn get(&self, id: DeliveryId) -> Result<Option<StoredDelivery>, InboxError> {
        self.inbox.get(id).await
    }

    async fn counts(&self) -> Result<Counts, InboxError> {
        self.fault.maybe_panic("counts");
        self.inbox.counts().await
    }

    async fn count(&self, query: Query) -> Result<u64, InboxError> {
        self.inbox.count(query).await
    }

    async fn stats(&self, attempts_since: SystemTime) -> Result<Stats, InboxError> {
        self.inbox.stats(attempts_since).await
    }

    async fn find(
        &self,
        deliveries: Vec<NewDelivery>,
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        self.inbox.find(deliveries).await
    }

    async fn import(&self, deliveries: Vec<Imported>) -> Result<Vec<Appended>, InboxError> {
        self.inbox.import(deliveries).await
    }

    async fn replay(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> Result<ReplayReport, InboxError> {
        self.inbox.replay(ids, now).await
    }

    async fn dead_letter(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> Result<DeadLetterReport, InboxError> {
        self.inbox.dead_letter(ids, now).await
    }

    async fn delete(&self, ids: Vec<DeliveryId>) -> Result<DeleteReport, InboxError> {
        self.inbox.delete(ids).await
    }

    async fn bookmark(&self, name: String) -> Result<Option<String>, InboxError> {
        self.fault.maybe_panic("bookmark");
        self.inbox.bookmark(name).await
    }

    async fn set_bookmark(&self, name: String, value: Option<String>) -> Result<(), InboxError> {
        self.inbox.set_bookmark(name, value).await
    }

    async fn prune(&self, step: PruneStep) -> Result<PruneReport, InboxError> {
        self.fault.maybe_panic("prune");
        self.inbox.prune(step).await
    }
}

/// The results of a delivery's attempts, in their order.
pub(crate) async fn results(inbox: &impl InboxAdmin, id: DeliveryId) -> Vec<AttemptOutcome> {
    let stored = inbox.get(id).await.unwrap().unwrap();
    stored
        .attempts
        .iter()
        .map(|attempt| attempt.result)
        .collect()
}

/// How many deliveries are stored.
pub(crate) async fn count(inbox: &impl InboxAdmin) -> usize {
    inbox.list(Query::default()).await.unwrap().len()
}
