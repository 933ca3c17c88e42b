//! Ready-made [`Handler`](crate::Handler)s, each in a feature of its own, and [`BoxHandler`] for keeping different ones in
//! one place.

mod boxed;
#[cfg(feature = "rules")]
mod rules;

pub use boxed::BoxHandler;
#[cfg(feature = "rules")]
pub use rules::{Pattern, PatternError, PatternErrorKind, Rules};
