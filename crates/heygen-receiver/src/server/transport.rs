//! [`Transport`]: what lies between the socket and HTTP.

#[cfg(feature = "tls")]
use super::tls::ServerTls;

/// What lies between the socket and HTTP.
#[derive(Clone, Debug)]
pub(super) enum Transport {
    Plain,
    #[cfg(feature = "tls")]
    Tls(ServerTls),
}
