//! The options of `endpoints`, `event-types` and `events`: what is asked of HeyGen's webhook API.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};

use crate::settings::api::{ApiOptions, ApiVersion};
use crate::settings::file::ConfigFile;
use crate::settings::inbox::InboxOption;
use crate::settings::options::Options;
use crate::settings::span;

/// See and change the endpoints that HeyGen sends to
///
/// The key comes from HEYGEN_API_KEY. A secret is shown when HeyGen gives it, which is once, and nowhere else.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  heygen-webhooks endpoints list
  heygen-webhooks endpoints create https://hooks.example.com/webhooks/heygen --keep
  heygen-webhooks endpoints rotate-secret 0f3a… --apply")]
pub(crate) enum Endpoints {
    List(ListEndpoints),
    Create(CreateEndpoint),
    Update(UpdateEndpoint),
    Delete(DeleteEndpoint),
    RotateSecret(RotateSecret),
}

/// List the endpoints
///
/// Secrets are never shown, although v1 sends them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks endpoints list
  heygen-webhooks endpoints list --json | jq -r '.[] | select(.status != \"enabled\").url'
  heygen-webhooks endpoints list --api v1")]
pub(crate) struct ListEndpoints {
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Register an address at HeyGen
///
/// Start the receiver first: v1 asks the address with OPTIONS and waits one second for the answer, and v3 may do so too
/// (assumed). The secret is printed, this once; with --keep it goes to the file beside the inbox instead, where `serve` finds
/// it, also one that runs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks endpoints create https://hooks.example.com/webhooks/heygen
  heygen-webhooks endpoints create https://hooks.example.com/webhooks/heygen --events avatar_video.success,avatar_video.fail
  heygen-webhooks endpoints create https://hooks.example.com/webhooks/heygen --keep --inbox /var/lib/heygen/inbox.db
  (umask 077; heygen-webhooks endpoints create https://hooks.example.com/webhooks/heygen --json | jq -r .secret > secret.txt)")]
#[command(mut_arg("inbox", |arg| arg.value_name("FILE").requires("keep").help(
    "Inbox beside which it is kept [env: HEYGEN_WEBHOOKS_INBOX] [default: \
        ./heygen-inbox.db]"
)))]
pub(crate) struct CreateEndpoint {
    /// Address that HeyGen is to send to: public, https
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Subscribe to these events, separated by commas, `*` for any letters in a known name, or to `all`
    #[arg(
        long,
        value_name = "EVENT_TYPES",
        value_delimiter = ',',
        default_value = "all"
    )]
    pub(crate) events: Vec<String>,
    /// Only events of this resource: a video, or a personalized video project
    #[arg(long, value_name = "ID")]
    pub(crate) entity_id: Option<String>,
    /// Keep the secret in the file beside the inbox, and do not print it
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) inbox: Options<InboxOption>,
    /// Print the secret also where it is kept
    #[arg(long)]
    pub(crate) show: bool,
    /// Print one JSON object; the secret is in its field `secret`
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Change an endpoint's address, its events, or both
///
/// A list of events replaces the old one whole. v1 needs --url also where it stays the same: without it HeyGen changes
/// nothing and does not say so.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("change").required(true).multiple(true).args(["url", "events"])))]
#[command(after_help = "Examples:
  heygen-webhooks endpoints update 0f3a… --events avatar_video.success,avatar_video.fail
  heygen-webhooks endpoints update 0f3a… --url https://hooks.example.com/webhooks/heygen --events all
  heygen-webhooks endpoints update 0f3a… --url https://hooks.example.com/webhooks/heygen --api v1")]
pub(crate) struct UpdateEndpoint {
    /// Id of the endpoint, as `endpoints list` prints it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Address that HeyGen is to send to from now on
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Subscribe to these events alone, separated by commas, `*` for any letters in a known name, or to `all`
    #[arg(long, value_name = "EVENT_TYPES", value_delimiter = ',')]
    pub(crate) events: Option<Vec<String>>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Delete an endpoint for good
///
/// Asks on a terminal; elsewhere --yes is needed. A secret kept for it beside the inbox is forgotten.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks endpoints delete 0f3a…
  heygen-webhooks endpoints delete 0f3a… --yes --json")]
#[command(mut_arg("inbox", |arg| arg.value_name("FILE").help(
    "Inbox beside which its secret may be kept [env: HEYGEN_WEBHOOKS_INBOX] \
        [default: ./heygen-inbox.db]"
)))]
pub(crate) struct DeleteEndpoint {
    /// Id of the endpoint, as `endpoints list` prints it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) inbox: Options<InboxOption>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Replace the secret of an endpoint (v3 alone)
///
/// HeyGen signs with the new one at once. With --apply it goes to the file beside the inbox, and a `serve` that runs there
/// takes it within a second, and the old one for --overlap longer, so that no delivery is lost. Otherwise it is printed,
/// this once, and an old one that is kept there is taken for 24 hours more.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks endpoints rotate-secret 0f3a… --apply
  heygen-webhooks endpoints rotate-secret 0f3a… --apply --inbox /var/lib/heygen/inbox.db --overlap 2h
  (umask 077; heygen-webhooks endpoints rotate-secret 0f3a… --json | jq -r .secret > secret.txt)")]
#[command(mut_arg("inbox", |arg| arg.value_name("FILE").help(
    "Inbox that `serve` uses [env: HEYGEN_WEBHOOKS_INBOX] [default: \
        ./heygen-inbox.db]"
)))]
pub(crate) struct RotateSecret {
    /// Id of the endpoint, as `endpoints list` prints it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Keep the new secret in the file beside the inbox, and do not print it
    #[arg(long)]
    pub(crate) apply: bool,
    #[command(flatten)]
    pub(crate) inbox: Options<InboxOption>,
    /// How long the old secret is taken too: HeyGen tries a delivery again for 24 hours [default: 24h]
    #[arg(long, value_name = "DURATION", requires = "apply", value_parser = span::duration)]
    pub(crate) overlap: Option<Duration>,
    /// Print the secret also where it is kept
    #[arg(long)]
    pub(crate) show: bool,
    /// Print one JSON object; the secret is in its field `secret`
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// List the events that HeyGen offers, and which of them this version knows
///
/// An event that is new here is received and handed on all the same, without a type of its own.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks event-types
  heygen-webhooks event-types --json | jq -r '.[] | select(.known | not).event_type'")]
pub(crate) struct EventTypes {
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// List the events that HeyGen says it has delivered, in its order (v3 alone)
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks events
  heygen-webhooks events --event-type avatar_video.fail --limit 100
  heygen-webhooks events --all --json > events.json")]
pub(crate) struct Events {
    /// Only this event, `*` for any letters
    #[arg(long, value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only events of this resource
    #[arg(long, value_name = "ID")]
    pub(crate) entity_id: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// The whole log, page by page
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
    /// Print a JSON array of the records, each as HeyGen sent it
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Which API is asked, and how it is reached.
#[derive(Args, Clone, Debug)]
pub(crate) struct Connection {
    /// Which version of HeyGen's API is asked
    #[arg(
        long = "api",
        value_name = "VERSION",
        value_enum,
        default_value_t,
        help_heading = "HeyGen's API"
    )]
    pub(crate) api_version: ApiVersion,
    #[command(flatten)]
    pub(crate) options: Options<ApiOptions>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}
