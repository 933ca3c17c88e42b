//! Fixtures and sender as their users see them.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its report")]

#[cfg(feature = "drill")]
mod drill;
mod fixtures;
#[cfg(feature = "sandbox")]
mod sandbox;
mod sender;
mod server;
mod texts;
