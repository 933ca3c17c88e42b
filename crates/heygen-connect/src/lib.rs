#![doc = include_str!("../README.md")]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod address;
mod backfill;
mod backoff;
mod registration;
mod registration_error;
mod secret_store;
mod secret_store_error;

pub use address::{canonical_address, same_address};
pub use backfill::{
    Backfill, BackfillError, BackfillErrorKind, BackfillEvent, BackfillOutcome, BackfillProgress,
};
pub use registration::{
    DEFAULT_OVERLAP, Registration, RegistrationEvent, RegistrationOptions, UnknownSecret,
};
pub use registration_error::{RegistrationError, RegistrationErrorKind};
pub use secret_store::{SecretStore, SecretStoreStamp, StoredSecrets};
pub use secret_store_error::{SecretStoreError, SecretStoreErrorKind};
