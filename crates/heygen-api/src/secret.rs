//! [`EndpointSecret`]: what HeyGen signs the deliveries to one endpoint with.

use std::fmt;

use zeroize::Zeroizing;

/// The signing secret of one endpoint, exactly as HeyGen returned it.
///
/// `Debug` hides it, there is no `Display`, nothing writes it with serde, and its memory is wiped when it is dropped; that of the
/// answer it was read from is freed and not wiped. To check deliveries with it, give [`expose`](Self::expose) to
/// `heygen_signature::Secret::new`.
///
/// # Source
///
/// HeyGen documentation, “Webhooks”: documented. v3 shows it when an endpoint is created and when its secret is replaced; the
/// list of v1 shows it always.
#[derive(Clone)]
pub struct EndpointSecret(Zeroizing<String>);

impl EndpointSecret {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, with its prefix `whsec_`. Whoever calls this decides where it may appear.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EndpointSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointSecret(hidden)")
    }
}
