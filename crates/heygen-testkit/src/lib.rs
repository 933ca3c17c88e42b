//! Test a HeyGen webhook handler without HeyGen: sample events, payload builders, and a sender that behaves as HeyGen does.
//!
//! - [`fixtures`]: bodies of all known events, compiled in: documented, observed, odd and malformed ones.
//! - [`EventBuilder`]: a body of your own, made from the sample of an event.
//! - [`signed_request`]: a signed delivery as a value, for a handler that can be called without a socket.
//! - [`Sender`]: probes and deliveries over HTTP, with HeyGen's time limits, retries and duplicates.
//! - `drill`, behind the feature of that name: all of that against an endpoint in any language, and a scorecard.
//! - `sandbox`, behind the feature of that name: HeyGen's webhook API on loopback, v1 and v3, which delivers signed events.
//!
//! # A handler's test, in five lines
//!
//! ```
//! use heygen_testkit::{EventBuilder, signed_request};
//! # use bytes::Bytes;
//! # use heygen_events::Event;
//! # use heygen_signature::{Secret, Secrets, verify};
//! # use http::{Request, Response, StatusCode};
//! # use http_body_util::{BodyExt, Full};
//! # // What is tested: a handler as any server has it.
//! # async fn handle(request: Request<Full<Bytes>>, secrets: &Secrets) -> Response<String> {
//! #     let (head, body) = request.into_parts();
//! #     let Ok(body) = body.collect().await.map(|body| body.to_bytes());
//! #     let pairs = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
//! #     let verdict = verify(pairs, &body, secrets);
//! #     let event = Event::from_slice(&body).ok();
//! #     let mut response = Response::new(event.and_then(|event| Some(event.failure_message()?.to_owned())).unwrap_or_default());
//! #     if verdict.is_err() { *response.status_mut() = StatusCode::UNAUTHORIZED; }
//! #     response
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = Secret::new("whsec_test")?;
//! # let secrets = Secrets::from(secret.clone());
//!
//! let body = EventBuilder::new("avatar_video.fail").set("msg", "no voice").body();
//! let response = handle(signed_request("/webhooks/heygen", body, &secret), &secrets).await;
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.body(), "no voice");
//! # let unsigned = Request::post("/").body(Full::from("{}"))?;
//! # assert_eq!(handle(unsigned, &secrets).await.status(), 401);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! - `drill`: the module of that name, and with it tokio's tasks.
//! - `sandbox`: the module of that name, and with it a server.
//! - `tls`: [`Sender`] also sends to `https` addresses, by rustls with ring and the certificates of the system.
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod builder;
#[cfg(feature = "drill")]
pub mod drill;
pub mod fixtures;
mod json;
mod random;
mod request;
#[cfg(feature = "sandbox")]
pub mod sandbox;
mod sender;

pub use builder::EventBuilder;
pub use request::signed_request;
pub use sender::{
    Answer, Attempt, AttemptError, AttemptErrorKind, Delays, DeliveryReport, ProbeReport,
    RetryPolicy, SendError, SendErrorKind, Sender,
};

/// The examples of the README compile and hold.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
