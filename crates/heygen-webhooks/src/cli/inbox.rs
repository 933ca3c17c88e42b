//! The options of `inbox`, a file for each family of commands.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ConfigFile, NatsAccess, NatsStreams};
use crate::failure::Failure;
use crate::settings::places;
use crate::store::nats::Nats;
use crate::store::place::Place;

mod carry;
mod change;
mod keep;
mod look;
mod rejected;
mod selection;

pub(crate) use carry::{Export, Format, Import};
pub(crate) use change::{Prune, Replay};
pub(crate) use keep::{Backup, Check};
pub(crate) use look::{Attempts, Drift, List, Show, Stats, Tail};
pub(crate) use rejected::{ListRejected, Rejected, Reverify, SecretFiles, ShowRejected};
pub(crate) use selection::Selection;

/// Look into the inbox and change what is there, also while `serve` runs
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  heygen-webhooks inbox list --since 2h --event-type avatar_video.fail
  heygen-webhooks inbox show 01jd…
  heygen-webhooks inbox replay --state dead --since 2h")]
pub(crate) enum Inbox {
    List(List),
    Show(Show),
    Attempts(Attempts),
    Tail(Tail),
    Stats(Stats),
    Drift(Drift),
    Replay(Replay),
    Export(Export),
    Import(Import),
    Prune(Prune),
    Check(Check),
    Backup(Backup),
    #[command(subcommand)]
    Rejected(Rejected),
}

#[derive(Args, Debug)]
pub(crate) struct InboxFile {
    /// File that keeps the deliveries, or nats://HOST:4222[,HOST:4222...]/STREAM, for which --help shows more options
    /// [env: HEYGEN_WEBHOOKS_INBOX] [default: ./heygen-inbox.db]
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) inbox: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) nats: NatsAccess,
}

impl InboxFile {
    /// The one that was named, by whatever.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        places::inbox(self.inbox.as_deref(), &self.config.read()?)
    }

    /// How the servers are reached, where it is on some.
    pub(crate) fn nats(&self, place: &Place) -> Result<Nats, Failure> {
        match place {
            Place::File(_) => Ok(Nats::default()),
            Place::Streams(_) => {
                let file = self.config.read()?.nats();
                Nats::of(&self.nats, &NatsStreams::default(), &file)
            }
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StateOption {
    /// Waiting to be handed out
    Pending,
    /// In the hands of a handler
    Claimed,
    /// It was in the hands of a handler when `serve` ended; the next start delivers it again (files
    /// only)
    Interrupted,
    /// Handled
    Done,
    /// Given up, and kept
    Dead,
}
