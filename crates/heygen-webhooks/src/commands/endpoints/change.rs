//! `endpoints create`, `update` and `delete`.

use std::io;
use std::path::Path;
use std::time::Duration;

use heygen_api::{Endpoint, Subscription, v1, v3};
use heygen_connect::{SecretStore, same_address};
use heygen_events::id::EndpointId;
use serde_json::{Value, json};

use super::new_secret::{self, NewSecret, WHAT_TO_DO};
use super::show;
use crate::api;
use crate::cli::{CreateEndpoint, DeleteEndpoint, UpdateEndpoint};
use crate::commands::confirm::{can_ask, confirm};
use crate::commands::management::{self, Api, note};
use crate::failure::{Failure, error_chain};
use crate::output::{self, tame, without_query};
use crate::settings::api::ApiVersion;
use crate::settings::web_address::http_url;

pub(super) fn create(options: &CreateEndpoint) -> Result<(), Failure> {
    http_url("url", &options.url)?;
    let events = api::events(&options.events)?;
    let api = Api::connect(&options.connection)?;
    let store = match options.keep {
        true => Some(new_secret::store(&api.inbox(&options.inbox)?)?),
        false => None,
    };
    let mut new = v3::NewEndpoint::new(&options.url).with_events(events);
    if let Some(entity_id) = &options.entity_id {
        new = new.with_entity_id(entity_id);
    }
    let mut endpoint = management::run(async {
        match api.version {
            ApiVersion::V1 => api.ask(api.client.v1().add_endpoint(&new)).await,
            ApiVersion::V3 => api.ask(api.client.v3().create_endpoint(&new)).await,
        }
    })?;
    let Some(secret) = endpoint.secret.take() else {
        return Err(anyhow::anyhow!(
            "HeyGen created endpoint {id} without returning its secret: get a new one with `endpoints rotate-secret {id}`",
            id = tame(endpoint.endpoint_id.as_str())
        )
        .into());
    };
    let secret = NewSecret {
        endpoint_id: endpoint.endpoint_id.clone(),
        url: endpoint.url.clone(),
        secret,
    };
    if let Some(store) = &store {
        secret.keep(store, Duration::ZERO)?;
    }
    let is_shown = store.is_none() || options.show;
    let kept_in = store
        .as_ref()
        .map(|store| store.path().display().to_string());
    if options.json {
        let mut value = show::json(&endpoint)?;
        if is_shown {
            value["secret"] = secret.secret.expose().into();
        }
        value["kept_in"] = json!(kept_in);
        return printed(&secret, store.is_some(), output::json(&value));
    }
    let shown = match is_shown {
        true => secret.text(),
        false => String::new(),
    };
    let what_next = match kept_in {
        Some(file) => format!("\nThe secret is stored in {file}, where `serve` finds it.\n"),
        None => WHAT_TO_DO.to_owned(),
    };
    let text = [show::text(&endpoint), shown, what_next].concat();
    printed(&secret, store.is_some(), output::write(text))
}

/// A stored secret is not lost if no one reads it here.
fn printed(secret: &NewSecret, is_kept: bool, written: io::Result<()>) -> Result<(), Failure> {
    match is_kept {
        true => Ok(written?),
        false => secret.printed(written),
    }
}

pub(super) fn update(options: &UpdateEndpoint) -> Result<(), Failure> {
    let events = options.events.as_deref().map(api::events).transpose()?;
    if let Some(url) = &options.url {
        http_url("url", url)?;
    }
    if options.connection.api_version == ApiVersion::V1 && options.url.is_none() {
        return Err(Failure::usage(
            "v1 needs --url, even if the address stays the same: without it HeyGen changes nothing and reports no error",
        ));
    }
    let id = EndpointId::from(options.id.as_str());
    let api = Api::connect(&options.connection)?;
    let endpoint = management::run(change(&api, &id, options.url.as_deref(), events.clone()))?;
    let is_as_asked = options
        .url
        .as_ref()
        .is_none_or(|url| same_address(url, &endpoint.url))
        && events
            .as_ref()
            .is_none_or(|events| events.is_same_set(&endpoint.events));
    if options.json {
        output::json(&show::json(&endpoint)?)?;
    } else {
        output::write(show::text(&endpoint))?;
    }
    if !is_as_asked {
        return Err(anyhow::anyhow!(
            "HeyGen accepted the change, but reports different values than requested"
        )
        .into());
    }
    Ok(())
}

async fn change(
    api: &Api,
    id: &EndpointId,
    url: Option<&str>,
    events: Option<Subscription>,
) -> Result<Endpoint, Failure> {
    match (api.version, url, events) {
        (ApiVersion::V1, url, events) => {
            // v1 replaces all of it, so what stays has to be known.
            let (url, events) = match (url, events) {
                (Some(url), Some(events)) => (url.to_owned(), events),
                (url, events) => {
                    let now = api.endpoint(id).await?.ok_or_else(|| no_such(api, id))?;
                    (
                        url.map_or(now.url, str::to_owned),
                        events.unwrap_or(now.events),
                    )
                }
            };
            let update = v1::EndpointUpdate::new(id.clone(), url, events);
            api.ask(api.client.v1().update_endpoint(&update)).await
        }
        (ApiVersion::V3, url, events) => {
            let update = match (url, events) {
                (Some(url), None) => v3::EndpointUpdate::url(url),
                (Some(url), Some(events)) => v3::EndpointUpdate::url(url).with_events(events),
                (None, Some(events)) => v3::EndpointUpdate::events(events),
                (None, None) => {
                    return Err(Failure::usage("nothing to change: give --url or --events"));
                }
            };
            api.ask(api.client.v3().update_endpoint(id, &update)).await
        }
    }
}

pub(super) fn delete(options: &DeleteEndpoint) -> Result<(), Failure> {
    let is_asked = !options.yes;
    if is_asked && !can_ask() {
        return Err(Failure::usage(
            "no terminal to ask on: give --yes to delete without confirmation",
        ));
    }
    let id = EndpointId::from(options.id.as_str());
    let api = Api::connect(&options.connection)?;
    let url = management::run(async {
        // Its address is what a person knows it by.
        let endpoint = api.endpoint(&id).await?.ok_or_else(|| no_such(&api, &id))?;
        if is_asked {
            confirm(&format!(
                "Delete endpoint {} permanently? HeyGen then sends nothing more to {}.",
                tame(endpoint.endpoint_id.as_str()),
                tame(&without_query(&endpoint.url))
            ))?;
        }
        match api.version {
            ApiVersion::V1 => api.ask(api.client.v1().delete_endpoint(&id)).await?,
            ApiVersion::V3 => api.ask(api.client.v3().delete_endpoint(&id)).await?,
        }
        Ok(endpoint.url)
    })?;
    let had_secret = forget(&api.inbox(&options.inbox)?, &id);
    if options.json {
        let value: Value = json!({
            "endpoint_id": id.as_str(),
            "url": url,
            "deleted": true,
            "secret_forgotten": had_secret,
        });
        return Ok(output::json(&value)?);
    }
    let secret = match had_secret {
        true => " and its secret",
        false => "",
    };
    Ok(output::write(format!(
        "deleted endpoint {} ({}){secret}\n",
        tame(id.as_str()),
        tame(&without_query(&url))
    ))?)
}

/// Whether a secret of the endpoint was stored beside the inbox, and is removed. The endpoint is gone in any case.
fn forget(inbox: &Path, id: &EndpointId) -> bool {
    let forgotten = SecretStore::beside(inbox).remove(id.as_str());
    forgotten.unwrap_or_else(|error| {
        note(&format!(
            "the endpoint is deleted, but its secret beside the inbox could not be removed: {}",
            error_chain(&error)
        ));
        false
    })
}

fn no_such(api: &Api, id: &EndpointId) -> Failure {
    let list = match api.version {
        ApiVersion::V1 => "endpoints list --api v1",
        ApiVersion::V3 => "endpoints list",
    };
    anyhow::anyhow!(
        "HeyGen lists no endpoint {}: list the ids with `{list}`",
        tame(id.as_str())
    )
    .into()
}
