//! [`TlsError`]: why a certificate and a key cannot be used.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a certificate and a key cannot be used. Names the file and never shows what is in it.
#[derive(Debug)]
pub struct TlsError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: TlsErrorKind,
    what: &'static str,
    /// Whether the key is at fault, and not the certificate.
    is_of_key: bool,
    path: Option<PathBuf>,
    source: Option<Box<dyn Error + Send + Sync>>,
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

impl TlsError {
    pub(super) fn certificate(kind: TlsErrorKind, what: &'static str) -> Self {
        Self::new(kind, what, false)
    }

    pub(super) fn key(kind: TlsErrorKind, what: &'static str) -> Self {
        Self::new(kind, what, true)
    }

    pub(super) fn cannot_read(path: &Path, cause: io::Error) -> Self {
        let error = Self::new(TlsErrorKind::CannotRead, "cannot be read", false);
        error.caused(cause).in_files(path, path)
    }

    fn new(kind: TlsErrorKind, what: &'static str, is_of_key: bool) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                what,
                is_of_key,
                path: None,
                source: None,
            }),
        }
    }

    pub(super) fn caused(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.inner.source = Some(Box::new(cause));
        self
    }

    pub(super) fn in_files(mut self, certificates: &Path, key: &Path) -> Self {
        let path = if self.inner.is_of_key {
            key
        } else {
            certificates
        };
        self.inner.path = Some(path.to_owned());
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> TlsErrorKind {
        self.inner.kind
    }

    /// The file at fault, if files were read.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.inner.path.as_deref()
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.inner.what)?;
        match &self.inner.path {
            Some(path) => write!(f, ": {}", path.display()),
            None => Ok(()),
        }
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.inner.source.as_deref()?;
        Some(source)
    }
}
