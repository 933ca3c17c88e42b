//! [`ActiveSecrets`]: the secrets to verify with, which may change while requests are received.

use std::sync::{Arc, PoisonError, RwLock};

use heygen_signature::{Secret, Secrets};

/// The secrets to verify with. Clones share them, so that a new secret can be set under a running
/// receiver.
///
/// At first there may be none: HeyGen shows an endpoint's secret only after it is registered, and
/// v1, perhaps v3 too, probes it before. Until one is set, deliveries are answered 503, so that
/// HeyGen sends them again.
///
/// # Examples
///
/// ```
/// use heygen_receiver::{ActiveSecrets, Secret};
///
/// let active = ActiveSecrets::none();
/// assert!(active.get().is_none());
/// active.set(Secret::new("whsec_test")?.into());
/// assert_eq!(active.get().map(|secrets| secrets.len()), Some(1));
/// active.clear();
/// assert!(active.get().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ActiveSecrets {
    current: Arc<RwLock<Option<Arc<Secrets>>>>,
}

impl ActiveSecrets {
    /// No secret yet: probes pass, deliveries are answered 503.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Replaces the secrets.
    pub fn set(&self, secrets: Secrets) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(secrets));
    }

    /// Removes every secret: deliveries are answered 503 until others are set, probes pass.
    pub fn clear(&self) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = None;
    }

    /// The current secrets.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Secrets>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl From<Secrets> for ActiveSecrets {
    fn from(secrets: Secrets) -> Self {
        let active = Self::none();
        active.set(secrets);
        active
    }
}

impl From<Secret> for ActiveSecrets {
    fn from(secret: Secret) -> Self {
        Self::from(Secrets::from(secret))
    }
}
