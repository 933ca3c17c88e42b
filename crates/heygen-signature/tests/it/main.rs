//! The public API: every diagnosis, every text.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod diagnosis;
mod hostile;
mod invariants;
mod texts;
mod vectors;
