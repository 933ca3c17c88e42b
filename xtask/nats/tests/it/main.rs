//! Real servers, of both programs. `cargo xtask nats` brings them. That data outlives them, the tests of heygen-inbox show.

mod cluster;
mod server;
