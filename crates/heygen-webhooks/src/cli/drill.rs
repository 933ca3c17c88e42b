//! The options of `drill`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use heygen_testkit::drill::{Check, Drill as Exercise};

use crate::settings::file::ConfigFile;
use crate::settings::options::Options;
use crate::settings::secrets::SecretFiles;

/// Test any endpoint against everything HeyGen may send
///
/// The endpoint may be in any language. Sends a probe, correct deliveries, forged and unusual ones, and a burst, and explains what each
/// failure would cost and how to fix it. If the endpoint rejects a correct delivery, signatures with
/// common mistakes are tried, and the one that it accepts is named.
///
/// These are real requests, about 80 with the burst of 50, and up to 120 more to find a mistake: an
/// endpoint that accepts them acts on them. Where an event can carry a callback_id, made-up ones
/// carry heygen-drill. The test ends by itself.
///
/// Deliveries are signed with the first secret of HEYGEN_WEBHOOK_SECRET or --secret-file, which
/// must be the endpoint's secret.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  HEYGEN_WEBHOOK_SECRET=whsec_… \\
    heygen-webhooks drill http://127.0.0.1:5000/webhook
  heygen-webhooks drill https://staging.example.com/webhooks/heygen \\
    --secret-file secret --junit drill.xml
  heygen-webhooks drill http://127.0.0.1:5000/webhook --only probe,valid
  heygen-webhooks drill http://127.0.0.1:5000/webhook --without-secret
  heygen-webhooks drill http://127.0.0.1:5000/webhook --burst 0 --json",
    after_help = "Exit status: 0 when no check failed; 1 otherwise."
)]
#[command(mut_arg("secret_file", |arg| arg.help(
    "File with one signing secret per line; the first one signs"
)))]
pub(crate) struct Drill {
    /// Address of the endpoint, http or https
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Run only the checks that need no secret
    #[arg(long)]
    pub(crate) without_secret: bool,
    /// Run only these checks, separated by commas
    #[arg(long, value_name = "CHECKS", value_delimiter = ',', value_parser = checks())]
    pub(crate) only: Vec<String>,
    /// Skip these checks, separated by commas
    #[arg(long, value_name = "CHECKS", value_delimiter = ',', value_parser = checks(), hide_possible_values = true)]
    pub(crate) skip: Vec<String>,
    /// Number of deliveries in the burst; 0 skips it
    #[arg(long, value_name = "N", default_value_t = Exercise::BURST as u16, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) burst: u16,
    /// Print the scorecard as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write the scorecard to this file, as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

fn checks() -> PossibleValuesParser {
    PossibleValuesParser::new(Check::ALL.iter().map(|check| check.id()))
}
