//! The options of `sandbox`.

use clap::Args;

/// Play HeyGen: its webhook API, v1 and v3, with signed deliveries
///
/// Stateful, in memory, on loopback, and plain HTTP, so that the tests of any language can use it. Every attempt of a
/// delivery is a line on standard output. Ends on SIGTERM and Ctrl-C after what is under way.
///
/// Any API key is good, unless HEYGEN_WEBHOOKS_SANDBOX_KEY names the only one. It protects nothing: the routes under
/// /sandbox/ need no key, and show every secret.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks sandbox
  heygen-webhooks sandbox --time-scale 0.000001       # a day of retries in 86 ms
  heygen-webhooks sandbox --listen 127.0.0.1:0 --json # a free port, told in the first line
  HEYGEN_API_KEY=any heygen-webhooks serve --base-url http://127.0.0.1:8090 --public-url http://127.0.0.1:8080")]
pub(crate) struct Sandbox {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8090",
        env = "HEYGEN_WEBHOOKS_SANDBOX_LISTEN"
    )]
    pub(crate) listen: String,
    /// Shorten the waits between attempts, and the day for which an Idempotency-Key is remembered, by this factor
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) time_scale: f64,
    /// Print JSON, one object a line: the address first, then every attempt
    #[arg(long)]
    pub(crate) json: bool,
}
