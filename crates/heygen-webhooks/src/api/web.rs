//! Asking a web server, other than HeyGen's API.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::api::error_chain;

/// A client that goes there straight, and follows no redirect.
pub(crate) fn client(is_https: bool) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(tls_config(is_https)?)
        .build()
        .map_err(|error| error_chain(&error.without_url()))
}

/// With the certificates of the system; where nothing is encrypted, none are loaded.
pub(crate) fn tls_config(is_https: bool) -> Result<ClientConfig, String> {
    let failed = |error: rustls::Error| format!("TLS cannot be set up here: {error}");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = match is_https {
        true => builder.with_platform_verifier().map_err(failed)?,
        false => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

/// When a certificate expires; `None` where it cannot be read.
pub(crate) fn valid_until(certificate: &[u8]) -> Option<SystemTime> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let not_after = certificate.tbs_certificate().validity().not_after;
    Some(SystemTime::UNIX_EPOCH + not_after.to_unix_duration())
}
