//! [`IdempotencyKey`]: makes a request that creates something safe to repeat.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

mod random;

/// Names one request. The server carries it out once, however often it arrives.
///
/// # Wire shape
///
/// Header `Idempotency-Key`: 1 to 255 of `A–Z a–z 0–9 _ - : .`. Within 24 h the same key on the
/// same path gets the first answer again, even if the body differs. While the first request is in
/// progress, it gets 409 `request_in_progress`.
///
/// # Source
///
/// HeyGen's API reference, “Create Webhook Endpoint” and “Rotate Webhook Signing Secret”:
/// documented.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// A key with this text.
    ///
    /// # Errors
    ///
    /// [`IdempotencyKeyError`] if HeyGen would reject it.
    pub fn new(text: impl Into<String>) -> Result<Self, IdempotencyKeyError> {
        let text = text.into();
        let is_valid = (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(is_allowed);
        match is_valid {
            true => Ok(Self(text.into())),
            false => Err(IdempotencyKeyError { private: () }),
        }
    }

    /// A UUID (version 4) from these random bytes.
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
    type Err = IdempotencyKeyError;

    fn from_str(text: &str) -> Result<Self, IdempotencyKeyError> {
        Self::new(text)
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text is not a valid idempotency key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IdempotencyKeyError {
    private: (),
}

impl fmt::Display for IdempotencyKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "an idempotency key has 1 to {MAX_BYTES} letters, digits or _-:."
        )
    }
}

impl Error for IdempotencyKeyError {}

const MAX_BYTES: usize = 255;

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-:.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, is_valid: bool) {
        assert_eq!(text.parse::<IdempotencyKey>().is_ok(), is_valid, "{text:?}");
    }

    #[test]
    fn key_has_the_documented_characters_and_length() {
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
    fn generated_key_is_a_unique_uuid() {
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
