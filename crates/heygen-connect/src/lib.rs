#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod address;
mod backfill;
mod backoff;
mod error;
mod registration;
mod secret_store;

pub use address::{canonical_address, same_address};
pub use backfill::{BACKFILL_REACH, Backfill, BackfillEvent, BackfillOutcome, BackfillProgress};
pub use error::{ConnectError, ConnectErrorKind};
pub use registration::{DEFAULT_OVERLAP, Registration, RegistrationEvent, UnknownSecret};
pub use secret_store::{SecretStore, SecretStoreStamp, StoredSecrets};
