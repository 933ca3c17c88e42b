//! Client of HeyGen's webhook management API: endpoints, secrets, event types, the log of delivered events.
//!
//! ```no_run
//! use heygen_api::v3::{EndpointUpdate, EventQuery, NewEndpoint};
//! use heygen_api::{Client, Credentials, Events, EventType};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(Credentials::api_key(std::env::var("HEYGEN_API_KEY")?))?;
//!
//! // The secret is shown now and never again: keep it where the receiver finds it.
//! let new = NewEndpoint::new("https://hooks.example/heygen").event(EventType::AvatarVideoSuccess);
//! let endpoint = client.v3().create_endpoint(&new).await?;
//! if let Some(secret) = &endpoint.secret {
//!     std::fs::write("heygen-secret", secret.expose())?;
//! }
//!
//! // A list replaces the old one whole; “all events” and “as it was” are different things.
//! let update = EndpointUpdate::events(Events::from_iter([EventType::AvatarVideoSuccess, EventType::AvatarVideoFail]));
//! client.v3().update_endpoint(&endpoint.endpoint_id, &update).await?;
//!
//! // What HeyGen says it has delivered, page by page as it is needed.
//! let mut delivered = client.v3().events_all(&EventQuery::new().event_type(EventType::AvatarVideoFail));
//! while let Some(record) = delivered.next().await {
//!     if let Ok(event) = record?.event() {
//!         println!("{:?}: {:?}", event.event_id(), event.failure_message());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | module | what HeyGen calls it |
//! |---|---|
//! | [`v3`] | the current API: seven operations |
//! | [`v1`] | the old one, whose end was announced for 2026-10-31: five operations |
//!
//! Requests that fail are made again where that is safe: see [`RetryPolicy`]. Errors are [`ApiError`], whose
//! [`kind`](ApiError::kind) is what to act on. Secrets and keys show in no `Debug`, no error and no serialised value.
//!
//! There is no second, blocking API: `examples/blocking.rs` in the repository drives this one from code that is not async.
//! Receiving deliveries is the work of other crates.
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod answer;
mod call;
mod client;
mod credentials;
mod endpoint;
mod error;
mod events;
mod fields;
mod idempotency;
mod page;
mod retry;
mod secret;
mod transport;
pub mod v1;
pub mod v3;

pub use heygen_events::{EventType, id::EndpointId};

pub use client::{Client, ClientBuilder};
pub use credentials::Credentials;
pub use endpoint::{Endpoint, EndpointStatus, UnknownStatus};
pub use error::{ApiError, ErrorKind};
pub use events::Events;
pub use idempotency::{IdempotencyKey, InvalidIdempotencyKey};
pub use page::{Listing, Page, PageRequest};
pub use retry::RetryPolicy;
pub use secret::EndpointSecret;

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
