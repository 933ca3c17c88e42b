//! [`SecretStoreError`]: why secrets could not be read or stored.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// Why secrets could not be read or stored. No text of it quotes the file.
#[derive(Debug)]
pub struct SecretStoreError {
    kind: SecretStoreErrorKind,
    path: PathBuf,
    /// Where the file is damaged.
    line: usize,
    source: Option<io::Error>,
}

/// What kind of failure it was, as far as a caller would act differently.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SecretStoreErrorKind {
    /// The file cannot be read.
    Read,
    /// It is not a file of secrets. Nothing is written over it.
    Damaged,
    /// The file, or the file of its lock, cannot be written.
    Write,
}

impl SecretStoreError {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> SecretStoreErrorKind {
        self.kind
    }

    pub(crate) fn unread(path: &Path, source: io::Error) -> Self {
        Self::new(SecretStoreErrorKind::Read, path, 0, Some(source))
    }

    pub(crate) fn damaged(path: &Path, line: usize) -> Self {
        Self::new(SecretStoreErrorKind::Damaged, path, line, None)
    }

    pub(crate) fn unwritten(path: &Path, source: io::Error) -> Self {
        Self::new(SecretStoreErrorKind::Write, path, 0, Some(source))
    }

    fn new(
        kind: SecretStoreErrorKind,
        path: &Path,
        line: usize,
        source: Option<io::Error>,
    ) -> Self {
        let path = path.to_owned();
        Self {
            kind,
            path,
            line,
            source,
        }
    }
}

impl fmt::Display for SecretStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.kind {
            SecretStoreErrorKind::Read => write!(f, "cannot read {path}"),
            SecretStoreErrorKind::Damaged => {
                write!(f, "{path} is not a file of secrets (line {})", self.line)
            }
            SecretStoreErrorKind::Write => write!(f, "cannot write {path}"),
        }
    }
}

impl Error for SecretStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
