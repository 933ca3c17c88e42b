//! The HTTP client of a sender: HTTP/1.1, no redirects, no proxy.

use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::{error::SendError, outgoing_body::OutgoingBody};

#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
type Connector = HttpConnector;

/// Clones share their connections.
pub(super) type Client = legacy::Client<Connector, OutgoingBody>;

/// A client that reuses connections, or closes them. For `http` it reads no certificates, so that it
/// works where the system has none.
pub(super) fn new(keeps_connections: bool, is_https: bool) -> Result<Client, SendError> {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new());
    if !keeps_connections {
        builder.pool_max_idle_per_host(0);
    }
    Ok(builder.build(connector(http, is_https)?))
}

#[cfg(feature = "tls")]
fn connector(mut http: HttpConnector, is_https: bool) -> Result<Connector, SendError> {
    http.enforce_http(false);
    let tls = heygen_http::tls_config(is_https).map_err(SendError::client)?;
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls);
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unnecessary_wraps, reason = "the version with TLS can fail")]
fn connector(http: HttpConnector, _is_https: bool) -> Result<Connector, SendError> {
    Ok(http)
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    #[test]
    fn no_process_wide_crypto_provider_is_installed() {
        new(true, true).unwrap();
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    }
}
