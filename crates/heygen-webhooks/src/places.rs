//! Where things are that several commands need: the inbox, the files of secrets, the path that deliveries come to. By flag,
//! then environment, then configuration file, then default, and the same for every command.

use std::env;
use std::path::{Path, PathBuf};

use crate::cli::ApiOptions;
use crate::config::File;
use crate::failure::Failure;
use crate::place::Place;

/// The inbox, in a file or on streams. The variable is read here and not by the parser, to which a set variable is the same as the option.
pub(crate) fn inbox(option: Option<&Path>, file: &File) -> Result<Place, Failure> {
    let variable = || {
        let path = env::var_os("HEYGEN_WEBHOOKS_INBOX").filter(|path| !path.is_empty());
        path.map(PathBuf::from)
    };
    let named = from_option(option)?
        .map(Path::to_owned)
        .or_else(variable)
        .or_else(|| file.inbox.clone());
    Place::read(named.unwrap_or_else(|| INBOX.into()))
}

/// The inbox of the show. What is only played is kept apart from what is real, unless the command line itself says where.
pub(crate) fn show_inbox(option: Option<&Path>) -> Result<Place, Failure> {
    Place::read(from_option(option)?.map_or_else(|| SHOW_INBOX.into(), Path::to_owned))
}

/// What the command line says, where every list of processes shows it: so it must hold no password.
fn from_option(option: Option<&Path>) -> Result<Option<&Path>, Failure> {
    let has_user = |path: &Path| {
        path.to_str()
            .is_some_and(|text| text.contains("://") && text.contains('@'))
    };
    match option.filter(|path| has_user(path)) {
        None => Ok(option),
        Some(_) => Err(Failure::usage(
            "--inbox: a user or password in an option can be read by every user of this machine: log in with --nats-user and \
             --nats-password-file, --nats-token-file or --nats-creds, or put the address into HEYGEN_WEBHOOKS_INBOX",
        )),
    }
}

/// The files of secrets that the user made; `options` are those of flag and environment.
pub(crate) fn secret_files(options: &[PathBuf], file: &File) -> Vec<PathBuf> {
    match options.is_empty() {
        true => file.secret_file.clone(),
        false => options.to_vec(),
    }
}

/// The path that deliveries come to.
pub(crate) fn path(option: Option<&str>, file: &File) -> String {
    let path = option.or(file.path.as_deref());
    path.unwrap_or(PATH).to_owned()
}

/// How HeyGen's API is reached.
pub(crate) fn api(options: &ApiOptions, file: &File) -> ApiOptions {
    ApiOptions {
        base_url: options.base_url.clone().or_else(|| file.base_url.clone()),
        api_key_file: options
            .api_key_file
            .clone()
            .or_else(|| file.api_key_file.clone()),
    }
}

macro_rules! listen {
    () => {
        "127.0.0.1:8080"
    };
}
macro_rules! path {
    () => {
        "/webhooks/heygen"
    };
}

/// Where `serve` listens when nothing else is said.
pub(crate) const LISTEN: &str = listen!();

/// Where a `serve` is to be found of which nothing else is said.
pub(crate) const LOCAL_URL: &str = concat!("http://", listen!(), path!());

const PATH: &str = path!();
const INBOX: &str = "./heygen-inbox.db";
const SHOW_INBOX: &str = "./heygen-sandbox.db";
