//! `secrets`: shows the forwarding secret that is stored beside the inbox.

use serde_json::json;

use crate::cli;
use crate::failure::Failure;
use crate::output;
use crate::secrets::forward_secret::ForwardSecret;

pub(super) fn run(options: &cli::Secrets) -> Result<(), Failure> {
    match options {
        cli::Secrets::Forward(options) => forward(options),
    }
}

fn forward(options: &cli::ForwardSecret) -> Result<(), Failure> {
    let file = options.config.read()?;
    let inbox = options.inbox.location(&file)?;
    let named = options.secret.over(&file)?.forward_secret_file;
    let secret = ForwardSecret::of(named.as_deref(), &inbox)?;
    let secrets = match options.create {
        true => Some(secret.read_or_make()?.0),
        false => secret.read()?,
    };
    let found = secrets.as_ref().and_then(|secrets| secrets.iter().next());
    let Some(found) = found else {
        return Err(anyhow::anyhow!(
            "no secret at {} yet: start with --forward or give --create to create it, or name another inbox with --inbox",
            secret.file.display()
        )
        .into());
    };
    match options.json {
        true => output::json(&json!({
            "secret": found.expose(),
            "file": secret.file,
        }))?,
        false => output::write(format!("{}\n", found.expose()))?,
    }
    Ok(())
}
