//! Ready-made [`Handler`](crate::Handler)s, each in a feature of its own, and [`BoxHandler`] for keeping different ones in
//! one place.

mod boxed;
#[cfg(feature = "lines")]
mod lines;
#[cfg(feature = "rules")]
mod rules;
#[cfg(feature = "lines")]
mod timestamp;

pub use boxed::BoxHandler;
#[cfg(feature = "lines")]
pub use lines::Lines;
#[cfg(feature = "rules")]
pub use rules::{Pattern, PatternError, PatternErrorKind, Rules};
