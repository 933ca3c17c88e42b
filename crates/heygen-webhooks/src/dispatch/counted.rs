//! [`Counted`]: a handler, and how its attempts ended.

use std::time::SystemTime;

use heygen_receiver::handlers::BoxHandler;
use heygen_receiver::{Delivery, Disposition, Handler};
use tokio::sync::watch;

/// A handler, and how its attempts ended.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    handler: BoxHandler,
    /// What came in before is not counted: an inbox may hold deliveries of an earlier run.
    since: SystemTime,
    tally: watch::Sender<Tally>,
}

/// How attempts ended so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Whatever with.
    pub(crate) ended: usize,
    pub(crate) acknowledged: usize,
    /// Why the last one that was not acknowledged was not.
    pub(crate) last_failure: Option<String>,
}

/// The attempts of a handler, for those who wait for them.
#[derive(Clone, Debug)]
pub(crate) struct Count(watch::Receiver<Tally>);

impl Counted {
    pub(super) fn new(handler: BoxHandler) -> Self {
        Self {
            handler,
            since: SystemTime::now(),
            tally: watch::Sender::default(),
        }
    }

    pub(crate) fn count(&self) -> Count {
        Count(self.tally.subscribe())
    }
}

impl Handler for Counted {
    async fn handle(&self, delivery: Delivery) -> Disposition {
        let is_counted = delivery.received_at() >= self.since;
        let handled = self.handler.handle(delivery).await;
        if !is_counted {
            return handled;
        }
        self.tally.send_modify(|tally| {
            tally.ended += 1;
            match &handled {
                Disposition::Retry { reason, .. } | Disposition::DeadLetter { reason } => {
                    tally.last_failure = Some(reason.clone());
                }
                _ => tally.acknowledged += 1,
            }
        });
        handled
    }

    fn destinations(&self) -> usize {
        self.handler.destinations()
    }

    fn destination(&self, event_type: Option<&str>) -> usize {
        self.handler.destination(event_type)
    }
}

impl Count {
    pub(crate) fn now(&self) -> Tally {
        self.0.borrow().clone()
    }

    /// Returns once so many have ended, or the handler is gone.
    pub(crate) async fn reach(&mut self, count: usize) {
        let _ = self.0.wait_for(|tally| tally.ended >= count).await;
    }
}
