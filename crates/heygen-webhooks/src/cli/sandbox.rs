//! The options of `sandbox`.

use clap::Args;

/// Simulate HeyGen's webhook API, with signed deliveries
///
/// Simulates v1 and v3. Keeps its state in memory and serves plain HTTP on loopback, for tests in any language. Prints
/// one line per delivery attempt. On SIGTERM and Ctrl-C it finishes running requests and ends.
///
/// Any API key is accepted, unless HEYGEN_WEBHOOKS_SANDBOX_KEY names the only valid one. The key
/// protects nothing: the routes under /sandbox/ need none, and show every secret.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks sandbox

  A day of retries in 86 ms:
  heygen-webhooks sandbox --time-scale 0.000001

  A free port, reported in the first line:
  heygen-webhooks sandbox --listen 127.0.0.1:0 --json

  A receiver that registers at the sandbox:
  HEYGEN_API_KEY=any heygen-webhooks serve \\
    --base-url http://127.0.0.1:8090 --public-url http://127.0.0.1:8080")]
pub(crate) struct Sandbox {
    /// Address and port to listen on; port 0 picks a free one
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8090",
        env = "HEYGEN_WEBHOOKS_SANDBOX_LISTEN"
    )]
    pub(crate) listen: String,
    /// Multiply the delays between attempts, and the day for which an Idempotency-Key is remembered,
    /// by this factor
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) time_scale: f64,
    /// Print one JSON object per line: first the address, then every attempt
    #[arg(long)]
    pub(crate) json: bool,
}
