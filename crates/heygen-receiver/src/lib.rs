#![cfg_attr(
    all(feature = "server", feature = "sqlite"),
    doc = include_str!("../README.md")
)]
#![cfg_attr(
    not(all(feature = "server", feature = "sqlite")),
    doc = "Receives HeyGen webhooks. The examples need the features `server` and `sqlite`."
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

#[cfg(feature = "admin")]
mod admin;
mod callback_tokens;
#[cfg(feature = "inbox")]
mod dead_letter_hook;
#[cfg(feature = "inbox")]
mod delivery;
#[cfg(feature = "inbox")]
mod destination;
#[cfg(feature = "inbox")]
mod dispatcher;
#[cfg(feature = "inbox")]
mod handler;
#[cfg(feature = "inbox")]
pub mod handlers;
#[cfg(feature = "inbox")]
mod limits;
#[cfg(feature = "inbox")]
mod line_throttle;
#[cfg(feature = "server")]
mod listener;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "server")]
mod not_http;
#[cfg(feature = "inbox")]
mod observer;
#[cfg(feature = "inbox")]
mod panics;
mod rejection;
#[cfg(feature = "inbox")]
mod retention;
#[cfg(feature = "inbox")]
mod running_time;
#[cfg(feature = "inbox")]
mod schedule;
mod secrets;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "inbox")]
mod service;
#[cfg(feature = "inbox")]
mod setters;
mod unverified;

pub use heygen_signature::{Secret, Secrets};

#[cfg(feature = "admin")]
pub use admin::{Admin, AdminPages};
pub use callback_tokens::{CallbackTokenError, CallbackTokenErrorKind, CallbackTokens};
#[cfg(feature = "inbox")]
pub use dead_letter_hook::{DeadLetterHook, DeadLetterHookOptions};
#[cfg(feature = "inbox")]
pub use delivery::Delivery;
#[cfg(feature = "inbox")]
pub use dispatcher::{DispatchOptions, Dispatcher};
#[cfg(feature = "inbox")]
pub use handler::{Disposition, Handler};
#[cfg(feature = "inbox")]
pub use limits::Limits;
#[cfg(feature = "server")]
pub use listener::{ListenAddress, Listener};
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
#[cfg(feature = "inbox")]
pub use observer::{
    ObservedAttempt, ObservedDelivery, ObservedPost, ObservedRejection, Observer, Observers,
};
pub use rejection::Rejection;
#[cfg(feature = "inbox")]
pub use retention::Retention;
#[cfg(feature = "inbox")]
pub use schedule::RetrySchedule;
pub use secrets::ActiveSecrets;
#[cfg(feature = "server")]
pub use serve::{serve, serve_until};
#[cfg(feature = "server")]
pub use server::Server;
#[cfg(feature = "tls")]
pub use server::{ServerTls, TlsError, TlsErrorKind};
#[cfg(feature = "inbox")]
pub use service::{Receiver, ReceiverOptions};
pub use unverified::{Unverified, Verified};
