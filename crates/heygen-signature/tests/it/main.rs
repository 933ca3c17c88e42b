//! The crate as its users see it: every diagnosis, every sentence.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod diagnosis;
mod hostile;
mod invariants;
mod texts;
