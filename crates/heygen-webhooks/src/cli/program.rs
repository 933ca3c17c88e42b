//! The options of `schema`, `completions` and `man`: what the program prints about itself.

use std::path::PathBuf;

use clap::Args;

/// Print the JSON Schema of an event body, or the OpenAPI document
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks schema avatar_video.success
  heygen-webhooks schema any > heygen-event.schema.json
  heygen-webhooks schema index | jq -r '.events[].event_type'
  heygen-webhooks schema openapi > heygen-webhooks.openapi.json
  heygen-webhooks schema --list")]
pub(crate) struct Schema {
    /// Name of the event; `any` for all events, to generate types from; `body` for validating any
    /// body; `index` for a list of the events as data; `openapi` for an OpenAPI document of the events,
    /// HeyGen's operations and the sandbox
    #[arg(value_name = "NAME", default_value = "any")]
    pub(crate) name: String,
    /// List the known event names, one per line
    #[arg(long, conflicts_with = "name")]
    pub(crate) list: bool,
}

/// Print a shell completion script
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  In ~/.bashrc:
  source <(heygen-webhooks completions bash)

  In ~/.zshrc:
  autoload -Uz compinit && compinit
  source <(heygen-webhooks completions zsh)

  In ~/.config/fish/config.fish:
  heygen-webhooks completions fish | source")]
pub(crate) struct Completions {
    /// Shell to write the script for
    pub(crate) shell: clap_complete::Shell,
}

/// Print or write the man pages
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks man | man -l -
  heygen-webhooks man --dir /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// Write all pages to this folder; without it the main page goes to standard output
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
}
