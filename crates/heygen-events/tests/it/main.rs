//! What a user of the crate sees, through its public API alone.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]
#![expect(
    clippy::needless_pass_by_value,
    reason = "a row of a table reads better without borrows"
)]

mod bodies;
mod containers;
mod errors;
mod event_type;
mod fixtures;
mod hostile;
mod ids;
mod invariants;
mod outcome;
mod pattern;
mod questions;
#[cfg(feature = "schema")]
mod schemas;
mod text;
mod tolerance;
