//! The [`Fingerprint`]s by which deliveries are indexed, and duplicates looked up.

use super::index::Fingerprint;
use super::{BodyDigest, DedupKey, v2};
use crate::source::Source;

/// The kinds of fingerprint, each with its own salt so that they do not collide.
#[derive(Clone, Copy)]
enum Kind {
    PostBody,
    RecordBody,
    CallbackBody,
    ImportBody,
    PostEvent,
    RecordEvent,
}

/// The fingerprints by which a delivery is indexed. A body without data, of which there may be a
/// flood, needs none for its event.
pub(crate) fn index_fingerprints(
    source: Source,
    body: BodyDigest,
    event: Option<v2::Digest>,
) -> impl Iterator<Item = Fingerprint> + use<> {
    let by_body = |kind| Some(body_fingerprint(body, kind));
    let by_event = |kind| event.map(|event| event_fingerprint(event, kind));
    let fingerprints = match source {
        Source::Webhook => [by_body(Kind::PostBody), by_event(Kind::PostEvent)],
        Source::Backfill if event.is_some() => [by_event(Kind::RecordEvent), None],
        Source::Backfill => [by_body(Kind::RecordBody), None],
        Source::Callback => [by_body(Kind::CallbackBody), None],
        Source::Import => [by_body(Kind::ImportBody), None],
    };
    fingerprints.into_iter().flatten()
}

/// The fingerprints by which duplicates of this are found.
pub(crate) fn lookup_fingerprints(
    source: Source,
    key: &DedupKey,
) -> impl Iterator<Item = Fingerprint> + use<> {
    let (body, event) = (key.body(), key.event_digest());
    let by_body = |kind| Some(body_fingerprint(body, kind));
    let by_event = |kind| event.map(|event| event_fingerprint(event, kind));
    let records = by_event(Kind::RecordEvent).or_else(|| by_body(Kind::RecordBody));
    let fingerprints = match source {
        Source::Webhook => [
            by_body(Kind::PostBody),
            by_event(Kind::RecordEvent),
            None,
            None,
        ],
        Source::Backfill => [records, by_event(Kind::PostEvent), None, None],
        Source::Callback => [by_body(Kind::CallbackBody), None, None, None],
        Source::Import => [
            by_body(Kind::PostBody),
            records,
            by_body(Kind::CallbackBody),
            by_body(Kind::ImportBody),
        ],
    };
    fingerprints.into_iter().flatten()
}

impl Kind {
    fn salt(self) -> u64 {
        match self {
            Self::PostBody => 0x2545_f491_4f6c_dd1d,
            Self::RecordBody => 0xd6e8_feb8_6659_fd93,
            Self::CallbackBody => 0xa076_1d64_78bd_642f,
            Self::ImportBody => 0xe703_7ed1_a0b4_28db,
            Self::PostEvent => 0x8ebc_6af0_9c88_c6e3,
            Self::RecordEvent => 0x5899_65cc_7537_4cc3,
        }
    }
}

fn body_fingerprint(body: BodyDigest, kind: Kind) -> Fingerprint {
    let [a, b, c, d, e, f, g, h, ..] = body.0;
    Fingerprint(u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ kind.salt())
}

fn event_fingerprint(event: v2::Digest, kind: Kind) -> Fingerprint {
    Fingerprint(event.head() ^ kind.salt())
}
