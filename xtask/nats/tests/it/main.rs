//! Real servers, of both programs. `cargo xtask nats` brings them.

mod client;
mod cluster;
mod server;
