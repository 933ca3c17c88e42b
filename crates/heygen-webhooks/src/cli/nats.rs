//! The page about NATS: the options that all commands take for an inbox on NATS, and no other help shows.

use clap::Args;

use crate::settings::nats::{NatsAccess, NatsPromise, NatsStreams};
use crate::settings::options::Options;

/// Share one inbox between machines on NATS JetStream
///
/// With --inbox nats://HOST:4222/STREAM, any number of receivers and workers on any number of
/// machines share one inbox. `serve` stores deliveries there and dispatches them too, unless it runs
/// with --receive-only; `work` only dispatches. Name several servers of a cluster with commas.
///
/// Every command that takes --inbox takes these options too. `serve` and `work` also create missing
/// streams; existing ones are never changed. Credentials are read from files only, because other
/// users of a machine can see command lines.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  heygen-webhooks serve --receive-only --inbox nats://a,b,c/HEYGEN \\
    --nats-creds receiver.creds
  heygen-webhooks work --inbox nats://a,b,c/HEYGEN --nats-creds worker.creds \\
    --forward http://localhost:3000/heygen --forward-secret-file forward-secret
  heygen-webhooks inbox list --inbox nats://a,b,c/HEYGEN \\
    --nats-creds worker.creds",
    after_help = "Not available with an inbox on NATS: --ordered, `inbox check` and `inbox backup`; each names the alternative."
)]
pub(crate) struct NatsPage {
    #[command(flatten)]
    access: Options<NatsAccess>,
    #[command(flatten)]
    streams: Options<NatsStreams>,
    #[command(flatten)]
    promise: Options<NatsPromise>,
}
