//! Times as the stores write them: whole microseconds since 1970, and RFC 3339 in JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::Serializer;

/// Before 1970 becomes 0; past the year 290,000 becomes the largest number.
pub(crate) fn to_micros(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

pub(crate) fn from_micros(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// RFC 3339 in UTC, to the microsecond; the epoch for years that this cannot represent.
pub(crate) fn serialize<S: Serializer>(
    time: &SystemTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let moment = Timestamp::from_microsecond(to_micros(*time)).unwrap_or_default();
    serializer.collect_str(&format_args!("{moment:.6}"))
}

pub(crate) fn serialize_option<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serialize(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// Whether a clock was set back from `before` to `now`, by more than clocks are corrected
/// routinely.
pub(crate) fn is_set_back(before: i64, now: i64) -> bool {
    now < before.saturating_sub(2_000_000)
}
