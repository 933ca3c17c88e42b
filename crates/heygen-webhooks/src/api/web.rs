//! HTTP requests to servers other than HeyGen's API.

#[cfg(unix)]
use std::path::Path;
use std::time::SystemTime;

use heygen_http::tls_config;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::failure::error_chain;

/// A client that goes there straight, and follows no redirect.
pub(crate) fn client(is_https: bool) -> Result<reqwest::Client, String> {
    built(builder(is_https)?)
}

/// A client that asks a Unix socket, whatever the host of a URL is.
#[cfg(unix)]
pub(crate) fn client_of_socket(path: &Path) -> Result<reqwest::Client, String> {
    built(builder(false)?.unix_socket(path))
}

fn builder(is_https: bool) -> Result<reqwest::ClientBuilder, String> {
    let tls = tls_config(is_https)
        .map_err(|error| format!("cannot set up TLS on this machine: {error}"))?;
    Ok(reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(tls))
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, String> {
    builder
        .build()
        .map_err(|error| error_chain(&error.without_url()))
}

/// When a certificate expires; `None` where it cannot be read.
pub(crate) fn valid_until(certificate: &[u8]) -> Option<SystemTime> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let not_after = certificate.tbs_certificate().validity().not_after;
    Some(SystemTime::UNIX_EPOCH + not_after.to_unix_duration())
}
