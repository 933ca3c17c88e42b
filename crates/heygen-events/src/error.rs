//! [`ParseError`]: why a body, or its data, could not be parsed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;

use crate::event_type::EventType;

/// Why a body is not an event, or why its data does not match its type.
///
/// The text never holds any part of the body, which may contain presigned links and personal data.
/// Cloning is cheap.
#[derive(Clone, Debug)]
pub struct ParseError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ParseErrorKind,
    event_type: Option<EventType>,
    source: serde_json::Error,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The body is not JSON, which includes bytes that are not UTF-8.
    Syntax,
    /// The body is JSON, but not an object with the name of an event.
    Envelope,
    /// The data does not match the type of the name.
    Payload,
}

impl ParseError {
    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> ParseErrorKind {
        self.inner.kind
    }

    /// The event: always for [`ParseErrorKind::Payload`], otherwise `None`.
    #[must_use]
    pub fn event_type(&self) -> Option<&EventType> {
        self.inner.event_type.as_ref()
    }

    pub(crate) fn syntax(source: serde_json::Error) -> Self {
        Self::new(ParseErrorKind::Syntax, None, source)
    }

    pub(crate) fn envelope(why: &str) -> Self {
        Self::new(
            ParseErrorKind::Envelope,
            None,
            serde_json::Error::custom(why),
        )
    }

    /// A position in `why` counts from the start of `event_data`, not of the body.
    pub(crate) fn payload(event_type: EventType, why: impl fmt::Display) -> Self {
        let source = serde_json::Error::custom(why);
        Self::new(ParseErrorKind::Payload, Some(event_type), source)
    }

    fn new(kind: ParseErrorKind, event_type: Option<EventType>, source: serde_json::Error) -> Self {
        Self {
            inner: Arc::new(Inner {
                kind,
                event_type,
                source,
            }),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.inner.kind {
            ParseErrorKind::Syntax => "body is not JSON",
            ParseErrorKind::Envelope => "body is not an event",
            ParseErrorKind::Payload => "event_data does not match",
        })?;
        match &self.inner.event_type {
            // Escaped, because an unknown name is untrusted text and this goes to logs.
            Some(event_type) => write!(f, " {}", event_type.as_str().escape_debug()),
            None => Ok(()),
        }
    }
}

impl Error for ParseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.inner.source)
    }
}
