//! A random key. In a file of its own because errors hold keys, and this can fail with one.

use crate::error::ApiError;
use crate::idempotency::IdempotencyKey;

impl IdempotencyKey {
    /// A random key: a UUID (version 4).
    ///
    /// # Errors
    ///
    /// [`ApiErrorKind::Config`](crate::ApiErrorKind::Config) if the operating system has no random
    /// bytes.
    pub fn generate() -> Result<Self, ApiError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            ApiError::config("the operating system has no random bytes").with_source(error)
        })?;
        Ok(Self::from_random(bytes))
    }
}
