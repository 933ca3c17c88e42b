//! What `cargo xtask faults` and `cargo xtask bench` have in common.

#![expect(
    clippy::missing_errors_doc,
    reason = "every error ends the command, and says what failed"
)]

pub mod audit;
pub mod client;
pub mod event;
pub mod listener;
pub mod load;
pub mod page;
pub mod probes;
pub mod process;
pub mod report;
pub mod server;
pub mod testbed;
pub mod workspace;
