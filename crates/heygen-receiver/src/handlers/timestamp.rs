//! Times as programs read them.

use std::time::{SystemTime, UNIX_EPOCH};

/// RFC 3339 in UTC with microseconds: `2026-11-24T02:07:00.000000Z`. Before 1970 becomes 1970.
///
/// Written out here, because one line of text is no reason for a calendar in everybody's build.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / SECONDS_A_DAY);
    let second = seconds % SECONDS_A_DAY;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_micros()
    )
}

/// Year, month and day so many days after 1970-01-01, in years that begin with March: then the leap day comes last.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + DAYS_FROM_MARCH_0_TO_1970;
    let era = days / DAYS_IN_400_YEARS;
    let day_of_era = days % DAYS_IN_400_YEARS;
    let leap_days = day_of_era / 1460 + day_of_era / 146_096;
    let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = match month_from_march {
        0..10 => month_from_march + 3,
        _ => month_from_march - 9,
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

const SECONDS_A_DAY: u64 = 24 * 3600;
const DAYS_IN_400_YEARS: u64 = 146_097;
const DAYS_FROM_MARCH_0_TO_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(seconds: u64, micros: u32, expected: &str) {
        let time = UNIX_EPOCH + Duration::new(seconds, micros * 1000);
        assert_eq!(rfc3339(time), expected);
    }

    #[test]
    fn dates_and_times() {
        check(0, 0, "1970-01-01T00:00:00.000000Z");
        check(784_111_777, 5, "1994-11-06T08:49:37.000005Z");
        check(951_782_399, 999_999, "2000-02-28T23:59:59.999999Z");
        check(951_782_400, 0, "2000-02-29T00:00:00.000000Z");
        check(951_868_800, 0, "2000-03-01T00:00:00.000000Z");
        check(1_735_689_599, 0, "2024-12-31T23:59:59.000000Z");
        check(1_735_689_600, 0, "2025-01-01T00:00:00.000000Z");
        check(4_107_542_400, 0, "2100-03-01T00:00:00.000000Z");
        check(253_402_300_799, 0, "9999-12-31T23:59:59.000000Z");
    }

    #[test]
    fn days_follow_each_other() {
        let mut last = date(0);
        for days in 1..200_000 {
            let next = date(days);
            assert!(
                last < next && next.2 <= 31 && (1..=12).contains(&next.1),
                "{next:?}"
            );
            assert!(next.2 == last.2 + 1 || next.2 == 1, "{next:?}");
            last = next;
        }
        assert_eq!(last, (2517, 7, 31));
    }

    #[test]
    fn before_1970_is_1970() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(rfc3339(before), "1970-01-01T00:00:00.000000Z");
    }
}
