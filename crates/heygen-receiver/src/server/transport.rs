//! [`Transport`]: plain TCP or TLS.

#[cfg(feature = "tls")]
use super::tls::ServerTls;

/// Plain TCP or TLS.
#[derive(Clone, Debug)]
pub(super) enum Transport {
    Plain,
    #[cfg(feature = "tls")]
    Tls(ServerTls),
}
