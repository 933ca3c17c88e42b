//! [`Signature`]: 32 bytes, written as 64 hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, digest::CtOutput};
use sha2::Sha256;

use crate::error::SignatureError;

/// The HMAC-SHA256 of a body.
///
/// Parsed from 64 hexadecimal digits in either case and written in lower case, without a prefix.
/// `==` takes constant time, so it is safe to compare a received signature with a computed one.
///
/// # Source
///
/// HeyGen documentation, “Webhooks”, signature sample: documented. Upper case is accepted, though
/// HeyGen sends lower.
#[derive(Clone, Copy)]
pub struct Signature([u8; 32]);

impl Signature {
    /// Wraps a signature that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the signature.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses exactly 64 hexadecimal digits, in either case.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] for anything else: another length, a prefix such as `sha256=`, white
    /// space.
    pub fn parse(text: &[u8]) -> Result<Self, SignatureError> {
        let not_hex = SignatureError::not_hex();
        if text.len() != 64 {
            return Err(not_hex);
        }
        let mut bytes = [0; 32];
        let (pairs, _) = text.as_chunks::<2>();
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digits = (
                char::from(*high).to_digit(16),
                char::from(*low).to_digit(16),
            );
            let (Some(high), Some(low)) = digits else {
                return Err(not_hex);
            };
            *byte = (high << 4 | low) as u8;
        }
        Ok(Self(bytes))
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl PartialEq for Signature {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        let tag = |signature: &Self| CtOutput::<Hmac<Sha256>>::new(signature.0.into());
        tag(self) == tag(other)
    }
}

impl Eq for Signature {}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "8d8bcdb9c5823dfa062f5844c409a5bc737f7e02a685b3091944e2d1ad78db8e";

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let read = text.parse::<Signature>().ok();
        assert_eq!(
            read.map(|signature| signature.to_string()).as_deref(),
            expected
        );
    }

    #[test]
    fn exactly_64_hexadecimal_digits_parse() {
        check(TEXT, Some(TEXT));
        check(&TEXT.to_uppercase(), Some(TEXT));
        check("", None);
        check(&TEXT[1..], None);
        check(&TEXT[2..], None);
        check(&format!("{TEXT}0"), None);
        check(&format!("{TEXT}00"), None);
        check(&format!("sha256={TEXT}"), None);
        check(&format!(" {}", &TEXT[1..]), None);
        check(&format!("+{}", &TEXT[1..]), None);
        check(&TEXT.replace('8', "g"), None);
        // 64 bytes, of which two are one character.
        check(&format!("é{}", &TEXT[2..]), None);
    }

    #[test]
    fn equality_compares_every_byte() {
        let signature: Signature = TEXT.parse().unwrap();
        for index in 0..32 {
            let mut bytes = *signature.as_bytes();
            bytes[index] ^= 1;
            assert_ne!(Signature::from_bytes(bytes), signature, "byte {index}");
        }
        assert_eq!(Signature::from_bytes(*signature.as_bytes()), signature);
    }
}
