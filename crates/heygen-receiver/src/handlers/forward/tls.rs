//! How connections are encrypted: rustls with ring, and the certificates of the system.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use super::error::ForwardError;

/// The configuration is made here and not left to reqwest, which would want a default for the whole process.
///
/// For plain `http` nothing is trusted and nothing is loaded: it works in a container without certificates.
pub(super) fn config(https: bool) -> Result<ClientConfig, ForwardError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ForwardError::setup)?;
    let builder = match https {
        true => builder
            .with_platform_verifier()
            .map_err(ForwardError::setup)?,
        false => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}
