//! What is registered at HeyGen.

use clap::Args;
use serde::Deserialize;

use crate::failure::Failure;
use crate::settings::web_address::http_url;

/// The address that HeyGen sends to.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = REGISTRATION)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct PublicUrl {
    /// Register this address at HeyGen, or find it there, and keep its secret beside the inbox; a path is added when it has none
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
    /// Subscribe to these events, separated by commas, `*` for any letters in a known name, or to `all` [default: all; a found endpoint keeps what it has]
    #[arg(long, value_name = "EVENT_TYPES", value_delimiter = ',')]
    pub(crate) events: Option<Vec<String>>,
}

/// The heading of the options about it in the help.
pub(crate) const REGISTRATION: &str = "Registration at HeyGen";
