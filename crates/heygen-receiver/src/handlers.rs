//! Ready-made [`Handler`](crate::Handler)s, each in a feature of its own, and [`BoxHandler`] for keeping different ones in
//! one place.

#[cfg(any(feature = "command", feature = "forward"))]
mod authenticity;
mod boxed;
#[cfg(feature = "command")]
mod command;
#[cfg(feature = "forward")]
mod forward;
#[cfg(feature = "lines")]
mod lines;
#[cfg(any(feature = "command", feature = "forward"))]
mod printable;
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
