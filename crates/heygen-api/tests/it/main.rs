//! The client as its users see it, against a server on loopback that plays answers written down
//! from the documentation.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod answers;
mod errors;
mod lists;
mod retries;
mod secrets;
mod server;
mod setup;
mod v1;
mod v3;
