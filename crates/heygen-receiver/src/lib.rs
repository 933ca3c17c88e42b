#![cfg_attr(feature = "sqlite", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "sqlite"),
    doc = "Receives HeyGen webhooks. The examples need the feature `sqlite`."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

#[cfg(feature = "admin")]
mod admin;
mod callback_tokens;
mod dead_letter_hook;
mod delivery;
mod destination;
mod dispatcher;
mod handler;
pub mod handlers;
mod limits;
mod listener;
#[cfg(feature = "metrics")]
mod metrics;
mod observer;
mod panics;
mod rejection;
mod retention;
mod schedule;
mod secrets;
mod serve;
mod server;
mod service;
mod setters;
mod unverified;

pub use heygen_signature::{Secret, Secrets};

#[cfg(feature = "admin")]
pub use admin::{Admin, AdminPages};
pub use callback_tokens::{CallbackTokenError, CallbackTokenErrorKind, CallbackTokens};
pub use dead_letter_hook::{DeadLetterHook, DeadLetterHookOptions};
pub use delivery::Delivery;
pub use dispatcher::{DispatchOptions, Dispatcher};
pub use handler::{Disposition, Handler};
pub use limits::Limits;
pub use listener::{ListenAddress, Listener};
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
pub use observer::{
    ObservedAttempt, ObservedDelivery, ObservedPost, ObservedRejection, Observer, Observers,
};
pub use rejection::Rejection;
pub use retention::Retention;
pub use schedule::RetrySchedule;
pub use secrets::ActiveSecrets;
pub use serve::{serve, serve_until};
pub use server::Server;
#[cfg(feature = "tls")]
pub use server::{ServerTls, TlsError, TlsErrorKind};
pub use service::{Receiver, ReceiverOptions};
pub use unverified::{Unverified, Verified};
