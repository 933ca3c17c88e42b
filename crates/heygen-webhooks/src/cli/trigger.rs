//! The options of `trigger`.

use crate::settings::file::ConfigFile;
use crate::settings::options::Options;
use crate::settings::secrets::SecretFiles;
use clap::Args;

/// Send a signed sample delivery, as HeyGen would
///
/// The body is a sample of the event with fresh ids; an event nobody knows gets a fresh id. It is signed with the first secret of HEYGEN_WEBHOOK_SECRET or
/// --secret-file. Exit status 0 when every delivery was answered with a 2xx.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks trigger avatar_video.success
  heygen-webhooks trigger avatar_video.fail --set msg='no credit' --set callback_id=order-7
  heygen-webhooks trigger video_translate.success --set url:=null
  heygen-webhooks trigger --all --to https://example.com/webhooks/heygen
  heygen-webhooks trigger avatar_video.success --tamper        # must be answered 401
  heygen-webhooks trigger something.new --set name=x           # an event nobody knows yet")]
#[command(group(clap::ArgGroup::new("what").required(true).args(["event_type", "all"])))]
#[command(mut_arg("secret_file", |arg| arg.help(
    "File with a signing secret a line; the first one signs"
)))]
pub(crate) struct Trigger {
    /// Name of the event, known or not
    #[arg(value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// One sample of every known event
    #[arg(long)]
    pub(crate) all: bool,
    /// Where to send it [default: where a `serve` with the same variables and configuration file listens, which is
    /// http://127.0.0.1:8080/webhooks/heygen where they say nothing]
    #[arg(long, value_name = "URL", env = "HEYGEN_WEBHOOKS_TO")]
    pub(crate) to: Option<String>,
    /// Set a field of event_data: to a text with `=`, to any JSON with `:=`; may be given several times
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub(crate) fields: Vec<String>,
    /// Put this `event_id` beside the event's name
    #[arg(long, value_name = "ID")]
    pub(crate) event_id: Option<String>,
    /// Header that carries the signature
    #[arg(long, value_name = "NAME", default_value = "Signature")]
    pub(crate) header_name: String,
    /// How many deliveries of each event, every one with fresh ids
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
    /// Send each accepted delivery so many times more, unchanged
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) duplicates: u32,
    /// Keep the sample's own ids, so that a second run sends the same event again
    #[arg(long)]
    pub(crate) keep_ids: bool,
    /// Alter the body after signing it; must be refused
    #[arg(long)]
    pub(crate) tamper: bool,
    /// Send without a signature; must be refused
    #[arg(long, conflicts_with = "tamper")]
    pub(crate) unsigned: bool,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Print each answer as JSON, one a line
    #[arg(long)]
    pub(crate) json: bool,
}
