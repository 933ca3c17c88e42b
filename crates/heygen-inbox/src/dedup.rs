//! [`DedupKey`]: what decides whether two deliveries are the same event.
//!
//! HeyGen's signature covers the body alone. A captured request can be sent again under any header,
//! so the body decides and nothing else. No signed field is known to identify a delivery, so the
//! safe error is to deliver twice, never to drop. The rule is in [`rule`], the index of candidates
//! in [`fingerprint`] and [`index`], and the format of earlier versions in [`v2`].

use std::fmt;

use heygen_events::{Document, Event, Node};
use sha2::{Digest as _, Sha256};

mod canonical;
pub(crate) mod fingerprint;
pub(crate) mod index;
pub(crate) mod rule;
#[cfg_attr(
    not(any(feature = "sqlite", feature = "jetstream")),
    expect(
        dead_code,
        reason = "only what outlives a process is of an older version"
    )
)]
pub(crate) mod v2;

/// What decides whether two deliveries are the same event, read from a body.
///
/// Two POSTs are the same event when their whole bodies are equal: as JSON, where white space, the
/// order of keys, the way a string is escaped and whether a number is written `1` or `1.0` make no
/// difference; byte for byte when a body is not JSON, has a repeated key or a lone surrogate, or a
/// number that a double does not hold as it is written. Where the body names no job, this holds for
/// an hour.
///
/// # Examples
///
/// ```
/// use heygen_inbox::DedupKey;
///
/// let first = DedupKey::of(br#"{"event_type":"avatar_video.fail","event_data":{"video_id":"a","msg":"no"}}"#);
/// let again = DedupKey::of(br#"{ "event_data": {"msg": "no", "video_id": "a"}, "event_type": "avatar_video.fail" }"#);
/// let other = DedupKey::of(br#"{"event_type":"avatar_video.fail","event_data":{"video_id":"a","msg":"no"},"order":1}"#);
/// assert!(first.has_equal_body(&again));
/// assert!(!first.has_equal_body(&other));
/// assert!(first.names_job());
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct DedupKey {
    body: BodyDigest,
    /// Of event name and canonical data; `None` without data.
    event: Option<BodyDigest>,
    event_id: Option<Box<str>>,
    names_job: bool,
    /// Whether the top level holds nothing that a record of HeyGen's log does not hold.
    is_plain: bool,
    v2: v2::Digest,
}

/// All of SHA-256: no one can make two bodies collide.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct BodyDigest(pub(crate) [u8; 32]);

impl DedupKey {
    /// Reads it from a body, which need not be an event.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        match Document::from_slice(body) {
            Ok(document) => Self::of_document(&document, Event::read(&document).ok().as_ref()),
            Err(_) => Self::of_bytes(body),
        }
    }

    /// Of a body that is JSON, with the event that it is.
    pub(crate) fn of_document(document: &Document<'_>, event: Option<&Event>) -> Self {
        let is_canonical = canonical::is_canonical(document);
        let data = document.root().get("event_data");
        let body = match is_canonical {
            true => {
                let mut text = Vec::with_capacity(document.text().len() + 256);
                canonical::write(&mut text, document.root());
                BodyDigest::of_parts(b"json\0", &text)
            }
            false => BodyDigest::of_bytes(document.text().as_bytes()),
        };
        let name = event.map_or("", Event::event_name);
        let mut key = Self {
            body,
            event: None,
            event_id: None,
            names_job: data.is_some_and(|data| names_job(name, data)),
            is_plain: false,
            v2: v2::Digest::of_unreadable(document.text().as_bytes()),
        };
        let Some(event) = event else {
            key.names_job &= is_canonical;
            return key;
        };
        key.event_id = event.event_id().map(|id| id.as_str().into());
        if !is_canonical {
            return key.with_non_canonical_event(document, name);
        }
        let digest = digest_of_event(name, |text| {
            canonical::write(text, data.unwrap_or(&Node::Null));
        });
        key.event = data.map(|_| digest);
        key.v2 = v2::Digest::half_of(&digest);
        key.is_plain = is_plain(
            document,
            document.root().fields().iter().map(|(key, _)| &**key),
        );
        key
    }

    /// The key of a body that is compared byte for byte. Its data may still be found in HeyGen's
    /// log.
    fn with_non_canonical_event(mut self, document: &Document<'_>, name: &str) -> Self {
        let mut top = document.members();
        top.sort_by(|(left, _), (right, _)| left.cmp(right));
        let data = top.iter().rfind(|(key, _)| key == "event_data");
        let data = data.map(|(_, data)| data.get());
        // Readers differ on which value of a repeated key counts.
        let is_certain = !top.is_empty() && top.windows(2).all(|pair| pair[0].0 != pair[1].0);
        self.event = data
            .filter(|_| is_certain)
            .map(|data| digest_of_event(name, |text| canonical::write_json(text, data)));
        self.is_plain = is_certain && is_plain(document, top.iter().map(|(key, _)| &**key));
        self.v2 = v2::Digest::of_event(name, data);
        self
    }

    /// Of a body that is not JSON.
    pub(crate) fn of_bytes(body: &[u8]) -> Self {
        Self {
            body: BodyDigest::of_bytes(body),
            event: None,
            event_id: None,
            names_job: false,
            is_plain: false,
            v2: v2::Digest::of_unreadable(body),
        }
    }

    /// Whether the whole bodies are equal.
    #[must_use]
    pub fn has_equal_body(&self, other: &Self) -> bool {
        self.body == other.body
    }

    /// Whether event name and data are equal, whatever the other fields.
    #[must_use]
    pub fn has_equal_event(&self, other: &Self) -> bool {
        self.event.is_some() && self.event == other.event
    }

    /// Whether the data names one job: a video, a translation, a render, a batch or a clipping,
    /// which ends once.
    #[must_use]
    pub fn names_job(&self) -> bool {
        self.names_job
    }

    /// The `event_id` of the body, if it has one.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.event_id.as_deref()
    }

    pub(crate) fn body(&self) -> BodyDigest {
        self.body
    }

    /// The digest by which candidates of equal name and data are found; it does not decide.
    pub(crate) fn event_digest(&self) -> Option<v2::Digest> {
        self.event.map(|_| self.v2)
    }
}

impl BodyDigest {
    fn of_bytes(body: &[u8]) -> Self {
        Self::of_parts(b"bytes\0", body)
    }

    fn of_parts(kind: &[u8], text: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind);
        hash.update(text);
        Self(hash.finalize().into())
    }
}

fn digest_of_event(name: &str, write_data: impl FnOnce(&mut Vec<u8>)) -> BodyDigest {
    let mut text = Vec::with_capacity(1024);
    text.extend_from_slice(b"event\0");
    canonical::write_bytes(&mut text, name.as_bytes());
    write_data(&mut text);
    BodyDigest(Sha256::digest(&text).into())
}

fn names_job(event_name: &str, data: &Node<'_>) -> bool {
    let mut fields = data.fields().iter();
    fields.any(|(key, value)| is_job_key(event_name, key) && is_job_id(value))
}

/// The ids of one job each. Sessions, groups, avatars and callbacks are not: more than one event of
/// a kind is about them.
fn is_job_key(event_name: &str, key: &str) -> bool {
    match key {
        "video_id" | "video_translate_id" | "render_id" | "batch_id" => true,
        "id" => event_name.starts_with("ai_clipping."),
        _ => false,
    }
}

fn is_job_id(value: &Node<'_>) -> bool {
    match value {
        Node::Text(text) => !text.trim().is_empty(),
        Node::Number(_) => true,
        _ => false,
    }
}

fn is_plain<'a>(document: &Document<'_>, mut keys: impl Iterator<Item = &'a str>) -> bool {
    let is_named_by_type = matches!(document.root().get("event_type"), Some(Node::Text(_)));
    keys.all(|key| match key {
        "event_data" | "event_id" | "created_at" => true,
        "event_type" => is_named_by_type,
        "event" => !is_named_by_type,
        _ => false,
    })
}

#[cfg(feature = "jetstream")]
impl BodyDigest {
    pub(crate) fn to_hex(self) -> String {
        format!("{self:?}")
    }

    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Debug for BodyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What else is compared byte for byte is in the conformance suite.
    #[test]
    fn deep_nesting_is_compared_byte_for_byte() {
        let key = |text: &str| DedupKey::of(text.as_bytes());
        let lists = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let deep = format!(r#"{{"event_type":"x.y","event_data":{lists}}}"#);
        assert!(key(&deep).has_equal_body(&key(&deep)));
        assert!(!key(&deep).has_equal_body(&key(&format!("{deep} "))));
    }

    #[track_caller]
    fn check_job(name: &str, data: &str, expected: bool) {
        let body = format!(r#"{{"event_type":"{name}","event_data":{data}}}"#);
        assert_eq!(
            DedupKey::of(body.as_bytes()).names_job(),
            expected,
            "{body}"
        );
    }

    #[test]
    fn jobs_are_named_by_their_ids_alone() {
        for key in ["video_id", "video_translate_id", "render_id", "batch_id"] {
            check_job("x.y", &format!(r#"{{"{key}":"a"}}"#), true);
            check_job("x.y", &format!(r#"{{"{key}":7}}"#), true);
            for nothing in [
                "\"\"",
                "\" \\t\"",
                "null",
                "true",
                "[\"a\"]",
                "{\"id\":\"a\"}",
            ] {
                check_job("x.y", &format!(r#"{{"{key}":{nothing}}}"#), false);
            }
        }
        check_job("ai_clipping.success", r#"{"id":"a"}"#, true);
        check_job("batch.finished", r#"{"id":"a"}"#, false);
        for key in [
            "session_id",
            "group_id",
            "avatar_id",
            "event_id",
            "callback_id",
            "caption_url",
        ] {
            check_job("x.y", &format!(r#"{{"{key}":"a"}}"#), false);
        }
        check_job("x.y", r#"{"list":[{"video_id":"a"}]}"#, false);
        // Also where the body is compared byte for byte.
        check_job("x.y", r#"{"video_id":"a","title":"\ud800"}"#, true);
        check_job("x.y", r#"{"video_id":"","title":"\ud800"}"#, false);
    }

    #[track_caller]
    fn check_event(left: &str, right: &str, same: bool) {
        let (left, right) = (
            DedupKey::of(left.as_bytes()),
            DedupKey::of(right.as_bytes()),
        );
        assert_eq!(left.has_equal_event(&right), same);
        if same {
            assert_eq!(left.event_digest(), right.event_digest(), "they are found");
        }
    }

    #[test]
    fn events_are_compared_by_name_and_data() {
        let base = r#"{"event_type":"x.y","event_data":{"a":1,"b":2}}"#;
        check_event(
            base,
            r#"{"event":"x.y","created_at":"now","event_data":{"b":2.0,"a":1}}"#,
            true,
        );
        check_event(base, &base.replace("x.y", "x.z"), false);
        check_event(base, &base.replace("\"a\":1", "\"a\":2"), false);
        // Repeated keys of the data: byte for byte.
        let odd = r#"{"event_type":"x.y","event_data":{"a":1,"a":1,"b":2}}"#;
        check_event(odd, &odd.replacen('{', r#"{"event_id":"e","#, 1), true);
        check_event(base, odd, false);
        check_event(odd, &odd.replace("\"b\":2", "\"b\": 2"), false);
        // Readers differ on which of the two counts.
        let twice = r#"{"event_type":"x.y","event_data":{},"event_data":{}}"#;
        check_event(twice, twice, false);
        check_event(r#"{"event_type":"x.y"}"#, r#"{"event_type":"x.y"}"#, false);
    }
}
