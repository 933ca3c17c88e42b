//! [`InboxError`]: why an operation of the inbox failed.

use std::error::Error;
use std::fmt;

/// Why an operation of the inbox failed.
///
/// The message names the file and the step; the cause, if any, is in [`source`](Error::source).
pub struct InboxError {
    inner: Box<Inner>,
}

struct Inner {
    kind: InboxErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What kind of failure it was, as far as a caller would act differently.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InboxErrorKind {
    /// The queue of the writer is full: try again in a moment.
    Busy,
    /// The store could not write or read: disk full, an I/O error, a damaged file.
    Storage,
    /// Another process serves the inbox.
    InUse,
    /// A newer version made the file, or it is not an inbox.
    Version,
    /// An older version made the file, or the process that made it did not complete it: the next
    /// process that serves it migrates it.
    Outdated,
    /// The subjects of a stream are not those asked for, or belong to another stream.
    Subjects,
    /// There is no inbox: a stream of it does not exist.
    Missing,
    /// The inbox is not open yet ([`BoxInbox::unopened`](crate::BoxInbox::unopened)): try again in
    /// a moment.
    Opening,
    /// The inbox has been closed.
    Closed,
    /// This store does not support the operation.
    Unsupported,
    /// The servers of the inbox deny access: credentials are missing or wrong.
    Access,
}

impl InboxError {
    /// A failure with a message in lower case and without a full stop.
    pub fn new(kind: InboxErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                source: None,
            }),
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> InboxErrorKind {
        self.inner.kind
    }
}

impl fmt::Display for InboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for InboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxError")
            .field("kind", &self.inner.kind)
            .field("message", &self.inner.message)
            .field("source", &self.inner.source)
            .finish()
    }
}

impl Error for InboxError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner
            .source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

/// A name that is not one of those expected, such as that of a state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownNameError {
    name: String,
    expected: &'static str,
}

impl UnknownNameError {
    pub(crate) fn new(name: &str, expected: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            expected,
        }
    }
}

impl fmt::Display for UnknownNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", self.name, self.expected)
    }
}

impl Error for UnknownNameError {}
