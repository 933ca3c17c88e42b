//! [`Sender`]: sends a delivery where someone asks for it.

use std::pin::Pin;

use heygen_inbox::StoredDelivery;

/// Sends a stored delivery to an address once, as “Send to” asks for.
pub trait Sender: Send + Sync + 'static {
    /// Says in a sentence what came of it; an error says why it was not acknowledged.
    fn send(
        &self,
        delivery: StoredDelivery,
        url: String,
    ) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>>;
}
