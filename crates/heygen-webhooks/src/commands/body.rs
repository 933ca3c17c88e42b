//! `inspect` and `verify`: what looks at one body, from a file or from standard input.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use anyhow::Context as _;
use heygen_events::Event;
use heygen_signature::{Diagnosis, SIGNATURE, diagnose};
use serde_json::{Value, json};

use crate::cli::{Inspect, Verify};
use crate::commands::management::note;
use crate::failure::Failure;
use crate::output;
use crate::output::view;
use crate::secrets::secret;

/// `inspect`: parses an event body and shows its fields.
pub(super) fn inspect(options: &Inspect) -> Result<(), Failure> {
    let body = read(&options.file)?;
    let parsed = Event::from_slice(&body);
    if options.json {
        let error = match &parsed {
            Ok(event) => event.payload_error(),
            Err(error) => Some(error),
        };
        // Why it is not well formed, as text and `verify` say too.
        let mut view = view::json(parsed.as_ref().ok());
        view["reason"] = error.map(view::explain).into();
        output::json(&view)?;
    }
    match parsed {
        Ok(event) if !options.json => output::write(view::text(&event, options.full))?,
        Ok(_) => {}
        Err(_) if body.trim_ascii().is_empty() => {
            return Err(anyhow::anyhow!("not an event: the body is empty").into());
        }
        Err(error) => return Err(anyhow::Error::from(error).context("not an event").into()),
    }
    Ok(())
}

/// `verify`: verifies the signature of a body, and explains a mismatch.
pub(super) fn verify(options: &Verify) -> Result<(), Failure> {
    let file = options.config.read()?;
    let secrets = secret::require(&options.secrets.over(&file)?.files(), &file, "")?;
    let body = read(&options.file)?;
    let header = (SIGNATURE, options.signature.as_bytes());
    let diagnosis = diagnose([header], &body, &secrets);
    if options.json {
        output::json(&diagnosis_json(&diagnosis))?;
    } else {
        let not = if diagnosis.is_verified() { "" } else { "not " };
        output::write(format!("{not}verified: {diagnosis}\n"))?;
    }
    Failure::unless(diagnosis.is_verified())
}

pub(super) fn diagnosis_json(diagnosis: &Diagnosis) -> Value {
    json!({
        "verified": diagnosis.is_verified(),
        "reason": diagnosis.label(),
        "explanation": diagnosis.to_string(),
    })
}

/// The bytes of `file`, or of standard input for `-`.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        if io::stdin().is_terminal() {
            note("reading a body from standard input: end it with Ctrl-D, or give a file");
        }
        io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
    } else {
        File::open(file)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(bytes)
}
