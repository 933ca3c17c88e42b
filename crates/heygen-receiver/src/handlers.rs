//! Ready-made [`Handler`](crate::Handler)s, each behind a feature, and [`BoxHandler`] for storing
//! handlers of different types.
//!
//! ```
//! # #[cfg(all(feature = "command", feature = "forward", feature = "rules"))]
//! # fn wire() -> Result<(), Box<dyn std::error::Error>> {
//! use heygen_inbox::MemoryInbox;
//! use heygen_receiver::handlers::{Command, Forward, Rules};
//! use heygen_receiver::{Dispatcher, Secret};
//!
//! // A script sends an alert for failures; the application gets everything else.
//! let secret = Secret::new("whsec_test")?;
//! let rules = Rules::new()
//!     .on("*.fail".parse()?, Command::new("./send-alert.sh"))
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
pub use forward::{Forward, ForwardError, ForwardErrorKind, ForwardOptions, ForwardProxy};
#[cfg(feature = "lines")]
pub use lines::{LineSink, Lines};
#[cfg(feature = "rules")]
pub use rules::{Pattern, PatternError, PatternErrorKind, Rules};
