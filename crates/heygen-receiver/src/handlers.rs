//! Ready-made [`Handler`](crate::Handler)s, each in a feature of its own, and [`BoxHandler`] for keeping different ones in
//! one place.
//!
//! ```
//! # #[cfg(all(feature = "command", feature = "forward", feature = "rules"))]
//! # fn wire() -> Result<(), Box<dyn std::error::Error>> {
//! use heygen_inbox::MemoryInbox;
//! use heygen_receiver::handlers::{Command, Forward, Rules};
//! use heygen_receiver::{Dispatcher, Secret};
//!
//! // Failures are told to somebody at once; the application gets everything else.
//! let secret = Secret::new("whsec_test")?;
//! let rules = Rules::new()
//!     .on("*.fail".parse()?, Command::new("./tell-somebody.sh"))
//!     .otherwise(Forward::new("http://127.0.0.1:3000/heygen", secret)?);
//! let dispatcher = Dispatcher::new(MemoryInbox::new(), rules);
//! # let _ = dispatcher;
//! # Ok(())
//! # }
//! # #[cfg(all(feature = "command", feature = "forward", feature = "rules"))]
//! # wire().unwrap();
//! ```

mod boxed;
#[cfg(feature = "command")]
mod command;
#[cfg(feature = "forward")]
mod forward;
#[cfg(feature = "lines")]
mod lines;
#[cfg(feature = "rules")]
mod rules;
#[cfg(any(feature = "command", feature = "forward", feature = "lines"))]
mod timestamp;

pub use boxed::BoxHandler;
#[cfg(feature = "command")]
pub use command::Command;
#[cfg(feature = "forward")]
pub use forward::{Forward, ForwardError, ForwardErrorKind, ForwardOptions};
#[cfg(feature = "lines")]
pub use lines::Lines;
#[cfg(feature = "rules")]
pub use rules::{Pattern, PatternError, PatternErrorKind, Rules};
