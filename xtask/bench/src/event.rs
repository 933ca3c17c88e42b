//! The event of every measurement: `avatar_video.success` with a presigned link as long as real ones, 758 bytes, and a
//! number that makes it an event of its own.

use std::time::SystemTime;

use bytes::Bytes;
use heygen_inbox::{Header, NewDelivery, Source};
use xtask_harness::event::{USER_AGENT, success};

/// The id of the event with this number, as HeyGen's look: 32 hexadecimal digits.
///
/// Neighbours differ in many digits, as ids drawn at random do: multiplying by an odd number loses nothing.
#[must_use]
pub(super) fn id(number: u64) -> String {
    let high = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    let low = number.wrapping_mul(0xd129_0c2b_5e27_13a5) ^ 0x5bd1_e995_7f4a_7c15;
    format!("{high:016x}{low:016x}")
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
    let body = Bytes::from(success(&id(number)));
    NewDelivery::new(SystemTime::now(), Source::Webhook, headers, body)
}

#[cfg(test)]
mod tests {
    use heygen_events::Event;

    use super::*;

    #[test]
    fn every_body_is_a_typed_event_of_758_bytes() {
        for number in [0, 1, 10_000_000, u64::from(u32::MAX)] {
            let id = id(number);
            let body = success(&id);
            assert_eq!((body.len(), body.matches(&id).count()), (758, 3));
            let event = Event::from_slice(body.as_bytes()).unwrap();
            assert!(event.is_well_formed());
            assert_eq!(event.subject_id(), Some(id.as_str()));
        }
    }
}
