//! The options of `sandbox`.

use crate::settings::options::Options;
use crate::settings::secrets::SecretFiles;
use clap::Args;

/// Simulate HeyGen: its webhook API, signed deliveries, and jobs
///
/// Simulates v1 and v3 of the webhook API, and the routes that start and follow videos, translations, clips and renders;
/// their events follow after a second, with links to small real files. Keeps its state in memory and serves plain HTTP on
/// loopback, for tests in any language. Prints one line per delivery attempt. On SIGTERM and Ctrl-C it finishes running requests and ends.
///
/// Any API key is accepted, unless HEYGEN_WEBHOOKS_SANDBOX_KEY names the only valid one. The key
/// protects nothing: the routes under /sandbox/ need none, and show every secret. Requests of web pages
/// are rejected: 421 for an unknown host name, 403 for the Origin of another page.
///
/// Every endpoint gets a secret of its own, unless HEYGEN_WEBHOOK_SECRET or --secret-file names one
/// for all, which a receiver can read before it is registered.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks sandbox

  A day of retries in 86 ms:
  heygen-webhooks sandbox --time-scale 0.000001

  A free port, reported in the first line:
  heygen-webhooks sandbox --listen 127.0.0.1:0 --json

  In a test suite: a known secret, and an end with the process that started it:
  HEYGEN_WEBHOOK_SECRET=whsec_test heygen-webhooks sandbox \\
    --listen 127.0.0.1:0 --json --until-stdin-closes

  A receiver that registers at the sandbox:
  HEYGEN_API_KEY=any heygen-webhooks serve \\
    --base-url http://127.0.0.1:8090 --public-url http://127.0.0.1:8080")]
#[command(mut_arg("secret_file", |arg| arg.help(
    "File with one signing secret per line; every endpoint gets the first one"
)))]
pub(crate) struct Sandbox {
    /// Address and port to listen on; port 0 picks a free one
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8090",
        env = "HEYGEN_WEBHOOKS_SANDBOX_LISTEN"
    )]
    pub(crate) listen: String,
    /// Address and port of a page that drives it in the browser, on loopback alone; or `off` [default:
    /// 127.0.0.1:8091, or a free port]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "HEYGEN_WEBHOOKS_SANDBOX_DASHBOARD"
    )]
    pub(crate) dashboard: Option<String>,
    /// Host name under which it answers besides addresses and localhost, such as that of a container;
    /// repeatable. Other names get 421, because a web page could use them
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
    /// Multiply the delays between attempts, and the day for which an Idempotency-Key is remembered,
    /// by this factor
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) time_scale: f64,
    /// Stop when standard input ends, or when the process that started this one ends
    #[arg(long)]
    pub(crate) until_stdin_closes: bool,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    /// Print one JSON object per line: first the address, then every attempt
    #[arg(long)]
    pub(crate) json: bool,
}
