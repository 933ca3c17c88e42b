//! Real `nats-server` processes on loopback, for tests, `cargo xtask faults` and `cargo xtask bench`.
//!
//! [`Program`] is which server: the current one, or Debian's. `cargo xtask nats` brings both. [`Server`] is one process
//! with JetStream in a temporary folder, [`Cluster`] several that form one. They can be killed, paused and started again
//! on the same ports and data, and a node of a cluster can be cut off from the others. Nothing here speaks the protocol
//! of NATS: what a server does is read from its monitoring port.
//!
//! ```no_run
//! use xtask_nats::{Options, Program, Server};
//!
//! # fn main() -> anyhow::Result<()> {
//! let mut server = Server::start(Program::Current, &Options::new())?;
//! println!("publish to {}", server.url());
//! server.kill()?;
//! server.restart()?;
//! # Ok(())
//! # }
//! ```

#![expect(
    clippy::missing_errors_doc,
    reason = "an error here fails a test, which shows it: no caller acts on either"
)]

mod cluster;
mod folder;
mod gate;
mod monitor;
mod options;
mod ports;
mod program;
mod server;
mod wait;

pub use cluster::Cluster;
pub use folder::folder;
pub use options::Options;
pub use program::{Program, version_of};
pub use server::Server;
pub use wait::{PATIENCE, until};
