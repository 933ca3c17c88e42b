//! The deduplication of schema version 2 and its streams: by `event_id`, and by half a digest of
//! event name and data. It finds what those versions stored, and lets them find what this version
//! publishes.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::index::Fingerprint;
use super::{DedupKey, canonical};
use crate::source::Source;

/// Half of SHA-256, of event name and data, or of the bytes of a body that is not an event.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct Digest(pub(crate) [u8; 16]);

/// The fingerprints by which those versions indexed a delivery, from what they stored of it.
pub(crate) fn index_fingerprints(
    event_id: Option<&str>,
    digest: Digest,
) -> impl Iterator<Item = Fingerprint> + use<> {
    let fingerprints = match event_id {
        Some(event_id) => [
            Some(of_event_id(event_id)),
            Some(digest.fingerprint(Side::WithId)),
        ],
        None => [Some(digest.fingerprint(Side::WithoutId)), None],
    };
    fingerprints.into_iter().flatten()
}

/// The same for a delivery that is stored now. Those versions would take an import for a callback,
/// and must not recognise it.
#[cfg(feature = "jetstream")]
pub(crate) fn index_fingerprints_now(source: Source, key: &DedupKey) -> Vec<Fingerprint> {
    match source {
        Source::Webhook | Source::Backfill => index_fingerprints(key.event_id(), key.v2).collect(),
        Source::Callback => index_fingerprints(None, of_callback(key)).collect(),
        Source::Import => Vec::new(),
    }
}

/// Those of their fingerprints by which duplicates of this are found.
pub(crate) fn lookup_fingerprints(
    source: Source,
    key: &DedupKey,
) -> impl Iterator<Item = Fingerprint> + use<> {
    let is_callback = matches!(source, Source::Callback | Source::Import);
    let is_other = !matches!(source, Source::Callback);
    let of_callback = is_callback.then(|| of_callback(key).fingerprint(Side::WithoutId));
    let of_others = is_other.then(|| {
        [
            key.event_id().map(of_event_id),
            Some(key.v2.fingerprint(Side::WithId)),
            Some(key.v2.fingerprint(Side::WithoutId)),
        ]
    });
    let of_others = of_others.into_iter().flatten().flatten();
    of_others.chain(of_callback)
}

/// Callbacks had digests of their own, so that they matched nothing else.
fn of_callback(key: &DedupKey) -> Digest {
    let mut text = b"apart\0".to_vec();
    canonical::write_bytes(&mut text, Source::Callback.as_str().as_bytes());
    match key.event_id() {
        Some(event_id) => canonical::write_bytes(&mut text, event_id.as_bytes()),
        None => text.extend_from_slice(&key.v2.0),
    }
    Digest::of(&text)
}

fn of_event_id(event_id: &str) -> Fingerprint {
    let mut text = b"event_id\0".to_vec();
    text.extend_from_slice(event_id.as_bytes());
    Digest::of(&text).fingerprint(Side::Id)
}

/// The three kinds of fingerprint.
#[derive(Clone, Copy)]
enum Side {
    Id,
    WithId,
    WithoutId,
}

impl Digest {
    pub(super) fn half_of(whole: &super::BodyDigest) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&whole.0[..16]);
        Self(half)
    }

    fn of(text: &[u8]) -> Self {
        Self::half_of(&super::BodyDigest(Sha256::digest(text).into()))
    }

    pub(super) fn of_event(name: &str, data: Option<&str>) -> Self {
        Self::half_of(&super::digest_of_event(name, |text| {
            canonical::write_json_v2(text, data.unwrap_or("null"));
        }))
    }

    pub(super) fn of_unreadable(body: &[u8]) -> Self {
        Self::half_of(&super::BodyDigest::of_parts(b"unreadable\0", body))
    }

    pub(super) fn head(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    fn fingerprint(self, side: Side) -> Fingerprint {
        let salt = match side {
            Side::Id => 0,
            Side::WithId => 0x9e37_79b9_7f4a_7c15,
            Side::WithoutId => 0xc2b2_ae3d_27d4_eb4f,
        };
        Fingerprint(self.head() ^ salt)
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
    fn check(body: &str, digest: &str, filed: &[u64]) {
        let key = DedupKey::of(body.as_bytes());
        assert_eq!(format!("{:?}", key.v2), digest, "{body}");
        let found: Vec<_> = index_fingerprints(key.event_id(), key.v2)
            .map(|fingerprint| fingerprint.0)
            .collect();
        assert_eq!(found, filed, "{body}");
        let looked_up: Vec<_> = lookup_fingerprints(Source::Webhook, &key).collect();
        assert!(
            found
                .iter()
                .all(|one| looked_up.contains(&Fingerprint(*one)))
        );
    }

    #[test]
    fn callbacks_have_digests_of_their_own() {
        let of = |body: &str| format!("{:?}", of_callback(&DedupKey::of(body.as_bytes())));
        let body = r#"{"event_type":"avatar_video.success","event_data":{"video_id":"k"}}"#;
        assert_eq!(of(body), "56d3894c9fc4e49a9b96c570157aee50");
        let body = r#"{"event_id":"x1","event_type":"avatar_video.success","event_data":{"video_id":"l"}}"#;
        assert_eq!(of(body), "0a2cee1b7166334874e02d43daba4b1b");
    }

    /// Recorded from version 2.
    #[test]
    fn digests_and_fingerprints_are_those_of_version_2() {
        V2_CASES
            .iter()
            .for_each(|(body, digest, filed)| check(body, digest, filed));
    }

    const V2_CASES: &[(&str, &str, &[u64])] = &[
        (
            r#"{"event_type":"avatar_video.success","event_data":{"video_id":"a"}}"#,
            "7dcad603734817950340d6b271c2ebd1",
            &[0x57a5_e64e_2402_2132],
        ),
        (
            r#"{"event_id":"e1","event_type":"avatar_video.success","event_data":{"video_id":"c"}}"#,
            "ceccebb86adf5cfe43e3f9b67ae237ce",
            &[0x3597_af4c_ee02_7a07, 0x606b_a6d3_c7a1_b0db],
        ),
        (
            r#"{"event_id":"e5","event_type":"avatar_video.success","event_data":{"video_id":"d"},"created_at":"2026-09-21T14:00:00Z"}"#,
            "c56f12de63926fd464364db9980b46d9",
            &[0xd7b3_fbfd_e189_65f8, 0x4a58_ebda_a158_13d0],
        ),
        (
            r#"not json"#,
            "a28d7e4497c69b21f546b1690ce17246",
            &[0xe329_68aa_63aa_66ed],
        ),
        (
            r#"{"event_type":"avatar_video.success","event_data":{"video_id":"r","n":1,"n":2}}"#,
            "d46d100bf25d13190cd3570adcdbd828",
            &[0xdba1_f3cf_2cc4_869b],
        ),
        (
            r#"{"event_id":"e8","event_type":"photo_avatar_train.fail","event_data":{"group_id":"g"}}"#,
            "e745e9f6ceff0f6c1d731db7a994e98d",
            &[0xc4e8_9448_a98c_c13e, 0xf238_8677_89a3_39f2],
        ),
        (
            r#"{"event_type":"scene.success","scene_id":"a"}"#,
            "19c07600f10017446e5fb0f33217638c",
            &[0x86a5_aecc_27a2_2b56],
        ),
        (
            r#"{"event_type":"avatar_video.success","event_data":{"video_id":"s","title":"\ud800","n":123456789012345678901234567890}}"#,
            "cfa103cdc19093f82aed616590d2e266",
            &[0x3a21_3efc_ead7_4a80],
        ),
    ];
}
