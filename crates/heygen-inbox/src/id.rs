//! [`DeliveryId`]: the id that a delivery gets when it is stored. HeyGen's own ids are in
//! `heygen_events::id`.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use crate::time::to_micros;

/// The id of a stored delivery, for people, programs and handlers.
///
/// It consists of a time-ordered key, unique in its inbox, and a tag drawn at random when the inbox
/// was created, so that ids of two inboxes do not collide. The text form is 15 lower-case
/// characters of Crockford's base 32 (11 for the key, 4 for the tag); it sorts in the order in
/// which the deliveries were stored.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DeliveryId {
    key: u64,
    tag: u32,
}

impl DeliveryId {
    /// Joins a key (its lower 55 bits) and a tag (its lower 20 bits).
    #[must_use]
    pub const fn new(key: u64, tag: u32) -> Self {
        Self {
            key: key & KEY_MASK,
            tag: tag & TAG_MASK,
        }
    }

    /// The id of a delivery that is stored at `time` after the delivery `last`, in an inbox of this
    /// tag.
    #[must_use]
    pub fn next(time: SystemTime, last: Option<Self>, tag: u32) -> Self {
        let key = u64::try_from(key_time(time)).unwrap_or(0);
        Self::new(key.max(last.map_or(1, |last| last.key + 1)), tag)
    }

    /// The key in its inbox: microseconds since 1970 when the delivery was received, increased if
    /// two would collide.
    #[must_use]
    pub const fn key(self) -> u64 {
        self.key
    }

    /// The tag of the inbox that gave the id.
    #[must_use]
    pub const fn tag(self) -> u32 {
        self.tag
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = (u128::from(self.key) << TAG_BITS) | u128::from(self.tag);
        let mut text = [0_u8; TEXT_LEN];
        for (index, byte) in text.iter_mut().enumerate() {
            let shift = 5 * (TEXT_LEN - 1 - index);
            *byte = ALPHABET[((bits >> shift) & 31) as usize];
        }
        text.iter()
            .try_for_each(|byte| fmt::Write::write_char(f, char::from(*byte)))
    }
}

impl FromStr for DeliveryId {
    type Err = DeliveryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.len() != TEXT_LEN {
            return Err(DeliveryIdError);
        }
        let mut bits = 0_u128;
        for byte in text.bytes() {
            let digit = ALPHABET
                .iter()
                .position(|known| *known == byte.to_ascii_lowercase())
                .ok_or(DeliveryIdError)?;
            bits = (bits << 5) | digit as u128;
        }
        let key = u64::try_from(bits >> TAG_BITS).map_err(|_| DeliveryIdError)?;
        Ok(Self::new(key, (bits & u128::from(TAG_MASK)) as u32))
    }
}

/// As its text.
impl Serialize for DeliveryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is not the id of a delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DeliveryIdError;

impl fmt::Display for DeliveryIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a delivery id: 15 letters and digits")
    }
}

impl Error for DeliveryIdError {}

/// The time in a key. Past the year 2540, where only a wrong clock is, keys stay below their limit:
/// those that follow are never below, also once the clock is right.
pub(crate) fn key_time(time: SystemTime) -> i64 {
    to_micros(time).min(1 << (KEY_BITS - 1))
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 15;
const TAG_BITS: u32 = 20;
const TAG_MASK: u32 = (1 << TAG_BITS) - 1;
const KEY_BITS: u32 = 55;
const KEY_MASK: u64 = (1 << KEY_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: u64, tag: u32, text: &str) {
        let id = DeliveryId::new(key, tag);
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn text_and_back() {
        check(0, 0, "000000000000000");
        check(1, 31, "00000000001000z");
        check(1_790_000_000_000_000, 0xf_ffff, "1jvzvd2br00zzzz");
        check(KEY_MASK, TAG_MASK, "zzzzzzzzzzzzzzz");
    }

    #[test]
    fn ids_rise_when_the_clock_does_not() {
        let at = |micros| SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(micros);
        let first = DeliveryId::next(at(7), None, 5);
        assert_eq!((first.key(), first.tag()), (7, 5));
        let second = DeliveryId::next(at(3), Some(first), 5);
        assert_eq!((second.key(), second.tag()), (8, 5));
    }

    #[test]
    fn text_sorts_as_keys_do() {
        let early = DeliveryId::new(1_790_000_000_000_000, 9);
        let late = DeliveryId::new(1_790_000_000_000_001, 1);
        assert!(early < late);
        assert!(early.to_string() < late.to_string());
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            "",
            "42",
            "00000000000000",
            "0000000000000000",
            "00000000000000u",
        ] {
            assert_eq!(text.parse::<DeliveryId>(), Err(DeliveryIdError), "{text}");
        }
    }
}
