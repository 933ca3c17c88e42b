//! [`ForwardProxy`]: the HTTP proxy between us and an application.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use super::error::ForwardError;

/// An HTTP proxy that deliveries are forwarded through: with `CONNECT` to an `https` address, with the
/// whole address in the request line to an `http` one.
///
/// `localhost` and loopback addresses are always reached directly: the proxy's own are another
/// machine's. `Debug` hides the user and the password.
#[derive(Clone)]
pub struct ForwardProxy {
    url: Url,
    direct: String,
}

impl ForwardProxy {
    /// The proxy at `url`, `http` or `https`, with a user and a password if it wants them.
    ///
    /// # Errors
    ///
    /// [`ForwardErrorKind::Proxy`](super::ForwardErrorKind::Proxy) for anything else.
    pub fn new(url: &str) -> Result<Self, ForwardError> {
        let url = Url::parse(url.trim()).map_err(|_| ForwardError::proxy())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(ForwardError::proxy());
        }
        Ok(Self {
            url,
            direct: "localhost,127.0.0.0/8,::1".to_owned(),
        })
    }

    /// Hosts that are reached directly too, as in the variable `NO_PROXY`: names with all below them,
    /// addresses and networks, separated by commas; `*` for all.
    #[must_use]
    pub fn except(mut self, hosts: &str) -> Self {
        self.direct.push(',');
        self.direct.push_str(hosts);
        self
    }

    /// Whether the address holds a user or a password.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        !self.url.username().is_empty() || self.url.password().is_some()
    }

    pub(super) fn matcher(&self) -> Matcher {
        Matcher::builder()
            .all(self.url.as_str())
            .no(self.direct.as_str())
            .build()
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
}

/// Without user and password.
impl fmt::Display for ForwardProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (self.url.scheme(), self.url.host_str().unwrap_or_default());
        write!(f, "{scheme}://{host}")?;
        match self.url.port() {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ForwardProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardProxy")
            .field("url", &self.to_string())
            .field("direct", &self.direct)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_is_http_and_hides_its_password() {
        for wrong in ["", "proxy:3128", "socks5://proxy", "http://", "3128"] {
            assert!(ForwardProxy::new(wrong).is_err(), "{wrong}");
        }
        let proxy = ForwardProxy::new("http://me:hush@proxy.example:3128/").expect("a proxy");
        assert_eq!(proxy.to_string(), "http://proxy.example:3128");
        assert!(proxy.has_credentials());
        assert!(!format!("{proxy:?}").contains("hush"));
    }

    #[track_caller]
    fn check(target: &str, is_proxied: bool) {
        let proxy = ForwardProxy::new("http://proxy:3128").expect("a proxy");
        let matcher = proxy.except("internal.example, 10.0.0.0/8").matcher();
        let target = target.parse().expect("an address");
        assert_eq!(matcher.intercept(&target).is_some(), is_proxied, "{target}");
    }

    #[test]
    fn this_machine_and_exceptions_are_reached_directly() {
        for direct in [
            "http://localhost:3000/x",
            "http://127.0.0.1:3000/",
            "http://127.8.9.1/",
            "http://[::1]:3000/",
            "https://app.internal.example/",
            "http://10.1.2.3/",
        ] {
            check(direct, false);
        }
        for proxied in [
            "https://hooks.example/",
            "http://192.0.2.1/",
            "http://localhost.example/",
        ] {
            check(proxied, true);
        }
    }
}
