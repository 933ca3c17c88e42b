//! Listens where `--listen` and `--admin` say: on an address and a port, a Unix socket, or one that systemd passes.

use std::io;

use heygen_receiver::{ListenAddress, Listener};

use crate::failure::Failure;
use crate::settings::socket::Socket;

pub(crate) async fn bind(option: &str, address: &str) -> Result<io::Result<Listener>, Failure> {
    Ok(match Socket::read(option, address)? {
        None => Listener::bind(address).await,
        Some(Socket::Unix { path, mode }) => bind_unix(&path, mode).await,
        Some(Socket::Systemd(name)) => passed(name.as_deref()),
    })
}

/// What was bound, as its URL; that of a Unix socket as nginx writes it, `http://unix:/run/x.sock:/path`.
pub(crate) fn url(scheme: &str, address: &ListenAddress, path: &str) -> String {
    match address {
        ListenAddress::Unix(_) if !path.is_empty() => format!("{scheme}://{address}:{path}"),
        _ => format!("{scheme}://{address}{path}"),
    }
}

/// What `--check` says of an address that could be bound.
pub(crate) fn checked(address: &str) -> String {
    match address.starts_with("systemd") {
        true => format!("{address} passes a socket"),
        false => format!("{address} is free"),
    }
}

#[cfg(unix)]
async fn bind_unix(path: &std::path::Path, mode: u32) -> io::Result<Listener> {
    Listener::bind_unix(path, mode).await
}

#[cfg(unix)]
fn passed(name: Option<&str>) -> io::Result<Listener> {
    crate::process::activation::take(name)
}

/// Once every option has taken its own.
#[cfg(unix)]
pub(crate) fn warn_of_unserved() {
    crate::process::activation::warn_of_unserved();
}

#[cfg(not(unix))]
pub(crate) fn warn_of_unserved() {}

#[cfg(not(unix))]
async fn bind_unix(_: &std::path::Path, _: u32) -> io::Result<Listener> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn passed(_: Option<&str>) -> io::Result<Listener> {
    Err(io::ErrorKind::Unsupported.into())
}
