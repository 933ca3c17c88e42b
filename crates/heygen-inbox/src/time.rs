//! Times as the stores write them: whole microseconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Before 1970 becomes 0; past the year 290,000 becomes the largest number.
pub(crate) fn to_micros(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

pub(crate) fn from_micros(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Whether a clock that said `before` was set back until it says `now`: by more than clocks are corrected in passing.
pub(crate) fn is_set_back(before: i64, now: i64) -> bool {
    now < before.saturating_sub(2_000_000)
}
