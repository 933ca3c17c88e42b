//! `endpoints rotate-secret`: rotates a secret without losing a delivery.

use std::path::Path;

use heygen_connect::{DEFAULT_OVERLAP, SecretStore};
use heygen_events::id::EndpointId;
use jiff::Timestamp;
use serde_json::json;

use super::new_secret::{self, NewSecret, WHAT_TO_DO};
use crate::cli::RotateSecret;
use crate::commands::management::{self, Api, note};
use crate::failure::{Failure, error_chain};
use crate::output::{self, tame};
use crate::settings::api::ApiVersion;
use crate::settings::when;

pub(super) fn run(options: &RotateSecret) -> Result<(), Failure> {
    if options.connection.api_version == ApiVersion::V1 {
        return Err(Failure::usage(
            "v1 cannot rotate a secret: leave out --api v1",
        ));
    }
    let api = Api::connect(&options.connection)?;
    let inbox = api.inbox(&options.inbox)?;
    let id = EndpointId::from(options.id.as_str());
    if options.apply {
        let store = store(&inbox)?;
        let secret = management::run(rotate(&api, &id, true))?;
        return applied(options, &secret, &store);
    }
    let secret = management::run(rotate(&api, &id, false))?;
    // The secret comes first: whatever becomes of the file, it is printed only once.
    let printed = shown(options, &secret);
    if let Err(error) = SecretStore::beside(&inbox).mark_replaced(id.as_str(), DEFAULT_OVERLAP) {
        note(&format!(
            "could not mark the old secret beside the inbox as replaced: {}",
            error_chain(&error)
        ));
    }
    printed
}

async fn rotate(api: &Api, id: &EndpointId, needs_url: bool) -> Result<NewSecret, Failure> {
    // The file says of each secret whose it is; asked for before, when nothing is lost by failing.
    let url = match needs_url {
        true => api.endpoint(id).await?.map(|endpoint| endpoint.url),
        false => None,
    };
    let rotated = api.ask(api.client.v3().rotate_secret(id)).await?;
    Ok(NewSecret {
        endpoint_id: rotated.endpoint_id,
        url: url.unwrap_or_default(),
        secret: rotated.secret,
    })
}

fn applied(options: &RotateSecret, secret: &NewSecret, store: &SecretStore) -> Result<(), Failure> {
    let overlap = options.overlap.unwrap_or(DEFAULT_OVERLAP);
    let has_replaced = secret.keep(store, overlap)?;
    let until = Timestamp::now()
        .checked_add(overlap)
        .unwrap_or(Timestamp::MAX)
        .try_into()
        .ok()
        .filter(|_| has_replaced);
    let file = store.path().display().to_string();
    if options.json {
        return Ok(output::json(&json!({
            "endpoint_id": secret.endpoint_id.as_str(),
            "secret": options.show.then(|| secret.secret.expose()),
            "kept_in": file,
            "old_accepted_until": until.map(when::exact),
        }))?);
    }
    let id = tame(secret.endpoint_id.as_str());
    let shown = match options.show {
        true => secret.text(),
        false => String::new(),
    };
    let old = match until {
        Some(_) if overlap.is_zero() => "The old one is no longer accepted.".to_owned(),
        Some(until) => format!("The old one is accepted until {}.", when::short(until)),
        None if overlap.is_zero() => OLD_STILL_ACCEPTED.to_owned(),
        None => OLD_NOT_KEPT.to_owned(),
    };
    Ok(output::write(format!(
        "rotated the secret of endpoint {id}\n{shown}
The new one is stored in {file}; a `serve` that runs with this inbox uses it now.\n{old}\n"
    ))?)
}

fn shown(options: &RotateSecret, secret: &NewSecret) -> Result<(), Failure> {
    if options.json {
        return secret.printed(output::json(&json!({
            "endpoint_id": secret.endpoint_id.as_str(),
            "secret": secret.secret.expose(),
            "kept_in": null,
            "old_accepted_until": null,
        })));
    }
    secret.printed(output::write(format!(
        "rotated the secret of endpoint {}; HeyGen no longer signs with the old one\n{}{WHAT_TO_DO}
Keep the old one configured for 24 hours: HeyGen may retry deliveries that were signed with it.\n",
        tame(secret.endpoint_id.as_str()),
        secret.text()
    )))
}

/// The secrets file of an inbox that is there: a new secret in the wrong folder would have `serve` refuse everything.
fn store(inbox: &Path) -> Result<SecretStore, Failure> {
    let store = SecretStore::beside(inbox);
    if !inbox.exists() && !store.path().exists() {
        return Err(anyhow::anyhow!(
            "no inbox at {}, and nothing was rotated: name the inbox of `serve` with --inbox",
            inbox.display()
        )
        .into());
    }
    new_secret::store(inbox)
}

const OLD_NOT_KEPT: &str = "\
The old one was not stored there. If `serve` has it from HEYGEN_WEBHOOK_SECRET or a --secret-file, keep it there for 24
hours: HeyGen may retry deliveries that were signed with it.";

const OLD_STILL_ACCEPTED: &str = "\
The old one was not stored there. If `serve` has it from HEYGEN_WEBHOOK_SECRET or a --secret-file, it is still accepted:
remove it there, then send SIGHUP (files) or restart `serve` (environment).";
