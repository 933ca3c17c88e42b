//! Times in RFC 3339.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// RFC 3339 in UTC with microseconds: `2026-11-24T02:07:00.000000Z`. Before 1970 becomes 1970.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let time = Timestamp::try_from(time.max(UNIX_EPOCH)).unwrap_or(Timestamp::MAX);
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(seconds: u64, micros: u32, expected: &str) {
        let time = UNIX_EPOCH + Duration::new(seconds, micros * 1000);
        assert_eq!(rfc3339(time), expected);
    }

    /// The dates themselves are jiff's.
    #[test]
    fn times_have_microseconds_and_end_with_the_calendar() {
        check(0, 0, "1970-01-01T00:00:00.000000Z");
        check(784_111_777, 5, "1994-11-06T08:49:37.000005Z");
        check(253_402_207_200, 999_999, "9999-12-30T22:00:00.999999Z");
    }

    #[test]
    fn before_1970_is_1970() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(rfc3339(before), "1970-01-01T00:00:00.000000Z");
    }
}
