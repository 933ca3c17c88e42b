//! [`Span`]: how long something lasts, [`Size`]: how much something is, and [`Rate`]: how often something is done, as people give them.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::failure::Failure;

/// How long: `30d`, `12h`, `90s`, `1d 6h`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct Span(pub(crate) Duration);

/// How much: a number of bytes, or `512MiB`, `10GiB`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "Number")]
pub(crate) struct Size(pub(crate) u64);

/// How often: `10/s`, `30/m`, `100/h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rate {
    count: u32,
    per: Duration,
}

impl Rate {
    /// How long after the first the one of that number is due, counting from 0.
    pub(crate) fn due_after(self, number: u64) -> Duration {
        let seconds = self.per.as_secs_f64() * number as f64 / f64::from(self.count);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = || format!("`{text}` is not a rate: give 10/s, 30/m or 100/h");
        let (count, unit) = text.split_once('/').unwrap_or((text, "s"));
        let count = count.trim().parse().ok().filter(|count| *count > 0);
        let seconds = match unit.trim() {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            _ => return Err(advice()),
        };
        Ok(Self {
            count: count.ok_or_else(advice)?,
            per: Duration::from_secs(seconds),
        })
    }
}

/// The seconds that an option has, `least` of them or more; without it, any that are more than none.
pub(crate) fn seconds(option: &str, given: f64, least: Option<f64>) -> Result<Duration, Failure> {
    let is_enough = match least {
        Some(least) => given >= least,
        None => given > 0.0,
    };
    let time = Duration::try_from_secs_f64(given).ok();
    time.filter(|time| is_enough && !time.is_zero())
        .ok_or_else(|| {
            let least = least.map_or("more than 0".to_owned(), |least| format!("{least} or more"));
            Failure::usage(format!(
                "{option} `{given}` is not a number of seconds: give {least}"
            ))
        })
}

/// Reads how long something lasts, from nothing on: `30d`, `12h`, `0s`, `1d 6h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let read = || {
        let span: jiff::Span = text.parse().ok()?;
        // A day is 24 hours here: no one prunes by the wall clock.
        let day = jiff::SpanRelativeTo::days_are_24_hours();
        Duration::try_from(span.to_duration(day).ok()?).ok()
    };
    read().ok_or_else(|| advice(text))
}

fn advice(text: &str) -> String {
    format!("`{text}` is not a span of time: give 90s, 30m, 12h or 30d")
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match duration(text)? {
            Duration::ZERO => Err(advice(text)),
            span => Ok(Self(span)),
        }
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = || format!("`{text}` is not a size: give bytes, or 512MiB, 10GiB");
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let number: u64 = digits.trim().parse().map_err(|_| advice())?;
        let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(advice()),
        };
        number.checked_mul(unit).map(Self).ok_or_else(advice)
    }
}

/// As it stands in a configuration file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Bytes(u64),
    Text(String),
}

impl TryFrom<Number> for Size {
    type Error = String;

    fn try_from(number: Number) -> Result<Self, String> {
        match number {
            Number::Bytes(bytes) => Ok(Self(bytes)),
            Number::Text(text) => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, seconds: Option<u64>| {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(duration(text).ok(), expected, "{text}");
        };
        check("90s", Some(90));
        check("24h", Some(24 * 3600));
        check("1d 6h", Some(30 * 3600));
        check("0s", Some(0));
        for text in ["", "12", "-2h", "2h ago", "tomorrow", "1 month"] {
            check(text, None);
        }
    }

    #[test]
    fn spans() {
        let check = |text: &str, seconds: Option<u64>| {
            let read = text.parse::<Span>().ok();
            assert_eq!(
                read,
                seconds.map(|seconds| Span(Duration::from_secs(seconds))),
                "{text}"
            );
        };
        check("90s", Some(90));
        check("12h", Some(43_200));
        check("30d", Some(2_592_000));
        check("1d 6h", Some(108_000));
        for text in ["", "30", "0s", "-1d", "1 fortnight", "1mo"] {
            check(text, None);
        }
    }

    #[test]
    fn rates() {
        let check = |text: &str, third: Option<u64>| {
            let rate = text.parse::<Rate>().ok();
            let due = rate.map(|rate| rate.due_after(2));
            assert_eq!(due, third.map(Duration::from_millis), "{text}");
        };
        check("10", Some(200));
        check("10/s", Some(200));
        check("30/m", Some(4000));
        check("30 / min", Some(4000));
        check("100/h", Some(72_000));
        for text in ["", "0/s", "-1/s", "1.5/s", "10/d", "s", "/s"] {
            check(text, None);
        }
    }

    #[test]
    fn sizes() {
        let check = |text: &str, bytes: Option<u64>| {
            assert_eq!(text.parse::<Size>().ok(), bytes.map(Size), "{text}");
        };
        check("1048576", Some(1_048_576));
        check("512MiB", Some(536_870_912));
        check("10 GiB", Some(10_737_418_240));
        check("2GB", Some(2_000_000_000));
        for text in ["", "GiB", "1.5G", "-1", "1 parsec", "99999999999999TiB"] {
            check(text, None);
        }
    }
}
