//! The event of every measurement: `avatar_video.success` with a presigned link as long as real ones, 758 bytes, and a
//! number that makes it an event of its own.

use std::time::SystemTime;

use bytes::Bytes;
use heygen_inbox::{Header, NewDelivery, Source};

/// The id of the event with this number, as HeyGen's look: 32 hexadecimal digits.
///
/// Neighbours differ in many digits, as ids drawn at random do: multiplying by an odd number loses nothing.
#[must_use]
pub(super) fn id(number: u64) -> String {
    let high = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    let low = number.wrapping_mul(0xd129_0c2b_5e27_13a5) ^ 0x5bd1_e995_7f4a_7c15;
    format!("{high:016x}{low:016x}")
}

/// The body of the event with this id.
#[must_use]
pub(super) fn body(id: &str) -> String {
    // A signature by RSA with 2048 bits, as the content network of these links makes them: 256 bytes, 344 of base 64.
    let signature = "c2FtcGxl".repeat(43);
    format!(
        r#"{{"event_type":"avatar_video.success","event_data":{{"video_id":"{id}","url":"https://resource2.heygen.ai/video/{id}/1280x720.mp4?Expires=1789084800&Signature={signature}&Key-Pair-Id=SAMPLE0KEY0PAIR","gif_download_url":null,"video_share_page_url":"https://app.heygen.com/share/{id}","folder_id":null,"callback_id":"order-0000001042-take-002"}}}}"#
    )
}

/// The event with this number as the receiver hands it to the inbox, headers and all.
#[must_use]
pub(super) fn delivery(number: u64) -> NewDelivery {
    let headers = vec![
        Header::new("content-type", b"application/json"),
        Header::new("user-agent", USER_AGENT.as_bytes()),
        // Not read again: what is kept was checked before.
        Header::new("signature", "0".repeat(64).as_bytes()),
    ];
    let body = Bytes::from(body(&id(number)));
    NewDelivery::new(SystemTime::now(), Source::Webhook, headers, body)
}

/// Assumed: no one has published what HeyGen's requests say here.
pub(super) const USER_AGENT: &str = "python-requests/2.32.3";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use heygen_events::{Event, EventType};

    use super::*;

    #[test]
    fn every_body_is_a_typed_event_of_758_bytes_with_an_id_of_its_own() {
        let mut ids = BTreeSet::new();
        for number in (0..1000).chain([u64::from(u32::MAX), 10_000_000]) {
            let id = id(number);
            let body = body(&id);
            assert_eq!(body.len(), 758);
            assert_eq!(id.len(), 32);
            let event = Event::from_slice(body.as_bytes()).unwrap();
            assert_eq!(event.event_type(), EventType::AvatarVideoSuccess);
            assert!(event.is_well_formed());
            assert_eq!(event.subject_id(), Some(id.as_str()));
            assert_eq!(body.matches(&id).count(), 3);
            assert!(ids.insert(id), "{number}");
        }
    }
}
