//! The built binary, used as a user would: by its arguments, its output, its exit status and its signals.

#![expect(clippy::expect_used, reason = "a panic in a test is its report")]

mod backfill;
#[cfg(unix)]
mod check;
mod config;
mod config_show;
mod crash;
mod dedup;
mod deploy;
#[cfg(unix)]
mod dev;
#[cfg(unix)]
mod dispatching;
mod doctor;
mod drill;
mod endpoint;
#[cfg(unix)]
mod forward;
#[cfg(unix)]
mod handing_out;
#[cfg(unix)]
mod hostile;
mod identity;
mod inbox;
#[cfg(unix)]
mod leaks;
mod looking;
mod management;
#[cfg(unix)]
mod marks;
#[cfg(unix)]
mod moved;
mod names;
#[cfg(unix)]
mod nats;
#[cfg(unix)]
mod operations;
mod outage;
#[cfg(target_os = "linux")]
mod output;
mod places;
#[cfg(unix)]
mod promises;
mod registration;
mod sandbox;
mod serve;
mod show;
#[cfg(unix)]
mod signals;
mod start;
mod support;
#[cfg(unix)]
mod tls;
mod trigger;
mod tunnel;
#[cfg(unix)]
mod variables;
