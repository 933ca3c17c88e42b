//! [`When`]: a moment on the command line, and moments as we print them.

use std::fs;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::SystemTime;

use heygen_events::text::visible as tame;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};

use crate::output::notice;

/// A moment as people give it: a time, a day, or how long ago.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct When(Timestamp);

impl When {
    pub(crate) fn system_time(self) -> SystemTime {
        // A moment that the system cannot represent is before every delivery.
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
        let now = Timestamp::now().to_zoned_datetime(zone().clone());
        Self::read(text, &now).ok_or_else(|| {
            "give a time (2026-11-01, 2026-11-01T12:00:00Z) or how long ago (90s, 30m, 2h, 7d)"
                .to_owned()
        })
    }
}

/// The local time zone; where its data is missing, a warning says so and UTC stands in for it.
pub(crate) fn zone() -> &'static TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    ZONE.get_or_init(|| {
        TimeZone::try_system().unwrap_or_else(|_| {
            if let Some(wanted) = wanted_zone() {
                notice::warn(format!(
                    "{wanted}: no data for this time zone (is tzdata installed?); times are read and shown in UTC"
                ));
            }
            TimeZone::UTC
        })
    })
}

/// Where a time zone is named; a system that names none keeps UTC.
fn wanted_zone() -> Option<String> {
    match std::env::var_os("TZ") {
        Some(name) if name.is_empty() => None,
        Some(name) => Some(format!("TZ={}", tame(&name.to_string_lossy()))),
        None => fs::symlink_metadata(LOCALTIME)
            .is_ok()
            .then(|| LOCALTIME.to_owned()),
    }
}

const LOCALTIME: &str = "/etc/localtime";

/// RFC 3339 in UTC with microseconds, for programs.
pub(crate) fn exact(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| String::new(), |moment| format!("{moment:.6}"))
}

/// To the second, in the local time zone, for people.
pub(crate) fn short(time: SystemTime) -> String {
    local(time).map_or_else(String::new, |moment| moment.strftime(SHORT).to_string())
}

/// As [`short`], without the date if it is today's.
pub(crate) fn brief(time: SystemTime) -> String {
    let today = local(SystemTime::now()).map(|now| now.date());
    local(time).map_or_else(String::new, |moment| {
        let form = if Some(moment.date()) == today {
            TIME
        } else {
            SHORT
        };
        moment.strftime(form).to_string()
    })
}

fn local(time: SystemTime) -> Option<ZonedDateTime> {
    let moment = Timestamp::try_from(time).ok()?;
    Some(moment.to_zoned_datetime(zone().clone()))
}

const SHORT: &str = "%Y-%m-%d %H:%M:%S%:z";
const TIME: &str = "%H:%M:%S%:z";

/// The day, in UTC: as certificates have it.
pub(crate) fn day(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(
        |_| String::new(),
        |moment| moment.strftime("%Y-%m-%d").to_string(),
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

    /// What was printed can be given to `--since`.
    #[test]
    fn people_get_the_offset() {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_790_000_000);
        let printed = short(time);
        let read: When = printed.parse().expect("a time");
        assert_eq!(read.system_time(), time, "{printed}");
        assert_eq!(brief(time), printed, "not today");
        let now = SystemTime::now();
        assert!(short(now).ends_with(&brief(now)) && brief(now).len() == 14);
    }

    #[test]
    fn programs_get_one_width() {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_micros(1_790_000_000_120_000);
        assert_eq!(exact(time), "2026-09-21T14:13:20.120000Z");
    }
}
