//! [`SecretFiles`]: the files of signing secrets that the user made.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct SecretFiles {
    /// File with one signing secret per line; repeatable
    #[arg(
        long,
        value_name = "FILE",
        env = "HEYGEN_WEBHOOKS_SECRET_FILE",
        value_delimiter = ','
    )]
    secret_file: Vec<PathBuf>,
}

impl SecretFiles {
    pub(crate) fn files(mut self) -> Vec<PathBuf> {
        // A comma at the end of a variable names no file.
        self.secret_file.retain(|path| !path.as_os_str().is_empty());
        self.secret_file
    }
}
