//! [`HandlerRun`]: one handler behind a dispatcher and an inbox in memory.

use std::time::{Duration, SystemTime};

use heygen_inbox::{
    Attempt, AttemptOutcome, DeliveryId, Header, Inbox as _, InboxAdmin as _, MemoryInbox,
    NewDelivery, Source, StoredDelivery,
};
use heygen_receiver::{DispatchOptions, Handler};

use crate::support::{Dispatching, until};

/// A dispatcher at work until it is dropped.
pub(crate) struct HandlerRun {
    pub(crate) inbox: MemoryInbox,
    _dispatching: Dispatching,
}

impl HandlerRun {
    pub(crate) fn start(handler: impl Handler) -> Self {
        Self::with(handler, |_| {})
    }

    /// Retries wait an hour, unless `set` or the handler says otherwise.
    pub(crate) fn with(handler: impl Handler, set: impl FnOnce(&mut DispatchOptions)) -> Self {
        let inbox = MemoryInbox::new();
        let dispatching = Dispatching::start(&inbox, handler, |options| {
            options.schedule.initial_delay = Duration::from_secs(3600);
            set(options);
        });
        Self {
            inbox,
            _dispatching: dispatching,
        }
    }

    pub(crate) async fn append(&self, headers: &[(&str, &str)], body: &[u8]) -> DeliveryId {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| Header::new(name, value.as_bytes()));
        let delivery = NewDelivery::new(
            SystemTime::now(),
            Source::Webhook,
            headers.collect(),
            body.to_vec().into(),
        );
        self.inbox.append(delivery).await.unwrap().id()
    }

    /// The stored delivery once that many attempts have ended.
    pub(crate) async fn after(&self, id: DeliveryId, attempts: usize) -> StoredDelivery {
        let stored = async || self.inbox.get(id).await.unwrap().unwrap();
        until(async || stored().await.attempts.len() >= attempts).await;
        stored().await
    }

    /// Appends a delivery and returns its first attempt.
    pub(crate) async fn attempt(&self, body: &[u8]) -> Attempt {
        let id = self.append(&[], body).await;
        self.after(id, 1).await.attempts.swap_remove(0)
    }

    /// The same, in short.
    pub(crate) async fn ends(&self, body: &[u8]) -> (AttemptOutcome, String) {
        let attempt = self.attempt(body).await;
        (attempt.result, attempt.detail.unwrap_or_default())
    }
}
