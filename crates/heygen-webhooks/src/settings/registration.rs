//! The options of the registration at HeyGen.

use clap::Args;
use serde::Deserialize;

use crate::failure::Failure;
use crate::settings::web_address::http_url;

/// The address that HeyGen sends to.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = REGISTRATION)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct PublicUrl {
    /// Register this address at HeyGen, unless it is registered, and store its secret beside the inbox;
    /// if it has no path, --path is added
    #[arg(long, value_name = "URL", env = "HEYGEN_WEBHOOKS_PUBLIC_URL")]
    public_url: Option<String>,
}

impl PublicUrl {
    pub(crate) fn url(self) -> Result<Option<String>, Failure> {
        if let Some(url) = &self.public_url {
            http_url("public-url", url)?;
        }
        Ok(self.public_url)
    }
}

/// What HeyGen is to send.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = REGISTRATION)]
#[serde(default)]
pub(crate) struct Subscription {
    /// Subscribe to these events, separated by commas; `*` matches known names; `all` for every event
    /// [default: all; an existing endpoint keeps its events]
    #[arg(long, value_name = "EVENT_TYPES", value_delimiter = ',')]
    pub(crate) events: Option<Vec<String>>,
}

/// The heading of the options about it in the help.
pub(crate) const REGISTRATION: &str = "Registration at HeyGen";
