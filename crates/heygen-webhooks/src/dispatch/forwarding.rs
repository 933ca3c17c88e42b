//! [`Forwarding`]: how applications are reached: the certificates that are trusted, and the proxy.

use std::env;
use std::path::PathBuf;

use anyhow::Context as _;
use heygen_receiver::ActiveSecrets;
use heygen_receiver::handlers::{Forward, ForwardOptions, ForwardProxy};

use crate::failure::Failure;
use crate::settings::handlers::Handlers;
use crate::settings::origin;
use crate::settings::written;

#[derive(Clone, Debug, Default)]
pub(super) struct Forwarding {
    /// In PEM.
    authorities: Option<String>,
    proxy: Option<ForwardProxy>,
}

impl Forwarding {
    pub(super) fn of(handlers: &Handlers) -> Result<Self, Failure> {
        let read = |path: &PathBuf| {
            let named = origin::name("forward-ca");
            written::read(path).with_context(|| format!("{named}: {}", path.display()))
        };
        let authorities = handlers.forward_ca.as_ref().map(read).transpose()?;
        let proxy = handlers.forward_proxy.as_deref().map(proxy).transpose()?;
        let forwarding = Self { authorities, proxy };
        forwarding.check()?;
        Ok(forwarding)
    }

    /// Whether names are looked up by someone else.
    pub(super) fn is_proxied(&self) -> bool {
        self.proxy.is_some()
    }

    pub(super) fn set(&self, options: &mut ForwardOptions) {
        options.certificate_authorities = self.authorities.clone().map(Into::into);
        options.proxy.clone_from(&self.proxy);
    }

    /// That the certificates are some, before anything is started.
    fn check(&self) -> Result<(), Failure> {
        let mut options = ForwardOptions::default();
        self.set(&mut options);
        if options.certificate_authorities.is_none() {
            return Ok(());
        }
        let secrets = ActiveSecrets::none();
        let built = Forward::with("https://localhost/", secrets, options).map(drop);
        let named = origin::name("forward-ca");
        Ok(built.with_context(|| format!("{named}: cannot set up TLS"))?)
    }
}

fn proxy(url: &str) -> Result<ForwardProxy, Failure> {
    let named = origin::name("forward-proxy");
    let proxy =
        ForwardProxy::new(url).map_err(|error| Failure::usage(format!("{named}: {error}")))?;
    if proxy.has_credentials() && named.starts_with("--") {
        return Err(Failure::usage(format!(
            "{named}: the process list shows a password: set HEYGEN_WEBHOOKS_FORWARD_PROXY, or `forward-proxy` in the configuration file"
        )));
    }
    let direct = ["NO_PROXY", "no_proxy"]
        .into_iter()
        .find_map(|name| env::var(name).ok());
    Ok(match direct {
        Some(hosts) => proxy.except(&hosts),
        None => proxy,
    })
}
