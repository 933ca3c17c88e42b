//! Where things are that several commands need: the inbox, the files of secrets, the path that deliveries come to. By flag,
//! then environment, then configuration file, then default, and the same for every command.

use std::path::{Path, PathBuf};

use crate::cli::ApiOptions;
use crate::failure::Failure;
use crate::process::environment;
use crate::settings::config::File;
use crate::settings::web_address::check_listen;
use crate::store::place::Place;

/// The inbox, in a file or on streams. The variable is read here and not by the parser, to which a set variable is the same as the option.
pub(crate) fn inbox(option: Option<&Path>, file: &File) -> Result<Place, Failure> {
    let variable = || environment::variable("HEYGEN_WEBHOOKS_INBOX").map(PathBuf::from);
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
    // A comma at the end of a variable names no file.
    let named = options.iter().filter(|path| !path.as_os_str().is_empty());
    let named: Vec<_> = named.cloned().collect();
    match named.is_empty() {
        true => file.secret_file.clone(),
        false => named,
    }
}

/// The path that deliveries come to.
pub(crate) fn path(option: Option<&str>, file: &File) -> String {
    let path = option.or(file.path.as_deref());
    path.unwrap_or(PATH).to_owned()
}

/// Where a `serve` of this environment and file listens, as it is reached from this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Local {
    /// Whether it speaks TLS.
    pub(crate) is_tls: bool,
    /// Host and port; port 0 where each start takes another.
    pub(crate) address: String,
    pub(crate) path: String,
    /// Whether the address was said, or is the one of a `serve` of which nothing is said.
    pub(crate) is_named: bool,
}

impl Local {
    /// `option` and `path` are those of the command that asks, where it has some.
    pub(crate) fn find(
        option: Option<&str>,
        path: Option<&str>,
        file: &File,
    ) -> Result<Self, Failure> {
        let named = option
            .map(str::to_owned)
            .or_else(|| variable("HEYGEN_WEBHOOKS_LISTEN"))
            .or_else(|| file.listen.clone());
        if let Some(address) = &named {
            check_listen("listen", address)?;
        }
        let path = path
            .map(str::to_owned)
            .or_else(|| variable("HEYGEN_WEBHOOKS_PATH"));
        let certificate = variable("HEYGEN_WEBHOOKS_TLS_CERT").map(PathBuf::from);
        Ok(Self {
            is_tls: certificate.or_else(|| file.tls_cert.clone()).is_some(),
            is_named: named.is_some(),
            address: from_here(named.as_deref().unwrap_or(LISTEN)),
            path: self::path(path.as_deref(), file),
        })
    }

    pub(crate) fn url(&self) -> Result<String, Failure> {
        if self.address.ends_with(":0") {
            return Err(Failure::usage(
                "`serve` takes another port at each start (`listen` has port 0): give the address that it prints with --to",
            ));
        }
        let scheme = if self.is_tls { "https" } else { "http" };
        Ok(format!("{scheme}://{}{}", self.address, self.path))
    }
}

/// What listens everywhere is reached on this machine's own address.
pub(crate) fn from_here(address: &str) -> String {
    match address.rsplit_once(':') {
        Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => address.to_owned(),
    }
}

fn variable(name: &str) -> Option<String> {
    environment::variable(name)?.into_string().ok()
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

/// Where `serve` listens when nothing else is said.
pub(crate) const LISTEN: &str = "127.0.0.1:8080";

/// Where health, readiness and metrics are told when nothing else is said, if that is free.
pub(crate) const ADMIN: &str = "127.0.0.1:9180";

const PATH: &str = "/webhooks/heygen";
const INBOX: &str = "./heygen-inbox.db";
const SHOW_INBOX: &str = "./heygen-sandbox.db";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, expected: Result<&str, &str>) {
        let file: File = toml::from_str(file).expect("a configuration");
        let url = Local::find(None, None, &file).and_then(|local| local.url());
        match (url, expected) {
            (Ok(url), Ok(expected)) => assert_eq!(url, expected),
            (Err(failure), Err(expected)) => {
                assert!(failure.to_string().contains(expected), "{failure}");
            }
            (found, _) => panic!("{found:?}"),
        }
    }

    #[test]
    fn where_serve_is_reached_from_here() {
        check("", Ok("http://127.0.0.1:8080/webhooks/heygen"));
        check(
            "listen = \"127.0.0.1:18200\"\npath = \"/h\"",
            Ok("http://127.0.0.1:18200/h"),
        );
        check(
            "listen = \"0.0.0.0:80\"",
            Ok("http://127.0.0.1:80/webhooks/heygen"),
        );
        check(
            "listen = \"[::]:80\"",
            Ok("http://[::1]:80/webhooks/heygen"),
        );
        check(
            "listen = \"0.0.0.0:443\"\ntls-cert = \"a.pem\"\ntls-key = \"b.pem\"",
            Ok("https://127.0.0.1:443/webhooks/heygen"),
        );
        check("listen = \"127.0.0.1:0\"", Err("--to"));
        check("listen = \"8081\"", Err("did you mean 127.0.0.1:8081?"));
    }
}
