//! [`Local`]: where a `serve` of this environment and file listens, as it is reached from this machine.

use crate::failure::Failure;
use crate::settings::receiver::{Listen, Tls};
use crate::settings::socket::Socket;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Local {
    pub(crate) is_tls: bool,
    /// Host and port; port 0 where each start takes another. Or a [`Socket`].
    pub(crate) address: String,
    pub(crate) path: String,
    /// Whether the address was said, or is the one of a `serve` of which nothing is said.
    pub(crate) is_named: bool,
}

impl Local {
    pub(crate) fn of(listen: &Listen, tls: &Tls) -> Result<Self, Failure> {
        Ok(Self {
            is_tls: tls.tls_cert.is_some(),
            is_named: listen.is_given(),
            address: from_here(&listen.address()?),
            path: listen.path().to_owned(),
        })
    }

    pub(crate) fn url(&self) -> Result<String, Failure> {
        if Socket::is_one(&self.address) {
            return Err(Failure::usage(format!(
                "`serve` listens on {}, which has no URL: give the address of the proxy in front of it with --to",
                self.address
            )));
        }
        if self.address.ends_with(":0") {
            return Err(Failure::usage(
                "`serve` picks another port at each start (`listen` has port 0): give the address that it prints with --to",
            ));
        }
        let scheme = if self.is_tls { "https" } else { "http" };
        Ok(format!("{scheme}://{}{}", self.address, self.path))
    }
}

/// What listens everywhere is reached on this machine's own address.
pub(crate) fn from_here(address: &str) -> String {
    match address.rsplit_once(':') {
        Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, expected: Result<&str, &str>) {
        let listen: Listen = toml::from_str(file).expect("a configuration");
        let tls: Tls = toml::from_str(file).expect("a configuration");
        let url = Local::of(&listen, &tls).and_then(|local| local.url());
        match (url, expected) {
            (Ok(url), Ok(expected)) => assert_eq!(url, expected),
            (Err(failure), Err(expected)) => {
                assert!(failure.to_string().contains(expected), "{failure}");
            }
            (found, _) => panic!("{found:?}"),
        }
    }

    #[test]
    fn where_serve_is_reached_from_here() {
        check("", Ok("http://127.0.0.1:8080/webhooks/heygen"));
        check(
            "listen = \"127.0.0.1:18200\"\npath = \"/h\"",
            Ok("http://127.0.0.1:18200/h"),
        );
        check(
            "listen = \"0.0.0.0:80\"",
            Ok("http://127.0.0.1:80/webhooks/heygen"),
        );
        check(
            "listen = \"[::]:80\"",
            Ok("http://[::1]:80/webhooks/heygen"),
        );
        check(
            "listen = \"0.0.0.0:443\"\ntls-cert = \"a.pem\"\ntls-key = \"b.pem\"",
            Ok("https://127.0.0.1:443/webhooks/heygen"),
        );
        check("listen = \"127.0.0.1:0\"", Err("--to"));
        check("listen = \"unix:/run/x.sock\"", Err("the proxy in front"));
        check("listen = \"systemd\"", Err("the proxy in front"));
        check(
            "listen = \"8081\"",
            Ok("http://127.0.0.1:8081/webhooks/heygen"),
        );
        check("listen = \"0.0.0.0\"", Err("did you mean 0.0.0.0:8080?"));
    }
}
