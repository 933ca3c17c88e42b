//! Timestamps, ids and secrets in HeyGen's formats.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE};
use heygen_signature::Secret;
use jiff::Timestamp;

use crate::random;

pub(super) use crate::random::id as new_id;

/// Now in UTC, without a time zone. v1 sends it as it is, v3 appends `Z`.
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

/// Whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A secret in HeyGen's form: `whsec_`, then 16 bytes in URL-safe base64 with padding.
#[expect(clippy::expect_used, reason = "the text is longer than the prefix")]
pub(super) fn new_secret() -> Secret {
    let bytes = random::wide_number().to_ne_bytes();
    let secret = format!("whsec_{}", URL_SAFE.encode(bytes));
    Secret::new(secret).expect("a secret that is not empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_secrets_are_new() {
        assert_ne!(new_id(), new_id());
        assert_ne!(new_secret().expose(), new_secret().expose());
        assert_eq!(new_secret().expose().len(), "whsec_".len() + 24);
    }
}
