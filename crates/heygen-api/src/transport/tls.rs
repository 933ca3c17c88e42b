//! How connections are encrypted: rustls with ring, and the certificates of the system.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::ApiError;

/// The configuration is made here and not left to reqwest, which would want a default for the whole process.
///
/// Where all addresses are plain `http`, nothing is trusted and nothing is loaded: a container without certificates can then
/// still speak to a sandbox.
pub(super) fn config(https: bool) -> Result<ClientConfig, ApiError> {
    let provider = Arc::new(ring::default_provider());
    let failed = |error: rustls::Error| {
        ApiError::config("TLS cannot be set up: the certificates of the system may be missing")
            .with_source(error)
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = match https {
        true => builder.with_platform_verifier().map_err(failed)?,
        false => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}
