//! The options of `config`.

use clap::{Args, Subcommand};

use super::Serve;

/// Show the configuration in effect
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  heygen-webhooks config show
  heygen-webhooks config show --config heygen-webhooks.toml --json")]
pub(crate) enum Config {
    Show(Box<ShowConfig>),
}

/// Show every setting of `serve`, its value and where the value comes from
///
/// Takes the options of `serve`. The value comes from a flag, an environment variable, the
/// configuration file or the default. Starts nothing and reads no secrets. Query strings of addresses
/// and arguments of programs are hidden, because they may grant access. To find out whether a start
/// would succeed, run `serve --check`.
#[derive(Args, Debug)]
#[command(mut_arg("json", |arg| arg.help("Print a JSON array")))]
#[command(before_help = "Examples:
  heygen-webhooks config show
  heygen-webhooks config show --config heygen-webhooks.toml \\
    --listen 0.0.0.0:8080
  heygen-webhooks config show --json | jq '.[] | select(.source != \"default\")'")]
pub(crate) struct ShowConfig {
    #[command(flatten)]
    pub(crate) serve: Serve,
}
