//! Receives HeyGen webhooks: verified, kept before they are answered, typed, handed to your code until it says done.
//!
//! ```no_run
//! use heygen_receiver::{Delivery, Secret, serve};
//! use heygen_inbox::sqlite::SqliteInbox;
//!
//! # #[cfg(feature = "sqlite")]
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let secret = Secret::new(std::env::var("HEYGEN_WEBHOOK_SECRET")?)?;
//!     let inbox = SqliteInbox::open("heygen-inbox.db")?;
//!     serve("127.0.0.1:8080", secret, inbox, async |delivery: Delivery| {
//!         let event = delivery.event()?;
//!         println!("{}: {:?}", event.event_name(), event.media_url());
//!         Ok::<(), Box<dyn std::error::Error>>(())
//!     })
//!     .await?;
//!     Ok(())
//! }
//! # #[cfg(not(feature = "sqlite"))]
//! # fn main() {}
//! ```
//!
//! | you want | take |
//! |---|---|
//! | all of it, as above | [`serve`] |
//! | the webhook inside a server of your own | [`Receiver`], a `tower` service, and a [`Dispatcher`] beside it |
//! | verified, typed events and nothing else | [`Unverified`], without default features |
//!
//! # Features
//!
//! - `sqlite` (default): `heygen-inbox` with its SQLite store.
//! - `command`: [`handlers`] has `Command`, which runs a program for each delivery.
//! - `forward`: [`handlers`] has `Forward`, which sends each delivery on to an application.
//! - `lines`: [`handlers`] has `Lines`, which writes a line for each delivery.
//! - `rules`: [`handlers`] has `Rules`, which chooses a handler by the event's name.
//! - `sqlite` (default): `heygen-inbox` with its SQLite store; a ring of rejected posts is an [`Observer`].
//! - `metrics`: `Metrics`, an [`Observer`] that counts for Prometheus.
//! - `tls`: `ServerTls`, with which [`Server`] speaks TLS itself.
//! - `admin`: `Admin`, a listener apart for health, readiness and metrics.
//!
//! HeyGen's management API is not spoken here.
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

#[cfg(feature = "admin")]
mod admin;
mod callback_tokens;
mod caught;
mod delivery;
mod destination;
mod dispatcher;
mod handler;
pub mod handlers;
mod limits;
#[cfg(feature = "metrics")]
mod metrics;
mod observer;
mod rejection;
mod retention;
mod schedule;
mod secrets;
mod serve;
mod server;
mod service;
mod unverified;

pub use heygen_signature::{Secret, Secrets};

#[cfg(feature = "admin")]
pub use admin::{Admin, AdminPages};
pub use callback_tokens::{CallbackTokenError, CallbackTokenErrorKind, CallbackTokens};
pub use delivery::Delivery;
pub use dispatcher::{DispatchOptions, Dispatcher};
pub use handler::{Disposition, Handler};
pub use limits::Limits;
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
pub use observer::{
    ObservedAttempt, ObservedDelivery, ObservedPost, ObservedRejection, Observer, Observers,
};
pub use rejection::Rejection;
pub use retention::Retention;
pub use schedule::RetrySchedule;
pub use secrets::ActiveSecrets;
pub use serve::serve;
pub use server::Server;
#[cfg(feature = "tls")]
pub use server::{ServerTls, TlsError, TlsErrorKind};
pub use service::{Receiver, ReceiverOptions};
pub use unverified::{Unverified, Verified};

/// The examples of the README compile and hold.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
