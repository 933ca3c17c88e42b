//! [`Handlers`]: where deliveries go and how often they are tried; shared by `serve`, `work` and `dev`.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::settings::rule::Rule;
use crate::settings::span::Span;

/// Where deliveries go, and how often they are tried.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = HANDLERS)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Handlers {
    /// POST each delivery to this address, signed as HeyGen signs, but with a secret of your own
    ///
    /// 2xx acknowledges the delivery, 410 dead-letters it, any other answer is retried. `secrets
    /// forward` prints the secret your application verifies with.
    #[arg(long, value_name = "URL", env = "HEYGEN_WEBHOOKS_FORWARD", conflicts_with_all = ["exec", "print"])]
    pub(crate) forward: Option<String>,
    /// Run this program for each delivery, with the body on its standard input; must be the last option
    ///
    /// Exit status 0 acknowledges the delivery, 65 dead-letters it, any other is retried. Everything
    /// after --exec is the program and its arguments; no shell is involved. The environment of the
    /// program has HEYGEN_DELIVERY_ID, HEYGEN_ATTEMPT, HEYGEN_AUTHENTICITY, HEYGEN_RECEIVED_AT and, if
    /// the event has them, HEYGEN_EVENT_TYPE, HEYGEN_EVENT_ID and HEYGEN_SUBJECT_ID; no other HEYGEN_ or
    /// NATS_ variable is passed on. The last 4 KiB of its standard error are recorded with the attempt;
    /// its standard output is logged with --log debug only.
    #[arg(
        long,
        value_name = "CMD",
        num_args = 1..,
        allow_hyphen_values = true,
        conflicts_with = "print"
    )]
    pub(crate) exec: Vec<String>,
    /// Print a line for each delivery; this is the default
    #[arg(long)]
    pub(crate) print: bool,
    /// Route events whose name matches a pattern (`*` matches anything); repeatable, the first match
    /// wins
    ///
    /// The rules are PATTERN=forward:URL, PATTERN=exec:PROGRAM ARGUMENTS, PATTERN=print and
    /// PATTERN=ignore, as in `--on '*.fail=exec:/usr/local/bin/notify'`.
    #[arg(long, value_name = "RULE")]
    pub(crate) on: Vec<Rule>,
    /// Announce each delivery that is dead-lettered: exec:PROGRAM ARGUMENTS or forward:URL
    ///
    /// The program is run as by --exec, with the reason in HEYGEN_DEAD_LETTER_REASON; the POST is that
    /// of --forward, with the reason in the header Heygen-Webhooks-Dead-Letter. Dispatch never waits for
    /// it: at most 4 calls run at a time, for up to 30 seconds each, and 1,000 wait. A call that fails or
    /// finds no room is logged and counted, and not repeated. `inbox dead-letter` is not announced.
    #[arg(long, value_name = "ACTION", env = "HEYGEN_WEBHOOKS_ON_DEAD_LETTER")]
    pub(crate) on_dead_letter: Option<String>,
    /// PEM file with the certificate authorities to trust when forwarding to https [default: those of
    /// the system]
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_FORWARD_CA")]
    pub(crate) forward_ca: Option<PathBuf>,
    /// HTTP proxy to forward through, except to this machine and the hosts in NO_PROXY [default: none]
    ///
    /// HTTP_PROXY, HTTPS_PROXY and ALL_PROXY are not used for forwarding. Put an address with a user and
    /// a password into the variable or the configuration file.
    #[arg(long, value_name = "URL", env = "HEYGEN_WEBHOOKS_FORWARD_PROXY")]
    pub(crate) forward_proxy: Option<String>,
    /// Dispatch the deliveries of one subject (video id and so on) one at a time, in the order
    /// received; needs an inbox in a file
    #[arg(long)]
    pub(crate) ordered: bool,
    /// Concurrent deliveries per destination [default: 16]
    ///
    /// Each rule of --on is a destination; deliveries that match no rule go to another one.
    #[arg(long, value_name = "COUNT", env = "HEYGEN_WEBHOOKS_CONCURRENCY")]
    pub(crate) concurrency: Option<usize>,
    /// Seconds an attempt may take before it counts as failed [default: 60]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_HANDLER_TIMEOUT")]
    pub(crate) handler_timeout: Option<f64>,
    /// Seconds before the first retry; the delay doubles with each failure [default: 5]
    #[arg(
        long,
        value_name = "SECONDS",
        env = "HEYGEN_WEBHOOKS_RETRY_INITIAL_DELAY"
    )]
    pub(crate) retry_initial_delay: Option<f64>,
    /// Longest delay between attempts, in seconds [default: 3600]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_RETRY_MAX_DELAY")]
    pub(crate) retry_max_delay: Option<f64>,
    /// Time from the first attempt until a delivery is dead-lettered: 90s, 30m, 24h or 7d [default:
    /// 24h]
    ///
    /// The last attempt is made when the time is over. Time during which this program does not run
    /// does not count.
    #[arg(long, value_name = "SPAN", env = "HEYGEN_WEBHOOKS_RETRY_MAX_ELAPSED")]
    pub(crate) retry_max_elapsed: Option<Span>,
    /// Attempts until a delivery is dead-lettered [default: no limit]
    ///
    /// --retry-max-elapsed may end the attempts earlier. An attempt answered with Retry-After pauses
    /// the destination and does not count.
    #[arg(long, value_name = "COUNT", env = "HEYGEN_WEBHOOKS_RETRY_MAX_ATTEMPTS")]
    pub(crate) retry_max_attempts: Option<u32>,
}

/// The secret that signs forwarded deliveries.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = HANDLERS)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct ForwardSecretFile {
    /// File with the secret that signs forwarded deliveries; required with an inbox on NATS [default:
    /// one created beside the inbox; `heygen-webhooks secrets forward` prints it]
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_FORWARD_SECRET_FILE")]
    pub(crate) forward_secret_file: Option<PathBuf>,
}

/// The heading of these options in the help.
const HANDLERS: &str = "Handlers";
