//! HeyGen's sender against an endpoint in any language: probe, deliveries as they should be, forged and odd ones, a burst.
//!
//! Every request is a real one: what the endpoint accepts, its application acts on. The bodies are samples with fresh ids,
//! and where a body may have a `callback_id` it is [`CALLBACK_ID`], so that what a drill left behind can be found.
//!
//! # Examples
//!
//! ```no_run
//! use heygen_signature::Secret;
//! use heygen_testkit::drill::{Drill, Verdict};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let drill = Drill::new("http://127.0.0.1:8080/webhooks/heygen").secret(Secret::new("whsec_test")?);
//! let scorecard = drill
//!     .run(|result| println!("{} {}: {}", result.verdict.as_str(), result.check.title(), result.seen))
//!     .await?;
//! assert!(scorecard.passed());
//! # Ok(())
//! # }
//! ```

mod bodies;
mod check;
mod run;
mod scorecard;
mod setup;

pub use bodies::CALLBACK_ID;
pub use check::Check;
pub use scorecard::{CheckResult, Scorecard, Verdict};
pub use setup::Drill;
