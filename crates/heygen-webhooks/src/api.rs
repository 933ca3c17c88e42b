//! HeyGen's API, reached as the options and the environment say.

use std::path::Path;

use heygen_api::{Client, Credentials, Subscription};
use heygen_events::EventType;

use crate::failure::{Failure, error_chain};
use crate::output::tame;
use crate::settings::api::ApiOptions;
use crate::settings::event_name;
use crate::settings::origin;
use crate::settings::written;

pub(crate) mod web;

mod advice;

pub(crate) use advice::{advice, failure};

/// A client with the key or token that was configured.
pub(crate) fn connect(options: &ApiOptions) -> Result<Client, Failure> {
    client(options, credentials(options)?)
}

pub(crate) fn client(options: &ApiOptions, credentials: Credentials) -> Result<Client, Failure> {
    let builder = Client::builder(credentials)
        .user_agent(concat!("heygen-webhooks/", env!("CARGO_PKG_VERSION")));
    let builder = match &options.base_url {
        Some(url) => builder.base_url(url),
        None => builder,
    };
    builder
        .build()
        .map_err(|error| Failure::usage(error_chain(&error)))
}

/// The subscription that `--events` asks for: names, or `all`.
pub(crate) fn events(names: &[String]) -> Result<Subscription, Failure> {
    let names = names
        .iter()
        .map(|name| name.trim())
        .filter(|name| !name.is_empty());
    if names.clone().any(|name| name == "all") {
        return Ok(Subscription::All);
    }
    let mut wanted: Vec<EventType> = Vec::new();
    for name in names {
        event_name::warn_if_mistyped(name);
        let stands_for = event_name::expanded(name);
        if stands_for.is_empty() {
            return Err(Failure::usage(format!(
                "--events: no known event is named `{}`",
                tame(name)
            )));
        }
        for name in stands_for {
            if !wanted.contains(&name) {
                wanted.push(name);
            }
        }
    }
    if wanted.is_empty() {
        return Err(Failure::usage(
            "--events is empty: give event names separated by commas, or `all`",
        ));
    }
    Ok(Subscription::Only(wanted))
}

/// Whether there is a key or a token at all.
pub(crate) fn has_credentials(options: &ApiOptions) -> bool {
    let is_set = |name| !matches!(variable(name), Ok(None));
    options.api_key_file.is_some() || is_set(KEY) || is_set(TOKEN)
}

fn credentials(options: &ApiOptions) -> Result<Credentials, Failure> {
    let key = match &options.api_key_file {
        Some(file) => Some(key_of_file(file)?),
        None => variable(KEY)?,
    };
    match (key, variable(TOKEN)?) {
        (Some(key), None) => Ok(Credentials::api_key(key)),
        (None, Some(token)) => Ok(Credentials::bearer(token)),
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "both an API key and a token in {TOKEN} are set: HeyGen accepts only one, unset the other"
        ))),
        (None, None) => Err(Failure::usage(format!(
            "no API key: set {KEY} (find it at HeyGen under Settings, API), or name a file with --api-key-file"
        ))),
    }
}

/// The one key that stands in a file.
fn key_of_file(file: &Path) -> Result<String, Failure> {
    let option = origin::name("api-key-file");
    let text = written::read_of("api-key-file", "API key file", file)?;
    let mut lines = written::lines(&text);
    let place = format!("API key file {}", file.display());
    match (lines.next(), lines.next()) {
        (Some((line, _)), None) => Ok(key(line, &place)),
        (None, _) => Err(Failure::usage(format!(
            "{option}: {place} is empty: write the API key into it"
        ))),
        (Some(_), Some((_, number))) => Err(Failure::usage(format!(
            "{option}: {place} holds more than one key (line {number}): keep one"
        ))),
    }
}

fn variable(name: &str) -> Result<Option<String>, Failure> {
    Ok(written::variable(name)?.map(|text| key(&text, name)))
}

fn key(written: &str, place: &str) -> String {
    written::value(written, written::nothing_is_certain, "the key", place).to_owned()
}

const KEY: &str = "HEYGEN_API_KEY";
const TOKEN: &str = "HEYGEN_OAUTH_TOKEN";
