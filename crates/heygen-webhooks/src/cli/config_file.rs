//! [`ConfigFile`]: the option of every command that finds inbox, secrets or API where `serve` has them.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::settings::config::File;

/// Where inbox, secrets and API are named when neither an option nor the environment says it.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigFile {
    /// Configuration file, the one of `serve` [default: ./heygen-webhooks.toml where it exists]
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// What stands there; nothing where there is no file and none was named.
    pub(crate) fn read(&self) -> Result<File, Failure> {
        File::find(self.config.as_deref())
    }
}
