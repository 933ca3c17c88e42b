//! [`InboxOption`]: the option that names the inbox.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct InboxOption {
    /// File that stores the deliveries, or nats://HOST:4222[,HOST:4222...]/STREAM, see `help nats`
    /// [env: HEYGEN_WEBHOOKS_INBOX] [default: ./heygen-inbox.db]
    // The variable is not read by the parser, to which a set variable is the same as the option: on the command line an
    // address must hold no password, and the inbox of `--sandbox` comes from there alone.
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) inbox: Option<PathBuf>,
}
