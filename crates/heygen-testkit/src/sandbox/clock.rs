//! The time as the API tells it, and ids and secrets in the forms HeyGen uses.

use base64::{Engine, engine::general_purpose::URL_SAFE};
use heygen_signature::Secret;
use jiff::Timestamp;

use crate::random;

pub(super) use crate::random::id as new_id;

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

/// A secret in HeyGen's form: `whsec_`, then 16 bytes in URL-safe base64 with padding.
#[expect(clippy::expect_used, reason = "there is more to it than a prefix")]
pub(super) fn new_secret() -> Secret {
    let bytes = random::wide_number().to_ne_bytes();
    let secret = format!("whsec_{}", URL_SAFE.encode(bytes));
    Secret::new(secret).expect("a secret that is not empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_new() {
        assert_ne!(new_id(), new_id());
        assert_ne!(new_secret().expose(), new_secret().expose());
        assert_eq!(new_secret().expose().len(), "whsec_".len() + 24);
    }
}
