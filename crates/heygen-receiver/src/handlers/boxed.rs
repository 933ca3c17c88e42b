//! [`BoxHandler`]: a type-erased handler.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::delivery::Delivery;
use crate::handler::{Disposition, Handler};

/// A type-erased handler: for a list of different ones, or for one that is chosen at run time.
///
/// [`Handler`] itself is not `dyn`-compatible, because its method returns a future of its own type.
/// This costs one allocation a delivery. Clones share the handler.
///
/// # Examples
///
/// ```
/// use heygen_receiver::handlers::BoxHandler;
/// use heygen_receiver::{Delivery, Dispatcher, Disposition};
///
/// let is_dry_run = true;
/// let handler = match is_dry_run {
///     true => BoxHandler::new(async |_: Delivery| {}),
///     false => BoxHandler::new(async |_: Delivery| Disposition::retry("not yet")),
/// };
/// let dispatcher = Dispatcher::new(heygen_inbox::MemoryInbox::new(), handler);
/// # let _ = dispatcher;
/// ```
#[derive(Clone)]
pub struct BoxHandler {
    inner: Arc<dyn Erased>,
}

impl BoxHandler {
    /// Boxes a handler.
    pub fn new(handler: impl Handler) -> Self {
        Self {
            inner: Arc::new(handler),
        }
    }
}

impl Handler for BoxHandler {
    async fn handle(&self, delivery: Delivery) -> Disposition {
        self.inner.handle_boxed(delivery).await
    }

    fn destinations(&self) -> usize {
        self.inner.destinations()
    }

    fn destination(&self, event_type: Option<&str>) -> usize {
        self.inner.destination(event_type)
    }
}

impl fmt::Debug for BoxHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxHandler").finish_non_exhaustive()
    }
}

trait Erased: Send + Sync + 'static {
    fn handle_boxed(
        &self,
        delivery: Delivery,
    ) -> Pin<Box<dyn Future<Output = Disposition> + Send + '_>>;

    fn destinations(&self) -> usize;

    fn destination(&self, event_type: Option<&str>) -> usize;
}

impl<H: Handler> Erased for H {
    fn handle_boxed(
        &self,
        delivery: Delivery,
    ) -> Pin<Box<dyn Future<Output = Disposition> + Send + '_>> {
        Box::pin(self.handle(delivery))
    }

    fn destinations(&self) -> usize {
        Handler::destinations(self)
    }

    fn destination(&self, event_type: Option<&str>) -> usize {
        Handler::destination(self, event_type)
    }
}
