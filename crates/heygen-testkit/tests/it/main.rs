//! Fixtures and sender as their users see them.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod fixtures;
mod sender;
mod server;
mod texts;
