#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod answer;
mod call;
mod client;
mod credentials;
mod endpoint;
mod error;
mod fields;
mod idempotency;
mod page;
mod retry;
mod subscription;
mod transport;
pub mod v1;
pub mod v3;

pub use heygen_events::{EventType, id::EndpointId};
pub use heygen_signature::Secret;

pub use client::{Client, ClientBuilder};
pub use credentials::Credentials;
pub use endpoint::{Endpoint, EndpointStatus, UnknownStatus};
pub use error::{ApiError, ApiErrorKind};
pub use idempotency::{IdempotencyKey, IdempotencyKeyError};
pub use page::{Listing, Page, PageRequest};
pub use retry::RetryPolicy;
pub use subscription::Subscription;
