//! The admin listener: where health, readiness and metrics are served.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::failure::Failure;
use crate::settings::web_address::{host_names, listen_address};

#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AdminListener {
    /// Address and port of the dashboard, /healthz, /readyz and /metrics, or `off`; like
    /// --listen it takes unix:PATH and systemd [default: 127.0.0.1:9180, if free]
    #[arg(long, value_name = "ADDRESS", env = "HEYGEN_WEBHOOKS_ADMIN")]
    admin: Option<String>,
}

#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct AdminHosts {
    /// Host name under which the admin listener answers, besides addresses and localhost: the name of
    /// a container or a service; repeatable
    #[arg(
        long,
        value_name = "NAME",
        env = "HEYGEN_WEBHOOKS_ADMIN_HOST",
        value_delimiter = ','
    )]
    admin_host: Vec<String>,
}

impl AdminHosts {
    pub(crate) fn names(&self) -> Result<Vec<String>, Failure> {
        host_names("admin-host", &self.admin_host)
    }
}

#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct DashboardAccess {
    /// File with the token that the dashboard asks for. Without one, an address that is not loopback
    /// has no dashboard
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_ADMIN_TOKEN_FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Ask for the token at /metrics too: `Authorization: Bearer TOKEN`, or a login
    #[arg(long, env = "HEYGEN_WEBHOOKS_ADMIN_PROTECT_METRICS", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) admin_protect_metrics: bool,
    /// Show a dashboard that changes nothing
    #[arg(long, env = "HEYGEN_WEBHOOKS_ADMIN_READ_ONLY", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) admin_read_only: bool,
}

/// Where the admin listener is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum AdminAddress {
    /// At the default address, if that is free.
    Default,
    /// There, and nowhere else.
    At(String),
    /// Nowhere.
    Off,
}

impl AdminListener {
    pub(crate) fn address(&self) -> Result<AdminAddress, Failure> {
        Ok(match self.admin.as_deref() {
            None => AdminAddress::Default,
            Some("off") => AdminAddress::Off,
            Some(address) => AdminAddress::At(listen_address("admin", address)?),
        })
    }
}

/// The default address, if that is free.
pub(crate) const ADMIN: &str = "127.0.0.1:9180";
