//! The command line: what there is, and what each option means. What a command does is in `command`.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are printed as help, where a backtick would only be in the way"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::when::When;

/// Parses the process's arguments; what cannot be run has been told by then.
pub(crate) fn parse() -> Result<Command, ExitCode> {
    match Cli::try_parse() {
        Ok(cli) => Ok(cli.command),
        Err(error) => {
            // A closed pipe behind `--help | head` is nobody's failure.
            let _ = error.print();
            Err(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)))
        }
    }
}

/// The whole command line, for completions and man pages.
pub(crate) fn definition() -> clap::Command {
    Cli::command()
}

/// Receive, keep, inspect and test HeyGen webhooks.
#[derive(Debug, Parser)]
#[command(
    name = "heygen-webhooks",
    version,
    max_term_width = 100,
    propagate_version = true
)]
#[command(after_help = "Examples:
  HEYGEN_WEBHOOK_SECRET=whsec_test heygen-webhooks serve
  HEYGEN_WEBHOOK_SECRET=whsec_test heygen-webhooks trigger avatar_video.success
  heygen-webhooks inbox list

Exit status: 0 done, 1 failed, 2 used wrongly.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Box<Serve>),
    Trigger(Trigger),
    Inspect(Inspect),
    Verify(Verify),
    #[command(subcommand)]
    Inbox(Inbox),
    Schema(Schema),
    Completions(Completions),
    Man(Man),
}

/// Receive deliveries: verify, keep, answer, print
///
/// Answers HeyGen's probe at once, whether there is a secret or not. A delivery is checked against every secret, kept in
/// the inbox file, and only then answered 200; then it is printed. Without a secret deliveries are answered 503, so that
/// HeyGen sends them again while you configure one.
///
/// Secrets come from HEYGEN_WEBHOOK_SECRET (several separated by commas) and from files. Ends on SIGTERM and Ctrl-C after
/// what is under way has been kept and answered.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks serve
  HEYGEN_WEBHOOK_SECRET=whsec_… heygen-webhooks serve --listen 0.0.0.0:8080
  heygen-webhooks serve --secret-file /run/secrets/heygen --inbox /var/lib/heygen/inbox.db --json
  heygen-webhooks serve --config heygen-webhooks.toml

A configuration file holds the long names of the options, which stand above it in this order: flag, environment, file:
  listen = \"0.0.0.0:8080\"
  inbox = \"/var/lib/heygen/inbox.db\"
  secret-file = [\"/run/secrets/heygen\"]
  max-body-bytes = 1048576")]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", env = "HEYGEN_WEBHOOKS_LISTEN")]
    pub(crate) listen: Option<String>,
    /// Path that deliveries come to [default: /webhooks/heygen]
    #[arg(long, value_name = "PATH", env = "HEYGEN_WEBHOOKS_PATH")]
    pub(crate) path: Option<String>,
    /// File that keeps the deliveries; made when there is none [default: ./heygen-inbox.db]
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_INBOX")]
    pub(crate) inbox: Option<PathBuf>,
    /// File with a signing secret a line; may be given several times
    #[arg(
        long,
        value_name = "FILE",
        env = "HEYGEN_WEBHOOKS_SECRET_FILE",
        value_delimiter = ','
    )]
    pub(crate) secret_file: Vec<PathBuf>,
    /// Print events as JSON, one a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Print links whole; otherwise their query strings, which give access, are cut off
    #[arg(long, conflicts_with = "json")]
    pub(crate) full: bool,
    /// How the log on standard error is written [default: text]
    #[arg(long, value_name = "FORMAT", env = "HEYGEN_WEBHOOKS_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, debug, or a filter as `tracing` reads it [default: info]
    #[arg(long, value_name = "FILTER", env = "HEYGEN_WEBHOOKS_LOG")]
    pub(crate) log: Option<String>,
    /// Configuration file [default: ./heygen-webhooks.toml where it exists]
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: LimitOptions,
}

/// How much the receiver takes on.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitOptions {
    /// Longest body taken [default: 1048576]
    #[arg(long, value_name = "BYTES", env = "HEYGEN_WEBHOOKS_MAX_BODY_BYTES")]
    pub(crate) max_body_bytes: Option<usize>,
    /// Most connections served at a time [default: 10000]
    #[arg(long, value_name = "COUNT", env = "HEYGEN_WEBHOOKS_MAX_CONNECTIONS")]
    pub(crate) max_connections: Option<usize>,
    /// Seconds a client may take for a request's header [default: 5]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_HEADER_TIME")]
    pub(crate) header_time: Option<u64>,
    /// Seconds a client may take for a request's body [default: 10]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_BODY_TIME")]
    pub(crate) body_time: Option<u64>,
    /// Seconds a connection may stay open without a request [default: 60]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_KEEP_ALIVE")]
    pub(crate) keep_alive: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// Send a signed sample delivery, as HeyGen would
///
/// The body is a sample of the event with fresh ids. It is signed with the first secret of HEYGEN_WEBHOOK_SECRET or
/// --secret-file. Exit status 0 when every delivery was answered with a 2xx.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks trigger avatar_video.success
  heygen-webhooks trigger avatar_video.fail --set msg='no credit' --set callback_id=order-7
  heygen-webhooks trigger video_translate.success --set url:=null
  heygen-webhooks trigger --all --to https://example.com/webhooks/heygen
  heygen-webhooks trigger avatar_video.success --tamper        # must be answered 401
  heygen-webhooks trigger something.new --set id=1             # an event nobody knows yet")]
#[command(group(clap::ArgGroup::new("what").required(true).args(["event_type", "all"])))]
pub(crate) struct Trigger {
    /// Name of the event, known or not
    #[arg(value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// One sample of every known event
    #[arg(long)]
    pub(crate) all: bool,
    /// Where to send it
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080/webhooks/heygen",
        env = "HEYGEN_WEBHOOKS_TO"
    )]
    pub(crate) to: String,
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
    /// File with a signing secret a line; the first one signs
    #[arg(
        long,
        value_name = "FILE",
        env = "HEYGEN_WEBHOOKS_SECRET_FILE",
        value_delimiter = ','
    )]
    pub(crate) secret_file: Vec<PathBuf>,
    /// Print each answer as JSON, one a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show what a body says: one body in, the typed view out
///
/// Exit status 0 also for an unknown event and for data that does not fit; 1 for a body that is no event.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inspect delivery.json
  heygen-webhooks inbox show 01jd… --raw | heygen-webhooks inspect --json")]
pub(crate) struct Inspect {
    /// File with the body; `-` for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Print links whole; otherwise their query strings, which give access, are cut off
    #[arg(long, conflicts_with = "json")]
    pub(crate) full: bool,
}

/// Check a signature over a body, and say why it does not fit
///
/// The body has to be the exact bytes received. Exit status 0 when it verifies, 1 when not.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks verify --signature 8d8bcd… --secret-file secret.txt body.json
  HEYGEN_WEBHOOK_SECRET=whsec_… heygen-webhooks verify --signature 8d8bcd… < body.json")]
pub(crate) struct Verify {
    /// Value of the `Signature` header: 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    pub(crate) signature: String,
    /// File with the body; `-` for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// File with a signing secret a line; may be given several times
    #[arg(
        long,
        value_name = "FILE",
        env = "HEYGEN_WEBHOOKS_SECRET_FILE",
        value_delimiter = ','
    )]
    pub(crate) secret_file: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Look into the inbox, also while `serve` runs
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  heygen-webhooks inbox list --since 2h --event-type avatar_video.fail
  heygen-webhooks inbox show 01jd…")]
pub(crate) enum Inbox {
    List(List),
    Show(Show),
}

#[derive(Args, Debug)]
pub(crate) struct InboxFile {
    /// File that keeps the deliveries
    #[arg(
        long,
        value_name = "FILE",
        default_value = "./heygen-inbox.db",
        env = "HEYGEN_WEBHOOKS_INBOX"
    )]
    pub(crate) inbox: PathBuf,
}

/// List deliveries, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox list
  heygen-webhooks inbox list --state pending --since 2026-11-01
  heygen-webhooks inbox list --json --limit 1000 | jq -r '.[].subject_id'")]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Only this event
    #[arg(long, value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only this state
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<StateOption>,
    /// Only what came in since: a time (2026-11-01, 2026-11-01T12:00:00Z) or how long ago (90s, 30m, 2h, 7d)
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// At most so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show one delivery: what it says, how it came, and every attempt to hand it out
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox show 01jd…
  heygen-webhooks inbox show 01jd… --raw > body.json        # the exact bytes received")]
pub(crate) struct Show {
    /// Id of the delivery, as `inbox list` prints it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Print one JSON object
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
    /// Print the exact bytes received and nothing else
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print links whole; otherwise their query strings, which give access, are cut off
    #[arg(long, conflicts_with_all = ["json", "raw"])]
    pub(crate) full: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StateOption {
    /// Waiting to be handed out
    Pending,
    /// In the hands of a handler
    Claimed,
    /// Handled
    Done,
    /// Given up, and kept
    Dead,
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        fn check(command: &clap::Command) {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Examples:"), "{}", command.get_name());
            command
                .get_subcommands()
                .filter(|sub| sub.get_name() != "help")
                .for_each(check);
        }
        check(&definition());
    }
}
