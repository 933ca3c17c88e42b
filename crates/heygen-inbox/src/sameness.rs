//! [`Sameness`]: when two deliveries are the same event.
//!
//! HeyGen's signature covers the body alone. A captured request can be sent again under any header, so sameness is decided
//! on the body and on nothing else.

use std::fmt;

use heygen_events::Envelope;
use sha2::{Digest as _, Sha256};

mod canonical;

/// What decides whether two deliveries are the same event.
///
/// Two deliveries are the same event when their body `event_id`s are equal or, where one of them has none, when the digests
/// of event name and canonical data are equal. Canonical means: white space, the order of keys, the way a string is escaped
/// and whether a whole number is written `1` or `1.0` make no difference. The digest of a body that cannot be read as an
/// event is that of its bytes.
///
/// # Examples
///
/// ```
/// use heygen_inbox::Sameness;
///
/// let first = Sameness::of(br#"{"event_type":"avatar_video.fail","event_data":{"video_id":"a","msg":"no"}}"#);
/// let again = Sameness::of(br#"{ "event_data": {"msg": "no", "video_id": "a"}, "event_type": "avatar_video.fail" }"#);
/// let other = Sameness::of(br#"{"event_type":"avatar_video.fail","event_data":{"video_id":"b","msg":"no"}}"#);
/// assert!(first.is_same(&again));
/// assert!(!first.is_same(&other));
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Sameness {
    event_id: Option<Box<str>>,
    digest: Digest,
}

/// 128 bits of SHA-256: enough that two events never meet by chance, and nobody can make them meet.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct Digest(pub(crate) [u8; 16]);

impl Sameness {
    /// Reads it from a body, which need not be an event.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Envelope::from_slice(body).map_or_else(
            |_| Self::of_unreadable(body),
            |envelope| Self::of_envelope(&envelope),
        )
    }

    pub(crate) fn of_envelope(envelope: &Envelope<'_>) -> Self {
        let name = envelope.event_name();
        let mut text = Vec::with_capacity(1024);
        text.extend_from_slice(b"event\0");
        canonical::write_bytes(&mut text, name.as_bytes());
        match envelope.data_json() {
            Some(data) => canonical::write_json(&mut text, data),
            None => canonical::write_json(&mut text, "null"),
        }
        Self {
            event_id: envelope.event_id().map(Box::from),
            digest: Digest::of(&text),
        }
    }

    pub(crate) fn of_unreadable(body: &[u8]) -> Self {
        let mut text = Vec::with_capacity(body.len() + 16);
        text.extend_from_slice(b"unreadable\0");
        text.extend_from_slice(body);
        Self {
            event_id: None,
            digest: Digest::of(&text),
        }
    }

    /// The same events in a world of their own: equal among themselves and to nothing outside of it.
    pub(crate) fn apart(self, world: &str) -> Self {
        let mut text = b"apart\0".to_vec();
        canonical::write_bytes(&mut text, world.as_bytes());
        match &self.event_id {
            Some(event_id) => canonical::write_bytes(&mut text, event_id.as_bytes()),
            None => text.extend_from_slice(&self.digest.0),
        }
        Self {
            event_id: None,
            digest: Digest::of(&text),
        }
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn from_parts(event_id: Option<Box<str>>, digest: Digest) -> Self {
        Self { event_id, digest }
    }

    /// Whether both are the same event.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.event_id, &other.event_id) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, _) | (_, None) => self.digest == other.digest,
        }
    }

    /// The `event_id` of the body, where it had one.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.event_id.as_deref()
    }

    #[cfg(any(feature = "sqlite", feature = "jetstream"))]
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// Under which fingerprints an earlier delivery of the same event would be found.
    pub(crate) fn look_under(&self) -> [Fingerprint; 2] {
        match &self.event_id {
            Some(event_id) => [
                Fingerprint::of_event_id(event_id),
                self.digest.fingerprint(Side::WithoutId),
            ],
            None => [
                self.digest.fingerprint(Side::WithoutId),
                self.digest.fingerprint(Side::WithId),
            ],
        }
    }

    /// Under which fingerprints this delivery is to be found later: one without an event id meets everything of its
    /// digest, one with an event id meets its id, and those of its digest that have no id.
    pub(crate) fn file_under(&self) -> impl Iterator<Item = Fingerprint> + use<> {
        let (first, second) = match &self.event_id {
            Some(event_id) => (
                Fingerprint::of_event_id(event_id),
                Some(self.digest.fingerprint(Side::WithId)),
            ),
            None => (self.digest.fingerprint(Side::WithoutId), None),
        };
        std::iter::once(first).chain(second)
    }
}

/// 64 bits that find a candidate; the candidate itself decides.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Fingerprint(pub(crate) u64);

impl Fingerprint {
    fn of_event_id(event_id: &str) -> Self {
        let mut text = b"event_id\0".to_vec();
        text.extend_from_slice(event_id.as_bytes());
        Digest::of(&text).fingerprint(Side::Id)
    }
}

/// The three kinds of fingerprint, kept apart so that none is taken for another.
#[derive(Clone, Copy)]
enum Side {
    Id,
    WithId,
    WithoutId,
}

impl Digest {
    fn of(text: &[u8]) -> Self {
        let full: [u8; 32] = Sha256::digest(text).into();
        let mut half = [0; 16];
        half.copy_from_slice(&full[..16]);
        Self(half)
    }

    fn fingerprint(self, side: Side) -> Fingerprint {
        let mut head = [0; 8];
        head.copy_from_slice(&self.0[..8]);
        let salt = match side {
            Side::Id => 0,
            Side::WithId => 0x9e37_79b9_7f4a_7c15,
            Side::WithoutId => 0xc2b2_ae3d_27d4_eb4f,
        };
        Fingerprint(u64::from_le_bytes(head) ^ salt)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(left: &str, right: &str, same: bool) {
        let (left, right) = (
            Sameness::of(left.as_bytes()),
            Sameness::of(right.as_bytes()),
        );
        assert_eq!(left.is_same(&right), same);
        assert_eq!(right.is_same(&left), same);
        let meets = |new: &Sameness, old: &Sameness| {
            old.file_under()
                .any(|fingerprint| new.look_under().contains(&fingerprint))
        };
        assert_eq!(
            meets(&left, &right),
            same,
            "fingerprints agree with the rule"
        );
        assert_eq!(
            meets(&right, &left),
            same,
            "fingerprints agree with the rule"
        );
    }

    #[test]
    fn spelling_makes_no_difference() {
        let base = r#"{"event_type":"x.y","event_data":{"a":1,"b":"é/","c":[true,null]}}"#;
        check(base, base, true);
        check(
            base,
            r#" {"event_data" : {"c":[true,null],"b":"\u00e9\/","a":1.0},"event_type":"x.y"} "#,
            true,
        );
        check(
            base,
            r#"{"event_type":"x.y","event_data":{"a":7,"a":1,"b":"é/","c":[true,null]}}"#,
            true,
        );
        check(
            base,
            r#"{"event_type":"x.z","event_data":{"a":1,"b":"é/","c":[true,null]}}"#,
            false,
        );
        check(
            base,
            r#"{"event_type":"x.y","event_data":{"a":1,"b":"é/","c":[null,true]}}"#,
            false,
        );
        check(
            base,
            r#"{"event_type":"x.y","event_data":{"a":"1","b":"é/","c":[true,null]}}"#,
            false,
        );
        check(base, r#"{"event_type":"x.y"}"#, false);
    }

    #[test]
    fn the_same_subject_in_another_form_is_another_event() {
        let video = r#"{"event_type":"avatar_video.success","event_data":{"video_id":"a"}}"#;
        check(
            video,
            &video.replace("avatar_video", "avatar_video_gif"),
            false,
        );
        check(
            video,
            &video.replace("avatar_video", "avatar_video_caption"),
            false,
        );
    }

    #[test]
    fn event_ids_decide_where_both_have_one() {
        let with = |id: &str, video: &str| {
            format!(
                r#"{{"event_id":{id},"event_type":"x.y","event_data":{{"video_id":"{video}"}}}}"#
            )
        };
        check(&with(r#""e1""#, "a"), &with(r#""e1""#, "b"), true);
        check(&with(r#""e1""#, "a"), &with(r#""e2""#, "a"), false);
        check(&with(r#""e1""#, "a"), &with("null", "a"), true);
        check(&with(r#""e1""#, "a"), &with(r#""""#, "a"), true);
        check(&with(r#""e1""#, "a"), &with("null", "b"), false);
        check(&with("7", "a"), &with(r#""7""#, "b"), true);
    }

    #[test]
    fn what_cannot_be_read_is_compared_as_it_came() {
        check("not json", "not json", true);
        check("not json", "not json ", false);
        let surrogate = r#"{"event_type":"x.y","event_data":{"a":"\ud800"}}"#;
        check(surrogate, surrogate, true);
        check(
            surrogate,
            r#"{"event_data":{"a":"\ud800"},"event_type":"x.y"}"#,
            true,
        );
        check(
            surrogate,
            r#"{"event_type":"x.y","event_data":{"a":"\ud801"}}"#,
            false,
        );
        let huge = r#"{"event_type":"x.y","event_data":1e999}"#;
        check(huge, huge, true);
        let long = r#"{"event_type":"x.y","event_data":{"id":123456789012345678901234567890}}"#;
        check(long, long, true);
        check(long, &long.replace("7890}", "7891}"), false);
        let deep = format!(
            r#"{{"event_type":"x.y","event_data":{}{}}}"#,
            "[".repeat(500),
            "]".repeat(500)
        );
        check(&deep, &deep, true);
    }
}
