//! How HeyGen's API is reached.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::failure::Failure;
use crate::settings::web_address::destination;

/// How HeyGen's API is reached. The key comes from HEYGEN_API_KEY or a file, an OAuth token from HEYGEN_OAUTH_TOKEN.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = API)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct ApiOptions {
    /// Address of the API; http://127.0.0.1:8090 for a `sandbox` [default: `https://api.heygen.com`]
    #[arg(long, value_name = "URL", env = "HEYGEN_WEBHOOKS_BASE_URL")]
    pub(crate) base_url: Option<String>,
    /// File with the API key; without it the key is read from HEYGEN_API_KEY, or an OAuth token from
    /// HEYGEN_OAUTH_TOKEN
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_API_KEY_FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
}

impl ApiOptions {
    /// With the whole address, where a part of it was left out.
    pub(crate) fn whole(mut self) -> Result<Self, Failure> {
        let base_url = self.base_url.as_deref();
        let whole = base_url.map(|url| destination("base-url", url));
        self.base_url = whole.transpose()?;
        Ok(self)
    }
}

/// The heading of the options about it in the help.
pub(crate) const API: &str = "HeyGen API";

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum ApiVersion {
    /// Legacy; HeyGen announced its end for 2026-10-31
    V1,
    /// Current
    #[default]
    V3,
}
