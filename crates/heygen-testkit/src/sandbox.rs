//! HeyGen's webhook API (v1 and v3) on loopback: stateful, with signed deliveries to registered
//! endpoints, and the routes that start jobs, whose events it sends.
//!
//! It is as strict as HeyGen documents, and misbehaves when a test asks for it. It speaks plain
//! HTTP, so any language can use it. `docs/sandbox.md` in the repository shows every call with
//! curl, and says what is documented about HeyGen and what is assumed.
//!
//! It renders nothing: a job ends after a second, and its links lead to the same small files. It
//! stores nothing on disk.
//!
//! # Examples
//!
//! The receiver under test gets one signed delivery:
//!
//! ```
//! use heygen_testkit::{EventBuilder, sandbox::Sandbox};
//!
//! # use std::convert::Infallible;
//! # use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
//! # let url = format!("http://{}/webhooks/heygen", listener.local_addr()?);
//! # tokio::spawn(async move {
//! #     while let Ok((stream, _)) = listener.accept().await {
//! #         let service = service_fn(async |_: Request<Incoming>| Ok::<_, Infallible>(Response::new(String::new())));
//! #         tokio::spawn(http1::Builder::new().serve_connection(hyper_util::rt::TokioIo::new(stream), service));
//! #     }
//! # });
//! let heygen = Sandbox::start().await?;
//! let secret = heygen.register(&url).await?.secret; // probes the URL, as HeyGen's v1 does
//! let event_id = heygen.send(EventBuilder::new("avatar_video.success"));
//!
//! heygen.settled().await;
//! assert_eq!(heygen.deliveries()[0].statuses(), [Some(200)]);
//! # assert_eq!(heygen.deliveries()[0].event_id, event_id);
//! # assert!(secret.expose().starts_with("whsec_"));
//! # Ok(())
//! # }
//! ```

mod answers;
mod api_error;
mod builder;
mod callers;
mod clock;
mod control;
mod delivery;
mod endpoint;
mod fault;
mod gate;
mod handle;
mod idempotency;
mod input;
mod job;
mod jobs;
mod media;
mod misbehaviour;
mod operation;
mod outgoing;
mod paging;
mod planned_delivery;
mod record;
mod registration;
mod reply;
mod routes;
mod server;
mod settings;
mod shared;
mod state;
mod v1;
mod v3;

pub use builder::Builder;
pub use endpoint::Endpoint;
pub use fault::Fault;
pub use handle::{RegisterError, Sandbox};
pub use misbehaviour::{Link, LogOrder, Misbehaviour};
pub use operation::{Operation, OperationError};
pub use outgoing::Outgoing;
pub use record::{Delivery, DeliveryAttempt, DeliveryState};
