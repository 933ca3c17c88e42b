//! Ports that stay ours while the server behind them is away.
//!
//! A port of the kernel's own choice lies in the range for outgoing connections. While its server is down any
//! connection may get it, even one to that very port: a client that reconnects in a loop then talks to itself. So ports
//! are taken from below that range.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};

const LOWEST: u16 = 10_000;

/// Where Linux begins unless it is set otherwise; other systems begin later.
const USUAL_END: u16 = 32_768;

const TRIES: u32 = 1000;

/// A port on loopback that no one listens on.
///
/// Another process may take it before its server does; the start tries again with another port then.
pub(crate) fn free() -> Result<SocketAddr> {
    let end = outgoing_from().unwrap_or(USUAL_END).max(LOWEST + 1000);
    for _ in 0..TRIES {
        let random = getrandom::u32().context("the system gives no random numbers")?;
        let port = LOWEST + (random % u32::from(end - LOWEST)) as u16;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("found no free port from {LOWEST} to {end}")
}

/// The first port for outgoing connections, where the system tells.
fn outgoing_from() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_not_for_outgoing_connections() {
        let address = free().unwrap();
        assert!(address.port() >= LOWEST);
        if let Some(first) = outgoing_from().filter(|&first| first >= LOWEST + 1000) {
            assert!(address.port() < first, "{address}");
        }
        assert!(TcpListener::bind(address).is_ok());
    }
}
