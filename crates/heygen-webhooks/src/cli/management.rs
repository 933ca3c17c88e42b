//! The options of `endpoints`, `event-types` and `events`: the commands that call HeyGen's webhook API.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};

use crate::settings::api::{API, ApiOptions, ApiVersion};
use crate::settings::file::ConfigFile;
use crate::settings::inbox::InboxOption;
use crate::settings::options::Options;
use crate::settings::span;

/// List and change the endpoints registered at HeyGen
///
/// The API key comes from HEYGEN_API_KEY. HeyGen shows the secret of an endpoint once, when it is
/// created or rotated; so does this program.
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  heygen-webhooks endpoints list
  heygen-webhooks endpoints create --keep \\
    https://hooks.example.com/webhooks/heygen
  heygen-webhooks endpoints rotate-secret 0f3a… --apply")]
pub(crate) enum Endpoints {
    List(ListEndpoints),
    Create(CreateEndpoint),
    Update(UpdateEndpoint),
    Delete(DeleteEndpoint),
    RotateSecret(RotateSecret),
}

/// List the registered endpoints
///
/// Secrets are never shown, although v1 returns them.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks endpoints list
  heygen-webhooks endpoints list --json \\
    | jq -r '.[] | select(.status != \"enabled\").url'
  heygen-webhooks endpoints list --api v1")]
pub(crate) struct ListEndpoints {
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Register an endpoint at HeyGen
///
/// Start the receiver first: v1 asks the address with OPTIONS and waits one second for the answer,
/// and v3 may do so too (assumed). The secret is printed once. With --keep it is stored beside the
/// inbox instead, where `serve` finds it, also while it runs.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks endpoints create https://hooks.example.com/webhooks/heygen
  heygen-webhooks endpoints create https://hooks.example.com/webhooks/heygen \\
    --events avatar_video.success,avatar_video.fail
  heygen-webhooks endpoints create https://hooks.example.com/webhooks/heygen \\
    --keep --inbox /var/lib/heygen/inbox.db

  Write the secret to a file that only you can read:
  (umask 077; heygen-webhooks endpoints create \\
    https://hooks.example.com/webhooks/heygen --json \\
    | jq -r .secret > secret.txt)")]
#[command(mut_arg("inbox", |arg| arg.value_name("FILE").requires("keep").help(
    "Inbox beside which the secret is stored [env: HEYGEN_WEBHOOKS_INBOX] [default: ./heygen-inbox.db]"
)))]
pub(crate) struct CreateEndpoint {
    /// Public https address that HeyGen sends to
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Subscribe to these events, separated by commas; `*` matches known names; `all` for every event
    #[arg(
        long,
        value_name = "EVENT_TYPES",
        value_delimiter = ',',
        default_value = "all"
    )]
    pub(crate) events: Vec<String>,
    /// Only events about this resource: a video or a personalized video project
    #[arg(long, value_name = "ID")]
    pub(crate) entity_id: Option<String>,
    /// Store the secret beside the inbox instead of printing it
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) inbox: Options<InboxOption>,
    /// Print the secret even when it is stored
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
/// The new list of events replaces the old one. v1 needs --url even if the address stays the same:
/// without it HeyGen changes nothing and reports no error.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("change").required(true).multiple(true).args(["url", "events"])))]
#[command(before_help = "Examples:
  heygen-webhooks endpoints update 0f3a… \\
    --events avatar_video.success,avatar_video.fail
  heygen-webhooks endpoints update 0f3a… --events all \\
    --url https://hooks.example.com/webhooks/heygen
  heygen-webhooks endpoints update 0f3a… --api v1 \\
    --url https://hooks.example.com/webhooks/heygen")]
pub(crate) struct UpdateEndpoint {
    /// Id of the endpoint, from `endpoints list`
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// New address that HeyGen sends to
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Subscribe to exactly these events, separated by commas; `*` matches known names; `all` for
    /// every event
    #[arg(long, value_name = "EVENT_TYPES", value_delimiter = ',')]
    pub(crate) events: Option<Vec<String>>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Delete an endpoint permanently
///
/// Asks for confirmation on a terminal; elsewhere --yes is required. A secret of the endpoint that
/// is stored beside the inbox is deleted too.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks endpoints delete 0f3a…
  heygen-webhooks endpoints delete 0f3a… --yes --json")]
#[command(mut_arg("inbox", |arg| arg.value_name("FILE").help(
    "Inbox beside which its secret may be stored [env: HEYGEN_WEBHOOKS_INBOX] [default: ./heygen-inbox.db]"
)))]
pub(crate) struct DeleteEndpoint {
    /// Id of the endpoint, from `endpoints list`
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Do not ask for confirmation
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

/// Rotate the secret of an endpoint (v3 only)
///
/// HeyGen signs with the new secret immediately. With --apply it is stored beside the inbox; a
/// running `serve` uses it within a second and accepts the old one for --overlap longer, so that no
/// delivery is lost. Without --apply the new secret is printed once, and a stored old one stays
/// valid for 24 hours.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks endpoints rotate-secret 0f3a… --apply
  heygen-webhooks endpoints rotate-secret 0f3a… --apply --overlap 2h \\
    --inbox /var/lib/heygen/inbox.db

  Write the secret to a file that only you can read:
  (umask 077; heygen-webhooks endpoints rotate-secret 0f3a… --json \\
    | jq -r .secret > secret.txt)")]
#[command(mut_arg("inbox", |arg| arg.value_name("FILE").help(
    "Inbox that `serve` uses [env: HEYGEN_WEBHOOKS_INBOX] [default: ./heygen-inbox.db]"
)))]
pub(crate) struct RotateSecret {
    /// Id of the endpoint, from `endpoints list`
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Store the new secret beside the inbox instead of printing it
    #[arg(long)]
    pub(crate) apply: bool,
    #[command(flatten)]
    pub(crate) inbox: Options<InboxOption>,
    /// How long the old secret stays valid too; HeyGen retries a delivery for 24 hours [default: 24h]
    #[arg(long, value_name = "DURATION", requires = "apply", value_parser = span::duration)]
    pub(crate) overlap: Option<Duration>,
    /// Print the secret even when it is stored
    #[arg(long)]
    pub(crate) show: bool,
    /// Print one JSON object; the secret is in its field `secret`
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// List HeyGen's event types, and which ones this version knows
///
/// Unknown events are received and dispatched as well, without a type of their own.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks event-types
  heygen-webhooks event-types --json \\
    | jq -r '.[] | select(.known | not).event_type'")]
pub(crate) struct EventTypes {
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// List HeyGen's log of delivered events (v3 only)
///
/// Events are listed in the order in which HeyGen returns them.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks events
  heygen-webhooks events --event-type avatar_video.fail --limit 100
  heygen-webhooks events --all --json > events.json")]
pub(crate) struct Events {
    /// Only events with this name; `*` matches anything
    #[arg(long, value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only events about this resource
    #[arg(long, value_name = "ID")]
    pub(crate) entity_id: Option<String>,
    /// Show at most N events
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Show the whole log, page by page
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
    /// Print a JSON array of the records as HeyGen sent them
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Which version of the API is called, and how it is reached.
#[derive(Args, Clone, Debug)]
pub(crate) struct Connection {
    /// Version of HeyGen's API
    #[arg(
        long = "api",
        value_name = "VERSION",
        value_enum,
        default_value_t,
        help_heading = API
    )]
    pub(crate) api_version: ApiVersion,
    #[command(flatten)]
    pub(crate) options: Options<ApiOptions>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}
