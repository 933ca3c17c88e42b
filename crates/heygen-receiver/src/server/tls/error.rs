//! [`TlsError`]: why a certificate and a key cannot be used.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a certificate and a key cannot be used. Names the file and never shows what is in it.
#[derive(Debug)]
pub struct TlsError {
    inner: Box<Inner>,
    path: Option<PathBuf>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TlsErrorKind {
    /// A file cannot be read.
    CannotRead,
    /// There is no certificate.
    NoCertificate,
    /// There is no key, or only an encrypted one.
    NoKey,
    /// The key does not belong to the first certificate.
    KeyDoesNotFit,
    /// The certificate or key is damaged, or of an unsupported kind.
    Unusable,
}

#[derive(Debug)]
pub(super) enum Inner {
    CannotRead(io::Error),
    NoCertificate,
    BadCertificatePem,
    NoKey,
    BadKeyPem,
    KeyDoesNotFit,
    UnusableCertificate(rustls::Error),
    UnusableKey(rustls::Error),
    /// rustls rejects the configuration.
    Setup(rustls::Error),
}

impl TlsError {
    pub(super) fn cannot_read(path: &Path, cause: io::Error) -> Self {
        Self {
            inner: Box::new(Inner::CannotRead(cause)),
            path: Some(path.to_owned()),
        }
    }

    pub(super) fn of_files(inner: Inner, certificates: &Path, key: &Path) -> Self {
        let path = match inner {
            Inner::NoCertificate
            | Inner::BadCertificatePem
            | Inner::UnusableCertificate(_)
            | Inner::Setup(_) => certificates,
            Inner::NoKey
            | Inner::BadKeyPem
            | Inner::UnusableKey(_)
            | Inner::KeyDoesNotFit
            | Inner::CannotRead(_) => key,
        };
        Self {
            path: Some(path.to_owned()),
            inner: Box::new(inner),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> TlsErrorKind {
        match *self.inner {
            Inner::CannotRead(_) => TlsErrorKind::CannotRead,
            Inner::NoCertificate => TlsErrorKind::NoCertificate,
            Inner::NoKey => TlsErrorKind::NoKey,
            Inner::KeyDoesNotFit => TlsErrorKind::KeyDoesNotFit,
            Inner::BadCertificatePem
            | Inner::BadKeyPem
            | Inner::UnusableCertificate(_)
            | Inner::UnusableKey(_)
            | Inner::Setup(_) => TlsErrorKind::Unusable,
        }
    }

    /// The file at fault, if files were read.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl From<Inner> for TlsError {
    fn from(inner: Inner) -> Self {
        Self {
            inner: Box::new(inner),
            path: None,
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self.inner {
            Inner::CannotRead(_) => "cannot be read",
            Inner::NoCertificate => "there is no certificate in PEM",
            Inner::BadCertificatePem => "a certificate is damaged PEM",
            Inner::NoKey => "there is no private key in PEM without a passphrase",
            Inner::BadKeyPem => "the private key is damaged PEM",
            Inner::KeyDoesNotFit => "the key is not that of the first certificate",
            Inner::UnusableCertificate(_) => "the certificate cannot be used",
            Inner::UnusableKey(_) => "the private key cannot be used",
            Inner::Setup(_) => "TLS cannot be set up",
        })?;
        match &self.path {
            Some(path) => write!(f, ": {}", path.display()),
            None => Ok(()),
        }
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.inner {
            Inner::CannotRead(cause) => Some(cause),
            Inner::UnusableCertificate(cause) | Inner::UnusableKey(cause) | Inner::Setup(cause) => {
                Some(cause)
            }
            Inner::NoCertificate
            | Inner::BadCertificatePem
            | Inner::NoKey
            | Inner::BadKeyPem
            | Inner::KeyDoesNotFit => None,
        }
    }
}
