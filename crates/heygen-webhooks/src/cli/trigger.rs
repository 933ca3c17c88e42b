//! The options of `trigger`.

use std::path::PathBuf;

use crate::settings::file::ConfigFile;
use crate::settings::options::Options;
use crate::settings::secrets::SecretFiles;
use clap::Args;

/// Send a signed delivery: a sample of an event, or your own body
///
/// The body is a sample of the event with fresh ids, also for an unknown event, or the exact bytes of --body. It is
/// signed with the first secret of HEYGEN_WEBHOOK_SECRET or --secret-file.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  heygen-webhooks trigger avatar_video.success
  heygen-webhooks trigger avatar_video.fail --set msg='no credit' \\
    --set callback_id=order-7
  heygen-webhooks trigger video_translate.success --set url:=null
  heygen-webhooks trigger --all --to https://example.com/webhooks/heygen

  A delivery that must be answered with 401:
  heygen-webhooks trigger avatar_video.success --tamper

  An unknown event:
  heygen-webhooks trigger something.new --set name=x

  A stored delivery again, after an edit:
  heygen-webhooks inbox show 01jd… --raw > body.json
  heygen-webhooks trigger --body body.json",
    after_help = "Exit status: 0 when every delivery was answered with a 2xx; 1 otherwise."
)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["event_type", "all", "body"])))]
#[command(mut_arg("secret_file", |arg| arg.help(
    "File with one signing secret per line; the first one signs"
)))]
pub(crate) struct Trigger {
    /// Name of the event, known or not
    #[arg(value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// Send one sample of every known event
    #[arg(long)]
    pub(crate) all: bool,
    /// Send the bytes of this file, whatever they are; `-` for standard input
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["fields", "event_id", "count", "keep_ids"]
    )]
    pub(crate) body: Option<PathBuf>,
    /// Address to send to [default: that of a `serve` with the same environment and configuration
    /// file, else http://127.0.0.1:8080/webhooks/heygen]
    #[arg(long, value_name = "URL", env = "HEYGEN_WEBHOOKS_TO")]
    pub(crate) to: Option<String>,
    /// Set a field of event_data: `=` for text, `:=` for any JSON; repeatable
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub(crate) fields: Vec<String>,
    /// Add this `event_id` to the envelope
    #[arg(long, value_name = "ID")]
    pub(crate) event_id: Option<String>,
    /// Header that carries the signature
    #[arg(long, value_name = "NAME", default_value = "Signature")]
    pub(crate) header_name: String,
    /// Send this many deliveries of each event, each with fresh ids
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
    /// Repeat each accepted delivery N times, unchanged
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) duplicates: u32,
    /// Keep the ids of the sample, so that a second run sends the same event again
    #[arg(long)]
    pub(crate) keep_ids: bool,
    /// Change the body after signing it; must be rejected
    #[arg(long)]
    pub(crate) tamper: bool,
    /// Send without a signature; must be rejected
    #[arg(long, conflicts_with = "tamper")]
    pub(crate) unsigned: bool,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Print each answer as one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}
