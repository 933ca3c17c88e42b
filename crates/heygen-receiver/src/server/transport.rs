//! [`Transport`]: plain HTTP or TLS.

#[cfg(feature = "tls")]
use super::tls::ServerTls;

/// Plain HTTP or TLS.
#[derive(Clone, Debug)]
pub(super) enum Transport {
    Plain,
    #[cfg(feature = "tls")]
    Tls(ServerTls),
}
