//! The public interface of the testkit.

#![cfg_attr(
    feature = "sender",
    expect(clippy::unwrap_used, reason = "a panic in a test is its report")
)]

#[cfg(feature = "drill")]
mod drill;
mod fixtures;
#[cfg(feature = "sandbox")]
mod sandbox;
#[cfg(feature = "sender")]
mod sender;
#[cfg(feature = "sender")]
mod server;
#[cfg(feature = "sender")]
mod texts;
