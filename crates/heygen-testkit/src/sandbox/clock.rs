//! The time as the API tells it, and ids and secrets in the forms HeyGen uses.

use heygen_signature::Secret;
use jiff::Timestamp;

use crate::builder::random;

/// Now, in UTC and without a zone: v1 leaves it at that, v3 puts a `Z` behind it.
pub(super) fn now() -> String {
    now_with_micros().0
}

/// [`now`], and the microseconds of the same moment.
pub(super) fn now_with_micros() -> (String, i32) {
    let now = Timestamp::now();
    let seconds = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    (seconds, now.subsec_microsecond())
}

/// Now, in Unix seconds.
pub(super) fn unix_seconds() -> i64 {
    Timestamp::now().as_second()
}

/// 32 lower-case hexadecimal digits.
pub(super) fn new_id() -> String {
    format!("{:016x}{:016x}", random(), random())
}

/// A secret in HeyGen's form: `whsec_`, then 16 bytes in URL-safe base64 with padding.
#[expect(clippy::expect_used, reason = "there is more to it than a prefix")]
pub(super) fn new_secret() -> Secret {
    let bits = (u128::from(random()) << 64) | u128::from(random());
    Secret::new(format!("whsec_{}", base64(bits))).expect("a secret that is not empty")
}

/// 128 bits are 21 digits of six bits, and one of two.
fn base64(bits: u128) -> String {
    let digit = |value: u128| char::from(DIGITS[(value & 63) as usize]);
    let whole = (0..21).map(|place| digit(bits >> (122 - 6 * place)));
    let mut text: String = whole.collect();
    text.push(digit((bits & 3) << 4));
    text.push_str("==");
    text
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8; 16], expected: &str) {
        assert_eq!(base64(u128::from_be_bytes(*bytes)), expected);
    }

    #[test]
    fn base64_is_url_safe() {
        check(&[0; 16], "AAAAAAAAAAAAAAAAAAAAAA==");
        check(&[0xff; 16], "_____________________w==");
        check(b"0123456789abcdef", "MDEyMzQ1Njc4OWFiY2RlZg==");
    }

    #[test]
    fn each_is_new() {
        assert_ne!(new_id(), new_id());
        assert_ne!(new_secret().expose(), new_secret().expose());
        assert_eq!(new_secret().expose().len(), "whsec_".len() + 24);
    }
}
