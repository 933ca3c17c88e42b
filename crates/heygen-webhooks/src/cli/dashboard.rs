//! The options of `dashboard`.

use clap::Args;

use crate::settings::admin::{AdminHosts, AdminListener, DashboardAccess};
use crate::settings::location::InboxFile;
use crate::settings::options::Options;
use crate::settings::output::Log;
use crate::settings::secrets::SecretFiles;

/// Show an inbox in the browser
///
/// `serve`, `work` and `dev` show theirs already, on the admin listener. This command shows an inbox
/// that no server uses now, or that of a server without an admin listener. What is replayed is
/// dispatched by the next `serve` or `work`, or by the running one within a second.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks dashboard
  heygen-webhooks dashboard --inbox backup.db --admin-read-only
  heygen-webhooks dashboard --inbox nats://a,b,c/HEYGEN \\
    --admin 0.0.0.0:9180 --admin-token-file token")]
#[command(mut_arg("admin", |arg| arg.help(
    "Address and port of the dashboard [default: 127.0.0.1:9180, or a free port]"
)))]
pub(crate) struct Dashboard {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) admin: Options<AdminListener>,
    #[command(flatten)]
    pub(crate) admin_hosts: Options<AdminHosts>,
    #[command(flatten)]
    pub(crate) dashboard: Options<DashboardAccess>,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    #[command(flatten)]
    pub(crate) log: Options<Log>,
}
