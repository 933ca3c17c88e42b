//! The options of `config`.

use clap::{Args, Subcommand};

use super::Serve;

/// Show the configuration
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  heygen-webhooks config show
  heygen-webhooks config show --config /etc/heygen-webhooks/heygen-webhooks.toml --json")]
pub(crate) enum Config {
    Show(Box<ShowConfig>),
}

/// Show every setting of `serve`, its value and where it comes from
///
/// Takes the options of `serve`, and shows for each whether a flag, a variable, the configuration file or the default
/// decides it. Nothing is started, and no file of secrets is read; what gives access, such as the query of an address and the
/// arguments of a program, is hidden. Whether a start would succeed, `serve --check` says.
#[derive(Args, Debug)]
#[command(mut_arg("json", |arg| arg.help("Print a JSON array")))]
#[command(after_help = "Examples:
  heygen-webhooks config show
  heygen-webhooks config show --config heygen-webhooks.toml --listen 0.0.0.0:8080
  heygen-webhooks config show --json | jq '.[] | select(.source != \"default\")'")]
pub(crate) struct ShowConfig {
    #[command(flatten)]
    pub(crate) serve: Serve,
}
