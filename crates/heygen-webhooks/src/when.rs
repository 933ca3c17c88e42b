//! [`When`]: a moment on the command line, and moments as we print them.

use std::str::FromStr;
use std::time::SystemTime;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};

/// A moment as people give it: a time, a day, or how long ago.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When(Timestamp);

impl When {
    pub(crate) fn system_time(self) -> SystemTime {
        // A moment that the system cannot tell is before every delivery.
        self.0.try_into().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn read(text: &str, now: &ZonedDateTime) -> Option<Self> {
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Some(Self(moment));
        }
        if let Ok(local) = text.parse::<DateTime>() {
            return Some(Self(
                local
                    .to_zoned_datetime(now.time_zone().clone())
                    .ok()?
                    .timestamp(),
            ));
        }
        let ago: Span = text.trim_end_matches(" ago").parse().ok()?;
        Some(Self(now.checked_sub(ago.abs()).ok()?.timestamp()))
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text, &ZonedDateTime::now()).ok_or_else(|| {
            "give a time (2026-11-01, 2026-11-01T12:00:00Z) or how long ago (90s, 30m, 2h, 7d)"
                .to_owned()
        })
    }
}

/// RFC 3339 in UTC with microseconds, for programs.
pub(crate) fn exact(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| String::new(), |moment| format!("{moment:.6}"))
}

/// To the second, in the local time zone, for people.
pub(crate) fn short(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(
        |_| String::new(),
        |moment| {
            moment
                .to_zoned_datetime(TimeZone::system())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let now: ZonedDateTime = "2026-11-20T12:00:00+01:00[+01:00]".parse().expect("a time");
        let read = When::read(text, &now).map(|when| when.0.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }

    #[test]
    fn times_days_and_spans() {
        check("2026-11-01T12:00:00Z", Some("2026-11-01T12:00:00Z"));
        check("2026-11-01T12:00:00+02:00", Some("2026-11-01T10:00:00Z"));
        check("2026-11-01", Some("2026-10-31T23:00:00Z"));
        check("2026-11-01 08:30", Some("2026-11-01T07:30:00Z"));
        check("90s", Some("2026-11-20T10:58:30Z"));
        check("2h", Some("2026-11-20T09:00:00Z"));
        check("2h ago", Some("2026-11-20T09:00:00Z"));
        check("7d", Some("2026-11-13T11:00:00Z"));
        check("1d 6h", Some("2026-11-19T05:00:00Z"));
        for text in ["", "yesterday", "12", "2026-13-01"] {
            check(text, None);
        }
    }

    #[test]
    fn programs_get_one_width() {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_micros(1_790_000_000_120_000);
        assert_eq!(exact(time), "2026-09-21T14:13:20.120000Z");
    }
}
