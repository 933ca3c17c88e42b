//! [`NewDelivery`]: what a receiver appends to the inbox.
//!
//! A body is read once: one pass over its text makes a [`Document`], a tree that borrows the text.
//! From the tree come the [`Event`], which gives label and drift, and the [`DedupKey`].

use std::time::SystemTime;

use bytes::Bytes;
use heygen_events::{Document, Event, Outcome};
use serde::{Serialize, Serializer};

use crate::dedup::index::Fingerprint;
use crate::dedup::{DedupKey, fingerprint};
use crate::drift::{self, Drift};
use crate::source::Source;

/// A verified delivery that is to be stored.
///
/// [`NewDelivery::new`] reads from the body what the inbox indexes: event name, subject, outcome,
/// [`DedupKey`]. That is done before the queue, so that the one writer has nothing to compute.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    received_at: SystemTime,
    source: Source,
    headers: Vec<Header>,
    body: Bytes,
    label: Label,
    dedup_key: DedupKey,
    drift: Vec<Drift>,
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
    /// A delivery as received: `body` is stored byte for byte, whatever it contains.
    #[must_use]
    pub fn new(received_at: SystemTime, source: Source, headers: Vec<Header>, body: Bytes) -> Self {
        let (label, dedup_key, drift) = match Document::from_slice(&body) {
            Ok(document) => {
                let event = Event::read(&document);
                let dedup_key = DedupKey::of_document(&document, event.as_ref().ok());
                match &event {
                    Ok(event) => (Label::of(event), dedup_key, drift::of(event)),
                    Err(error) => (Label::default(), dedup_key, vec![Drift::unreadable(error)]),
                }
            }
            Err(error) => (
                Label::default(),
                DedupKey::of_bytes(&body),
                vec![Drift::unreadable(&error)],
            ),
        };
        Self {
            received_at,
            source,
            headers,
            body,
            label,
            dedup_key,
            drift,
        }
    }

    /// When the request came in, by the receiver's clock.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        self.received_at
    }

    /// How it was received.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Its headers. HeyGen signs none of them.
    #[must_use]
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The bytes received.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What decides whether it is a duplicate.
    #[must_use]
    pub fn dedup_key(&self) -> &DedupKey {
        &self.dedup_key
    }

    /// The fingerprints by which it is indexed.
    pub(crate) fn index_fingerprints(&self) -> impl Iterator<Item = Fingerprint> + use<> {
        let key = &self.dedup_key;
        fingerprint::index_fingerprints(self.source, key.body(), key.event_digest())
    }

    /// The fingerprints by which duplicates of it are found.
    pub(crate) fn lookup_fingerprints(&self) -> impl Iterator<Item = Fingerprint> + use<> {
        fingerprint::lookup_fingerprints(self.source, &self.dedup_key)
    }

    /// Makes it an import, whose source is not authenticated.
    #[cfg(feature = "transfer")]
    pub(crate) fn distrust(&mut self) {
        self.source = Source::Import;
    }

    /// How the body differs from what this version knows.
    #[must_use]
    pub fn drift(&self) -> &[Drift] {
        &self.drift
    }

    /// The event name; `None` when the body is not an event.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        self.label.event_type.as_deref()
    }

    /// The id of what the event is about, if it has one.
    #[must_use]
    pub fn subject_id(&self) -> Option<&str> {
        self.label.subject_id.as_deref()
    }

    /// What the caller gave when starting the job, if anything.
    #[must_use]
    pub fn callback_id(&self) -> Option<&str> {
        self.label.callback_id.as_deref()
    }

    /// Whether the event reports a success or a failure; `None` when the body is not an event.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.label.outcome
    }

    /// The numbers by which a store indexes this delivery, so that later duplicates find it.
    pub fn index_keys(&self) -> impl Iterator<Item = u64> + use<> {
        self.index_fingerprints().map(|fingerprint| fingerprint.0)
    }

    /// The numbers by which deliveries are indexed that this may be a duplicate of.
    /// [`find_duplicate`](crate::find_duplicate) decides.
    pub fn lookup_keys(&self) -> impl Iterator<Item = u64> + use<> {
        self.lookup_fingerprints().map(|fingerprint| fingerprint.0)
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

/// As `[name, value]`.
impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.name, &self.value).serialize(serializer)
    }
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
