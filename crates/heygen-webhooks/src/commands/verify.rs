//! `verify`: verifies the signature of a body, and explains a mismatch.

use heygen_signature::{Diagnosis, SIGNATURE, diagnose};
use serde_json::json;

use crate::cli::Verify;
use crate::commands::input;
use crate::failure::Failure;
use crate::output;
use crate::secrets::secret;

pub(super) fn run(options: &Verify) -> Result<(), Failure> {
    let file = options.config.read()?;
    let secrets = secret::require(&options.secrets.over(&file)?.files(), &file, "")?;
    let body = input::read(&options.file)?;
    let header = (SIGNATURE, options.signature.as_bytes());
    let diagnosis = diagnose([header], &body, &secrets);
    if options.json {
        output::json(&json!({
            "verified": diagnosis.is_verified(),
            "reason": diagnosis.label(),
            "explanation": diagnosis.to_string(),
        }))?;
    } else {
        output::write(describe(&diagnosis))?;
    }
    Failure::unless(diagnosis.is_verified())
}

fn describe(diagnosis: &Diagnosis) -> String {
    match diagnosis.is_verified() {
        true => format!("verified: {diagnosis}\n"),
        false => format!("not verified: {diagnosis}\n"),
    }
}
