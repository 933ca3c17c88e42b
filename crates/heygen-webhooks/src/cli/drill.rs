//! The options of `drill`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use heygen_testkit::drill::{Check, Drill as Exercise};

use crate::settings::file::ConfigFile;
use crate::settings::options::Options;
use crate::settings::secrets::SecretFiles;

/// Check an endpoint, in any language, against everything HeyGen may send
///
/// Sends a probe, deliveries as they should be, forged and odd ones, and a burst, and says what each failure would cost.
/// All of them are real requests, about 70 with the burst of 50: an endpoint that takes them acts on them. Events that were
/// made up have the callback_id heygen-drill, where they may have one. It stops by itself; exit status 0 when no check failed.
///
/// Deliveries are signed with the first secret of HEYGEN_WEBHOOK_SECRET or --secret-file, which must be the endpoint's.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  HEYGEN_WEBHOOK_SECRET=whsec_… heygen-webhooks drill http://127.0.0.1:5000/webhook
  heygen-webhooks drill https://staging.example.com/webhooks/heygen --secret-file secret --junit drill.xml
  heygen-webhooks drill http://127.0.0.1:5000/webhook --only probe,valid,tampered,unsigned
  heygen-webhooks drill http://127.0.0.1:5000/webhook --without-secret     # what needs no secret
  heygen-webhooks drill http://127.0.0.1:5000/webhook --burst 0 --json")]
#[command(mut_arg("secret_file", |arg| arg.help(
    "File with a signing secret a line; the first one signs"
)))]
pub(crate) struct Drill {
    /// Address of the endpoint, http or https
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Make only the checks that need no secret
    #[arg(long)]
    pub(crate) without_secret: bool,
    /// Make these checks alone, separated by commas
    #[arg(long, value_name = "CHECKS", value_delimiter = ',', value_parser = checks())]
    pub(crate) only: Vec<String>,
    /// Leave these checks out, separated by commas
    #[arg(long, value_name = "CHECKS", value_delimiter = ',', value_parser = checks(), hide_possible_values = true)]
    pub(crate) skip: Vec<String>,
    /// How many deliveries the burst has; 0 leaves it out
    #[arg(long, value_name = "N", default_value_t = Exercise::BURST as u16, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) burst: u16,
    /// Print the scorecard as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the scorecard to this file as well, in JUnit's format
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

fn checks() -> PossibleValuesParser {
    PossibleValuesParser::new(Check::ALL.iter().map(|check| check.id()))
}
