//! [`ForwardError`]: why deliveries cannot be forwarded to an address.

use std::error::Error;
use std::fmt;

/// The error for an address that deliveries cannot be forwarded to.
///
/// Its texts never hold the address, which may contain a password.
#[derive(Debug)]
pub struct ForwardError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ForwardErrorKind,
    what: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ForwardErrorKind {
    /// The address is not an HTTP address, or holds a user or a password.
    Url,
    /// The proxy's address is not one of `http` or `https`.
    Proxy,
    /// The certificate authorities are not certificates in PEM.
    Certificates,
    /// TLS cannot be set up on this machine.
    Setup,
}

impl ForwardError {
    pub(super) fn url(what: &'static str) -> Self {
        Self::new(ForwardErrorKind::Url, what, None)
    }

    pub(super) fn no_url(source: impl Error + Send + Sync + 'static) -> Self {
        let what = "the address to forward to is not a URL";
        Self::new(ForwardErrorKind::Url, what, Some(Box::new(source)))
    }

    pub(super) fn proxy() -> Self {
        let what = "the proxy is not an address such as http://proxy:3128";
        Self::new(ForwardErrorKind::Proxy, what, None)
    }

    pub(super) fn certificates(source: Option<Box<dyn Error + Send + Sync>>) -> Self {
        let what = "the certificate authorities are not certificates in PEM";
        Self::new(ForwardErrorKind::Certificates, what, source)
    }

    pub(super) fn setup(source: impl Error + Send + Sync + 'static) -> Self {
        let what = "TLS cannot be set up: the root certificates of the system may be missing";
        Self::new(ForwardErrorKind::Setup, what, Some(Box::new(source)))
    }

    fn new(
        kind: ForwardErrorKind,
        what: &'static str,
        source: Option<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            inner: Box::new(Inner { kind, what, source }),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> ForwardErrorKind {
        self.inner.kind
    }
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.inner.what)
    }
}

impl Error for ForwardError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.inner.source.as_deref()?;
        Some(source)
    }
}
