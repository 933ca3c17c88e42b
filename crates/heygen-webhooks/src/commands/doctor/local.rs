//! The receiver on this machine: whether it listens where environment and configuration file say, and whether it is ready.

use std::time::Duration;

use heygen_testkit::Sender;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::finding::Finding;
use super::inputs::Inputs;
use super::sample::describe;
use crate::api::web;
use crate::failure::error_chain;
use crate::server::admin as admin_listener;
use crate::settings::admin::{ADMIN, AdminAddress};
use crate::settings::local::{Local, from_here};
use crate::settings::socket::Socket;

pub(super) struct LocalReceiver {
    receiver: Receiver,
    admin: Finding,
}

enum Receiver {
    /// Something there answers as a receiver does, or speaks TLS, which is not looked into.
    Listens(String),
    /// Nothing listens, or something else does.
    Missing(String),
    /// Where it listens is not known, and why.
    Unknown(&'static str),
}

pub(super) async fn probe(inputs: &Inputs) -> LocalReceiver {
    let receiver = receiver(&inputs.local).await;
    let is_there = matches!(receiver, Receiver::Listens(_));
    LocalReceiver {
        admin: admin(&inputs.admin, is_there).await,
        receiver,
    }
}

impl LocalReceiver {
    /// `is_expected` tells whether a receiver should run here: the inbox that it makes is here, or its address was named.
    /// `is_reached` tells whether a receiver answers at the public address, wherever it runs.
    pub(super) fn findings(
        self,
        local: &Local,
        is_expected: bool,
        is_reached: bool,
    ) -> Vec<Finding> {
        let receiver = match self.receiver {
            Receiver::Listens(what) => Finding::ok(ID, what),
            Receiver::Unknown(why) => Finding::skipped(ID, why),
            Receiver::Missing(what) if !is_expected => {
                Finding::skipped(ID, format!("no receiver found on this machine; {what}"))
            }
            Receiver::Missing(what) => {
                // One that was started with another --listen may be anywhere else.
                let is_problem = local.is_named && !is_reached;
                let fix = match local.is_named {
                    true => {
                        "start `serve`, or correct `listen` (--listen, HEYGEN_WEBHOOKS_LISTEN or the configuration file)"
                    }
                    false => {
                        "start `serve`; if it runs elsewhere or with another --listen, name that address with --listen"
                    }
                };
                Finding::bad(ID, is_problem, what, fix)
            }
        };
        vec![receiver, self.admin]
    }
}

async fn receiver(local: &Local) -> Receiver {
    let address = &local.address;
    match Socket::read("listen", address) {
        Ok(Some(Socket::Systemd(_))) => {
            return Receiver::Unknown("systemd decides where `serve` listens (`listen = systemd`)");
        }
        #[cfg(unix)]
        Ok(Some(Socket::Unix { path, .. })) => {
            return match timeout(TIME, tokio::net::UnixStream::connect(&path)).await {
                Ok(Ok(_)) => Receiver::Listens(format!("a server listens at {address}")),
                Ok(Err(error)) => {
                    Receiver::Missing(format!("nothing listens at {address}: {error}"))
                }
                Err(_) => Receiver::Missing(format!("nothing listens at {address}: no answer")),
            };
        }
        _ => {}
    }
    let Ok(url) = local.url() else {
        return Receiver::Unknown("`serve` picks another port at each start (`listen` has port 0)");
    };
    match timeout(TIME, TcpStream::connect(address)).await {
        Ok(Ok(_)) if local.is_tls => {
            return Receiver::Listens(format!("a server listens at {address}, for https"));
        }
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            return Receiver::Missing(format!("nothing listens at {address}: {error}"));
        }
        Err(_) => return Receiver::Missing(format!("nothing listens at {address}: no answer")),
    }
    match Sender::new(&url).probe().await {
        Ok(report) if report.passed() => Receiver::Listens(format!("answers at {url}")),
        Ok(report) => Receiver::Missing(format!(
            "no receiver answers at {url}: {}",
            describe(report.attempt())
        )),
        Err(error) => Receiver::Missing(format!("no receiver answers at {url}: {error}")),
    }
}

async fn admin(admin: &AdminAddress, is_receiver_there: bool) -> Finding {
    let (address, is_default) = match admin {
        AdminAddress::Off => return Finding::skipped(ADMIN_ID, "disabled: --admin off"),
        AdminAddress::Default => (ADMIN, true),
        AdminAddress::At(address) => (address.as_str(), false),
    };
    if !is_receiver_there {
        return Finding::skipped(ADMIN_ID, "no receiver was found on this machine");
    }
    if let Some(what) = how_to_ask(address) {
        return Finding::skipped(ADMIN_ID, what);
    }
    let address = from_here(address);
    let asked = async {
        let client = web::client(false)?;
        let url = format!("http://{address}/readyz");
        let answer = client.get(url).send().await;
        let answer = answer.map_err(|error| error_chain(&error.without_url()))?;
        if !admin_listener::has_answered(&answer) {
            return Err("another program answers".to_owned());
        }
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        Ok::<_, String>((status, text))
    };
    match timeout(TIME, asked).await {
        Ok(Ok((status, _))) if status.is_success() => Finding::ok(
            ADMIN_ID,
            format!("ready, according to http://{address}/readyz"),
        ),
        Ok(Ok((status, text))) => Finding::warn(
            ADMIN_ID,
            format!(
                "not ready, according to http://{address}/readyz: {status} {}",
                text.trim()
            ),
            "check the log of the receiver",
        ),
        Ok(Err(error)) => unreached(&address, &error, is_default),
        Err(_) => unreached(&address, "no answer", is_default),
    }
}

/// How a socket is asked, which has no URL; `None` where it is an address.
fn how_to_ask(address: &str) -> Option<String> {
    let how = match Socket::read("admin", address) {
        Ok(None) => return None,
        Ok(Some(Socket::Unix { .. })) => "`health --ready` asks it",
        // `serve` says at its start what is wrong with it.
        Err(_) => "see `serve --check`",
        // Only the unit knows where it is.
        Ok(Some(Socket::Systemd(_))) => {
            "name its file with `health --ready --admin unix:FILE`, or ask with `curl --unix-socket FILE http://localhost/readyz`"
        }
    };
    Some(format!("{address} is a socket: {how}"))
}

fn unreached(address: &str, error: &str, is_default: bool) -> Finding {
    let what = format!("no admin listener answers at {address}: {error}");
    match is_default {
        // Another process may have had the address when the receiver started, or it was given another one.
        true => Finding::skipped(ADMIN_ID, what),
        false => Finding::warn(ADMIN_ID, what, "use the --admin of the receiver here"),
    }
}

const ID: &str = "receiver";
const ADMIN_ID: &str = "receiver.admin";
const TIME: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_of_systemd_is_asked_by_its_file() {
        #[track_caller]
        fn check(address: &str, expected: Option<&str>) {
            let said = how_to_ask(address);
            let how = said.as_deref().and_then(|said| said.split(": ").nth(1));
            assert_eq!(
                how.map(|how| how.split(',').next().unwrap_or_default()),
                expected
            );
        }
        check("127.0.0.1:9180", None);
        check("unix:/run/a.sock", Some("`health --ready` asks it"));
        check("unix:@a", Some("see `serve --check`"));
        let by_file = Some("name its file with `health --ready --admin unix:FILE`");
        check("systemd", by_file);
        check("systemd:admin", by_file);
    }
}
