//! A random key. It stands apart because an error holds a key, and this can end in one.

use crate::error::ApiError;
use crate::idempotency::IdempotencyKey;

impl IdempotencyKey {
    /// A key that nobody else has: a random UUID.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the operating system gives no random bytes.
    pub fn generate() -> Result<Self, ApiError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            ApiError::config("the operating system gives no random bytes").with_source(error)
        })?;
        Ok(Self::from_random(bytes))
    }
}
