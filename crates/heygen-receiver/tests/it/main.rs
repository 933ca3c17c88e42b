//! The receiver over real sockets, and the dispatcher over real inboxes.

#![expect(clippy::unwrap_used, reason = "a panic in a test is its report")]

#[cfg(feature = "admin")]
mod admin;
mod answers;
#[cfg(feature = "forward")]
mod application;
mod callbacks;
mod client;
#[cfg(all(feature = "command", unix))]
mod command;
mod connections;
mod dead_letter_hook;
mod destinations;
mod dispatcher;
mod dispatcher_end;
#[cfg(feature = "sqlite")]
mod dispatcher_order;
#[cfg(feature = "forward")]
mod forward;
#[cfg(all(feature = "forward", feature = "tls"))]
mod forward_route;
#[cfg(any(
    all(feature = "command", unix),
    feature = "forward",
    feature = "lines",
    feature = "rules"
))]
mod handler_run;
mod hostile;
mod http2;
mod invariants;
mod limits;
#[cfg(feature = "lines")]
mod lines;
#[cfg(feature = "metrics")]
mod metrics;
mod mounting;
mod observers;
mod panics;
mod probes;
mod retention;
#[cfg(feature = "rules")]
mod rules;
mod shutdown;
mod signature;
mod support;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix_socket;
