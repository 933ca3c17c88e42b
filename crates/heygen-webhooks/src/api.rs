//! HeyGen's API, reached as the options and the environment say.

use std::env;
use std::fs;

use anyhow::Context as _;
use heygen_api::{Client, Credentials, Events};
use heygen_events::EventType;

use crate::cli::ApiOptions;
use crate::failure::Failure;

mod advice;

pub(crate) use advice::failure;

/// A client with the key or token that was configured.
pub(crate) fn connect(options: &ApiOptions) -> Result<Client, Failure> {
    client(options, credentials(options)?)
}

/// A client with these credentials.
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
pub(crate) fn events(names: &[String]) -> Result<Events, Failure> {
    let names = names
        .iter()
        .map(|name| name.trim())
        .filter(|name| !name.is_empty());
    if names.clone().any(|name| name == "all") {
        return Ok(Events::All);
    }
    let names: Vec<_> = names.map(EventType::from).collect();
    if names.is_empty() {
        return Err(Failure::usage(
            "--events names no event: give names separated by commas, or `all`",
        ));
    }
    Ok(Events::Only(names))
}

/// An error with all its causes, in one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors tell their cause themselves.
        let told = error.to_string();
        if !text.ends_with(&told) {
            text = format!("{text}: {told}");
        }
        cause = error.source();
    }
    text
}

fn credentials(options: &ApiOptions) -> Result<Credentials, Failure> {
    let key = match &options.api_key_file {
        Some(file) => Some(
            fs::read_to_string(file)
                .with_context(|| format!("cannot read API key file {}", file.display()))?,
        ),
        None => variable(KEY)?,
    };
    match (key, variable(TOKEN)?) {
        (Some(key), None) => Ok(Credentials::api_key(key)),
        (None, Some(token)) => Ok(Credentials::bearer(token)),
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "there is an API key and a token in {TOKEN}: HeyGen takes one of the two, so unset the other"
        ))),
        (None, None) => Err(Failure::usage(format!(
            "no API key: set {KEY} (HeyGen shows it under Settings, API), or name a file with --api-key-file"
        ))),
    }
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Failure::usage(format!("{name} is not UTF-8"))),
    }
}

const KEY: &str = "HEYGEN_API_KEY";
const TOKEN: &str = "HEYGEN_OAUTH_TOKEN";
