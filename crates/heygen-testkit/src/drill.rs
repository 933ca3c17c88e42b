//! Checks an endpoint in any language: a probe, valid, forged and odd deliveries, and a burst.
//!
//! All requests are real: the application acts on what its endpoint accepts. The bodies are samples
//! with new ids. Their `callback_id` is [`CALLBACK_ID`] where possible, so you can find what a
//! drill left.
//!
//! # Examples
//!
//! ```no_run
//! use heygen_signature::Secret;
//! use heygen_testkit::drill::{Drill, Verdict};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let drill = Drill::new("http://127.0.0.1:8080/webhooks/heygen")
//!     .secret(Secret::new("whsec_test")?);
//! let scorecard = drill
//!     .run(|result| println!("{} {}", result.verdict.as_str(), result.check.title()))
//!     .await?;
//! assert!(scorecard.passed());
//! # Ok(())
//! # }
//! ```

mod bodies;
mod check;
mod mistake;
mod run;
mod scorecard;
mod setup;

pub use bodies::CALLBACK_ID;
pub use check::Check;
pub use mistake::Mistake;
pub use scorecard::{CheckResult, Scorecard, Verdict};
pub use setup::Drill;
