//! Reads `Retry-After`.

use std::time::{Duration, SystemTime};

use http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// How long the application asks to wait: whole seconds, or a date.
///
/// A date is compared with the application's own `Date`, where it is sent, because the two clocks may differ; else with `now`.
/// `None` for what cannot be read, and for no wait at all: then the schedule is the better guess, because attempts at once would
/// only use themselves up.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = text(headers, &RETRY_AFTER)?;
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(text).ok()?;
            let date = self::text(headers, &DATE);
            let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
            until.duration_since(date.unwrap_or(now)).ok()?
        }
    };
    (wait > Duration::ZERO).then_some(wait)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// 1994-11-06 08:49:37 UTC.
    const NOW: Duration = Duration::from_secs(784_111_777);

    #[track_caller]
    fn check(retry_after_header: &str, date: Option<&str>, expected_seconds: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after_header.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        let found = retry_after(&headers, UNIX_EPOCH + NOW);
        let expected = expected_seconds.map(Duration::from_secs);
        assert_eq!(found, expected, "{retry_after_header}");
    }

    #[test]
    fn seconds_and_dates() {
        check("17", None, Some(17));
        check(" 99999999999 ", None, Some(99_999_999_999));
        check("Sun, 06 Nov 1994 08:50:37 GMT", None, Some(60));
        let behind = Some("Sun, 06 Nov 1994 08:50:30 GMT");
        check("Sun, 06 Nov 1994 08:50:37 GMT", behind, Some(7));
        check("Sun, 06 Nov 1994 08:50:37 GMT", Some("?"), Some(60));
    }

    #[test]
    fn what_asks_for_no_wait_asks_for_nothing() {
        check("0", None, None);
        check("Sun, 06 Nov 1994 08:49:37 GMT", None, None);
        check("Sun, 06 Nov 1994 08:49:36 GMT", None, None);
        check("", None, None);
        check("-1", None, None);
        check("soon", None, None);
        check("99999999999999999999", None, None);
        assert_eq!(retry_after(&HeaderMap::new(), UNIX_EPOCH), None);
    }
}
