//! [`NewDelivery`]: what a receiver hands to the inbox.
//!
//! A body is read once: one pass over its text makes a [`Document`], a tree that borrows the text. From the tree come the
//! [`Event`], which gives label and drift, and the [`DedupKey`].

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use bytes::Bytes;
use heygen_events::{Document, Event, Outcome};
use serde::{Serialize, Serializer};

use crate::dedup::rule::{self, Candidate, RecordIdentity};
use crate::dedup::{self, DedupKey, Fingerprint};
use crate::drift::{self, Drift};
use crate::error::UnknownWord;

/// A delivery that passed its check and is to be kept.
///
/// [`NewDelivery::new`] reads from the body what the inbox files it under: event name, subject, outcome, [`DedupKey`]. That is
/// done here, before the queue, so that the one writer has nothing to compute.
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
    /// A delivery as it came: `body` is kept byte for byte, whatever it holds.
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
    pub fn dedup_key(&self) -> &DedupKey {
        &self.dedup_key
    }

    /// Whether a store that holds `earlier` and nothing else takes this for the same event.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use heygen_inbox::{NewDelivery, Source};
    ///
    /// let body = r#"{"event_type":"instant_avatar.fail","event_data":{"reason":"quota"}}"#;
    /// let start = SystemTime::now();
    /// let post = |minutes: u64| {
    ///     let received_at = start + Duration::from_secs(minutes * 60);
    ///     NewDelivery::new(received_at, Source::Webhook, Vec::new(), body.into())
    /// };
    /// assert!(post(59).is_duplicate_of(&post(0)));
    /// // It names no job, so an hour later it is another event.
    /// assert!(!post(61).is_duplicate_of(&post(0)));
    /// ```
    #[must_use]
    pub fn is_duplicate_of(&self, earlier: &Self) -> bool {
        rule::compare(self, &Candidate::of(earlier)).is_some()
    }

    /// Which record of HeyGen's log it is, where it is one.
    pub(crate) fn record_identity(&self) -> RecordIdentity {
        RecordIdentity {
            event_id: self.dedup_key.event_id().map(Box::from),
            body: self.dedup_key.body(),
        }
    }

    /// Under which fingerprints it is found later.
    pub(crate) fn filed_under(&self) -> impl Iterator<Item = Fingerprint> + use<> {
        let key = &self.dedup_key;
        dedup::filed_under(self.source, &key.body(), key.event_digest())
    }

    /// Under which fingerprints what is the same event as this would be found.
    pub(crate) fn looked_up_under(&self) -> impl Iterator<Item = Fingerprint> + use<> {
        dedup::looked_up_under(self.source, &self.dedup_key)
    }

    /// Takes away what the source says for it: nobody vouches for what a file says.
    #[cfg(feature = "transfer")]
    pub(crate) fn distrust(&mut self) {
        self.source = Source::Import;
    }

    /// In what the body differs from what this version knows.
    #[must_use]
    pub fn drift(&self) -> &[Drift] {
        &self.drift
    }

    /// The event name; `None` when the body is not an event.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        self.label.event_type.as_deref()
    }

    /// The id of what the event is about, where it has one.
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

    /// The numbers under which a store indexes this delivery, so that duplicates of it are found later.
    pub fn index_keys(&self) -> impl Iterator<Item = u64> + use<> {
        self.filed_under().map(|fingerprint| fingerprint.0)
    }

    /// The numbers under which deliveries are indexed that this may be a duplicate of.
    /// [`find_duplicate`](crate::find_duplicate) decides.
    pub fn lookup_keys(&self) -> impl Iterator<Item = u64> + use<> {
        self.looked_up_under().map(|fingerprint| fingerprint.0)
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

/// Which way a delivery came in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// A POST to the webhook path, with a signature over the body that verified.
    Webhook,
    /// A POST to a callback path, which nobody signed and whose address only those know who were given it.
    Callback,
    /// Read from HeyGen's own log of delivered events.
    Backfill,
    /// Read from a file that somebody exported, whatever source it states: nothing vouches for it.
    Import,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 4] = [Self::Webhook, Self::Callback, Self::Backfill, Self::Import];

    /// The word in lists and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Callback => "callback",
            Self::Backfill => "backfill",
            Self::Import => "import",
        }
    }

    /// Whether somebody sent it here. Reading the log or a file again is not the event coming again.
    pub(crate) fn is_received(self) -> bool {
        match self {
            Self::Webhook | Self::Callback => true,
            Self::Backfill | Self::Import => false,
        }
    }

    /// What vouches for a delivery that came this way.
    #[must_use]
    pub fn authenticity(self) -> Authenticity {
        match self {
            Self::Webhook => Authenticity::Signature,
            Self::Callback => Authenticity::Token,
            Self::Backfill => Authenticity::Log,
            Self::Import => Authenticity::Import,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Source {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|source| source.as_str() == word);
        found.ok_or_else(|| {
            UnknownWord::new(word, "a source: webhook, callback, backfill or import")
        })
    }
}

/// What vouches for a delivery.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Authenticity {
    /// HeyGen's signature over the body.
    Signature,
    /// Nothing but that the sender knew an unguessable address: whoever has seen that address can send anything.
    Token,
    /// HeyGen's log of events, read over TLS with the account's key.
    Log,
    /// Nothing: it was read from a file.
    Import,
}

impl Authenticity {
    /// The word in headers, environment and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Token => "token",
            Self::Log => "log",
            Self::Import => "import",
        }
    }
}

impl fmt::Display for Authenticity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
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

/// As its word.
impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
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
