//! The options of `schema`, `completions` and `man`: what the program tells of itself.

use std::path::PathBuf;

use clap::Args;

/// Print the JSON Schema of an event's body
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks schema avatar_video.success
  heygen-webhooks schema any > heygen-event.schema.json
  heygen-webhooks schema --list")]
pub(crate) struct Schema {
    /// Name of the event, or `any` for one schema of all
    #[arg(value_name = "EVENT_TYPE", default_value = "any")]
    pub(crate) name: String,
    /// Print the names there are, one a line
    #[arg(long, conflicts_with = "name")]
    pub(crate) list: bool,
}

/// Print the completion script of a shell
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks completions bash > /etc/bash_completion.d/heygen-webhooks
  heygen-webhooks completions zsh > ~/.zfunc/_heygen-webhooks")]
pub(crate) struct Completions {
    /// Which shell
    pub(crate) shell: clap_complete::Shell,
}

/// Write the man pages
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks man | man -l -
  heygen-webhooks man --dir /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// Folder to write every page to; without it the main page goes to standard output
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
}
