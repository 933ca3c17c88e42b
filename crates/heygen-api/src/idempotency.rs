//! [`IdempotencyKey`]: makes a request that creates something safe to repeat.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

mod random;

/// Names one request, so that the server carries it out once however often it arrives.
///
/// # Wire shape
///
/// Header `Idempotency-Key`: 1 to 255 of `A–Z a–z 0–9 _ - : .`. Within 24 h the same key on the same path gets the first answer
/// again, even if the body differs; while the first request is still at work it gets 409 `request_in_progress`.
///
/// # Source
///
/// HeyGen's API reference, “Create Webhook Endpoint” and “Rotate Webhook Signing Secret”: documented.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// A key of this text.
    ///
    /// # Errors
    ///
    /// [`InvalidIdempotencyKey`] when HeyGen would not take it.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidIdempotencyKey> {
        let text = text.into();
        let fits = (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(is_allowed);
        match fits {
            true => Ok(Self(text.into())),
            false => Err(InvalidIdempotencyKey { private: () }),
        }
    }

    /// The UUID (version 4) made of these bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(bytes);
        let uuid = (bits & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
        let hex = format!("{uuid:032x}");
        let (a, rest) = hex.split_at(8);
        let (b, rest) = rest.split_at(4);
        let (c, rest) = rest.split_at(4);
        let (d, e) = rest.split_at(4);
        Self(format!("{a}-{b}-{c}-{d}-{e}").into())
    }

    /// The text of the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        Self::new(text)
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The error for a text that is no idempotency key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidIdempotencyKey {
    private: (),
}

impl fmt::Display for InvalidIdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "an idempotency key has 1 to {MAX_BYTES} characters out of letters, digits and _-:."
        )
    }
}

impl Error for InvalidIdempotencyKey {}

const MAX_BYTES: usize = 255;

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-:.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, fits: bool) {
        assert_eq!(text.parse::<IdempotencyKey>().is_ok(), fits, "{text:?}");
    }

    #[test]
    fn only_what_heygen_takes_is_a_key() {
        check("a", true);
        check("Az09_-:.", true);
        check(&"k".repeat(255), true);
        check("", false);
        check(&"k".repeat(256), false);
        check("a b", false);
        check("a\r\nX-Evil: 1", false);
        check("ключ", false);
        check("a/b", false);
    }

    #[test]
    fn a_generated_key_is_a_uuid_of_its_own() {
        let all_set = IdempotencyKey::from_random([0xff; 16]);
        assert_eq!(all_set.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let none_set = IdempotencyKey::from_random([0; 16]);
        assert_eq!(none_set.as_str(), "00000000-0000-4000-8000-000000000000");
        let (one, two) = (
            IdempotencyKey::generate().unwrap(),
            IdempotencyKey::generate().unwrap(),
        );
        assert_ne!(one, two);
        assert_eq!(IdempotencyKey::new(one.to_string()), Ok(one));
    }
}
