//! [`NewDelivery`]: what a receiver hands to the inbox.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use heygen_events::{Envelope, Event, Outcome};

use crate::sameness::Sameness;

/// A delivery that passed its check and is to be kept.
///
/// [`NewDelivery::new`] reads from the body what the inbox files it under: event name, subject, outcome, sameness. That is
/// done here, before the queue, so that the one writer has nothing to compute.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    received_at: SystemTime,
    source: Source,
    headers: Vec<Header>,
    body: Bytes,
    label: Label,
    sameness: Sameness,
}

/// What a list shows of a body. Everything is absent for a body that is not an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Label {
    pub(crate) event_type: Option<String>,
    pub(crate) subject_id: Option<String>,
    pub(crate) callback_id: Option<String>,
    pub(crate) outcome: Option<Outcome>,
}

impl NewDelivery {
    /// A delivery as it came: `body` is kept byte for byte, whatever it holds.
    #[must_use]
    pub fn new(received_at: SystemTime, source: Source, headers: Vec<Header>, body: Bytes) -> Self {
        let (label, sameness) = match Envelope::from_slice(&body) {
            Ok(envelope) => (
                Label::of(&envelope.to_event()),
                Sameness::of_envelope(&envelope),
            ),
            Err(_) => (Label::default(), Sameness::of_unreadable(&body)),
        };
        Self {
            received_at,
            source,
            headers,
            body,
            label,
            sameness,
        }
    }

    /// When the request came in, by the receiver's clock.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        self.received_at
    }

    /// Which way it came.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// The headers it came with. HeyGen signs none of them.
    #[must_use]
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The bytes received.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What decides whether it was here before.
    #[must_use]
    pub fn sameness(&self) -> &Sameness {
        &self.sameness
    }

    pub(crate) fn label(&self) -> &Label {
        &self.label
    }
}

impl Label {
    fn of(event: &Event) -> Self {
        Self {
            event_type: Some(event.event_name().to_owned()),
            subject_id: event.subject_id().map(Into::into),
            callback_id: event.callback_id().map(Into::into),
            outcome: Some(event.outcome()),
        }
    }
}

/// Which way a delivery came in, and so what vouches for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// A POST to the webhook path, with a signature over the body that verified.
    Webhook,
}

impl Source {
    /// The word in lists and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
        }
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Webhook]
            .into_iter()
            .find(|source| source.as_str() == word)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One header of a request, the name in lower case.
///
/// Bytes of the value that are not UTF-8 are replaced; no signature depends on them.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Header {
    /// The name, in lower case.
    pub name: String,
    /// The value.
    pub value: String,
}

impl Header {
    /// A header from the bytes on the wire.
    #[must_use]
    pub fn new(name: &str, value: &[u8]) -> Self {
        Self {
            name: name.to_ascii_lowercase(),
            value: String::from_utf8_lossy(value).into_owned(),
        }
    }
}
