//! The options of `health`.

use clap::Args;

use crate::settings::admin::AdminListener;
use crate::settings::file::ConfigFile;
use crate::settings::options::Options;

/// Ask a running `serve` or `work` whether it is healthy
///
/// Asks its admin listener for /healthz, or with --ready for /readyz. With it the health checks of
/// containers and scripts need no HTTP client. Give each of two servers on one machine an --admin of
/// its own: the second one to start finds the default address taken, and the first one would answer.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  heygen-webhooks health
  heygen-webhooks health --ready --admin 127.0.0.1:9180

  In a Dockerfile:
  HEALTHCHECK CMD [\"heygen-webhooks\", \"health\"]",
    after_help = "Exit status: 0 when it is healthy; 1 when it is not, or does not answer within 3 seconds."
)]
#[command(mut_arg("admin", |arg| arg.help(
    "The admin listener [default: 127.0.0.1:9180]"
)))]
pub(crate) struct Health {
    #[command(flatten)]
    pub(crate) admin: Options<AdminListener>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Ask whether it is ready to receive, not only alive
    #[arg(long)]
    pub(crate) ready: bool,
}
