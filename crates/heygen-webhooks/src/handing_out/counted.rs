//! [`Counted`]: a handler, and how often it has ended.

use heygen_receiver::handlers::BoxHandler;
use heygen_receiver::{Delivery, Handled, Handler};
use tokio::sync::watch;

/// A handler, and how often it has ended, whatever with.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    handler: BoxHandler,
    count: watch::Sender<usize>,
}

/// How many deliveries have been in the handler's hands, for whoever waits for them.
#[derive(Clone, Debug)]
pub(crate) struct Count(watch::Receiver<usize>);

impl Counted {
    pub(super) fn new(handler: BoxHandler) -> Self {
        Self {
            handler,
            count: watch::Sender::new(0),
        }
    }

    pub(crate) fn count(&self) -> Count {
        Count(self.count.subscribe())
    }
}

impl Handler for Counted {
    async fn handle(&self, delivery: Delivery) -> Handled {
        let handled = self.handler.handle(delivery).await;
        self.count.send_modify(|count| *count += 1);
        handled
    }
}

impl Count {
    pub(crate) fn now(&self) -> usize {
        *self.0.borrow()
    }

    /// Returns once there were so many, or the handler is gone.
    pub(crate) async fn reach(&mut self, count: usize) {
        let _ = self.0.wait_for(|handled| *handled >= count).await;
    }
}
