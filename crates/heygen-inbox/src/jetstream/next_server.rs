//! [`NextServer`]: which server to connect to after a disconnect.
//!
//! The client library chooses the server that failed least. That is the one it just left if each of
//! the others was ever down; when we leave a server because it is cut off from the rest, we would be
//! back there at once.

use std::sync::{Arc, Mutex, PoisonError};

use async_nats::{ReconnectToServer, Server, ServerInfo};

/// Goes through all servers in turn, and so ends with the one it was connected to.
#[derive(Clone, Debug, Default)]
pub(super) struct NextServer {
    /// Which was tried last.
    at: Arc<Mutex<Option<usize>>>,
}

impl NextServer {
    /// `last` is the server it was connected to; `None` leaves the choice to the library.
    pub(super) fn choose(
        &self,
        servers: &[Server],
        last: &ServerInfo,
    ) -> Option<ReconnectToServer> {
        let is_first = last.server_id.is_empty();
        if is_first || servers.is_empty() {
            return None;
        }
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last =
            |server: &Server| server.addr.host() == last.host && server.addr.port() == last.port;
        let left = at.or_else(|| servers.iter().position(is_last));
        // In one direction or the other, so that not all clients of a server go to the same one.
        let step = match last.client_id % 2 {
            0 => 1,
            _ => servers.len() - 1,
        };
        let next = (left.unwrap_or_default() + step) % servers.len();
        *at = Some(next);
        let addr = servers.get(next)?.addr.clone();
        Some(ReconnectToServer { addr, delay: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(failed_attempts: [usize; 3]) -> Vec<Server> {
        let names = ["nats://a:4222", "nats://b:4222", "nats://c:4222"];
        let servers = names.into_iter().zip(failed_attempts);
        servers
            .map(|(name, failed_attempts)| Server {
                addr: name.parse().unwrap(),
                failed_attempts,
                did_connect: true,
                is_discovered: false,
                last_error: None,
            })
            .collect()
    }

    fn info(name: &str, client_id: u64) -> ServerInfo {
        ServerInfo {
            server_id: name.to_owned(),
            host: name.to_owned(),
            port: 4222,
            client_id,
            ..ServerInfo::default()
        }
    }

    #[track_caller]
    fn check(next: &NextServer, servers: &[Server], last: &ServerInfo, expected: &str) {
        let chosen = next.choose(servers, last).map(|chosen| chosen.addr);
        assert_eq!(chosen.unwrap().host(), expected);
    }

    #[test]
    fn the_server_that_was_left_comes_last_however_often_the_others_failed() {
        let servers = servers([0, 3, 5]);
        let next = NextServer::default();
        assert!(next.choose(&servers, &ServerInfo::default()).is_none());
        let at_a = info("a", 4);
        for expected in ["b", "c", "a", "b", "c"] {
            check(&next, &servers, &at_a, expected);
        }
        // Connected to c, which reports another host than the one in the address.
        let at_c = info("0.0.0.0", 4);
        for expected in ["a", "b", "c"] {
            check(&next, &servers, &at_c, expected);
        }
        // And again to c, for which the server has another number.
        check(&next, &servers, &info("0.0.0.0", 5), "b");
    }

    #[test]
    fn clients_of_one_server_go_to_different_others() {
        let servers = servers([0; 3]);
        check(&NextServer::default(), &servers, &info("b", 6), "c");
        check(&NextServer::default(), &servers, &info("b", 7), "a");
        check(&NextServer::default(), &servers[..1], &info("a", 7), "a");
        assert!(NextServer::default().choose(&[], &info("a", 7)).is_none());
    }
}
