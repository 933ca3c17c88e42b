//! The built binary, used as a user would: by its arguments, its output, its exit status and its signals.

#![expect(clippy::expect_used, reason = "a panic in a test is its report")]

mod backfill;
#[cfg(unix)]
mod check;
#[cfg(unix)]
mod completions;
mod config_show;
mod configuration_sources;
mod crash;
#[cfg(unix)]
mod dashboard;
mod dedup;
mod deploy;
#[cfg(unix)]
mod dev;
#[cfg(unix)]
mod dispatch;
mod doctor;
mod drill;
mod endpoint;
mod event_names;
#[cfg(unix)]
mod forward;
#[cfg(unix)]
mod forward_route;
#[cfg(unix)]
mod handlers;
mod health;
#[cfg(unix)]
mod hostile;
mod http;
mod identity;
mod inbox;
#[cfg(unix)]
mod json_keys;
#[cfg(unix)]
mod leaks;
mod management;
#[cfg(unix)]
mod monitoring;
#[cfg(unix)]
mod moved;
#[cfg(unix)]
mod nats;
#[cfg(target_os = "linux")]
mod notify;
mod offline;
#[cfg(unix)]
mod operations;
mod outage;
#[cfg(target_os = "linux")]
mod output;
#[cfg(unix)]
mod promises;
mod registration;
mod sandbox;
#[cfg(unix)]
mod secret_spelling;
mod serve;
mod serve_sandbox;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod sockets;
mod start;
mod support;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod tls;
mod trigger;
mod tunnel;
#[cfg(unix)]
mod variables;
