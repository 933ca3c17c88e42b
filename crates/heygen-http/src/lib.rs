//! Shared by the HTTP clients of the heygen crates: TLS configuration, `Retry-After`, and the text of
//! an answer.
//!
//! Internal: it has no stable interface.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// A TLS configuration: rustls with ring and the system certificates. Clients that choose no
/// provider need a default for the whole process.
///
/// Without `https`, no certificates are loaded or trusted, so it works in a container without them.
///
/// # Errors
///
/// If the system certificates are missing or unusable.
pub fn tls_config(is_https: bool) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    let builder = if is_https {
        builder.with_platform_verifier()?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

/// How long the server asks to wait: whole seconds, or a date.
///
/// A date is compared with the `Date` of the response, because the two clocks may differ, and
/// without one with `now`. A date in the past is a wait of zero. An unreadable value counts as
/// missing.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = text(headers, &RETRY_AFTER)?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let date = self::text(headers, &DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    let wait = until.duration_since(date.unwrap_or(now));
    Some(wait.unwrap_or(Duration::ZERO))
}

/// What a person reads of an answer: of an HTML page the text without tags, styles and scripts, of
/// anything else all.
///
/// The page may end anywhere.
#[must_use]
pub fn readable(answer: &str) -> String {
    if !answer.trim_start().starts_with('<') {
        return answer.to_owned();
    }
    let mut hidden_in: Option<&str> = None;
    let texts = answer.split('<').filter_map(|part| {
        let (tag, text) = part.split_once('>')?;
        let name = tag.split(|c: char| c.is_ascii_whitespace()).next()?;
        match hidden_in {
            Some(element) => {
                let end = name.strip_prefix('/')?;
                if !end.eq_ignore_ascii_case(element) {
                    return None;
                }
                hidden_in = None;
            }
            None => {
                let mut unread = UNREAD.into_iter();
                hidden_in = unread.find(|element| name.eq_ignore_ascii_case(element));
            }
        }
        hidden_in.is_none().then_some(text)
    });
    let words: Vec<&str> = texts.flat_map(str::split_whitespace).collect();
    words.join(" ")
}

/// The elements whose text no browser shows.
const UNREAD: [&str; 2] = ["style", "script"];

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// 1994-11-06 08:49:37 UTC.
    const NOW: Duration = Duration::from_secs(784_111_777);

    #[test]
    fn page_is_read_without_its_tags() {
        for (answer, expected) in [
            (" a\n<b>", " a\n<b>"),
            (
                "\n<!doctype html>\n<html lang=en>\n<title>401 No</title>\n<p>Who are <b>you</b>?</p>",
                "401 No Who are you ?",
            ),
            ("<h1>Oh</h1> no <a href=", "Oh no"),
            ("<", ""),
            (
                "<title>No</title><STYLE type=a>p > b { a: 1 }</Style ><p>you</p><script>if (a<b>c) </p></script>!",
                "No you !",
            ),
            ("<scripts>a</scripts><style>p {", "a"),
        ] {
            assert_eq!(readable(answer), expected);
        }
    }

    #[track_caller]
    fn check(retry_after_header: &str, date: Option<&str>, expected_seconds: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after_header.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        let found = retry_after(&headers, UNIX_EPOCH + NOW);
        assert_eq!(
            found,
            expected_seconds.map(Duration::from_secs),
            "{retry_after_header}"
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        check("17", None, Some(17));
        check(" 0 ", None, Some(0));
        check("99999999999", None, Some(99_999_999_999));
        check("Sun, 06 Nov 1994 08:50:37 GMT", None, Some(60));
        check("Sunday, 06-Nov-94 08:50:37 GMT", None, Some(60));
        check("Sun, 06 Nov 1994 08:49:36 GMT", None, Some(0));
        let behind = Some("Sun, 06 Nov 1994 08:50:30 GMT");
        check("Sun, 06 Nov 1994 08:50:37 GMT", behind, Some(7));
        check("Sun, 06 Nov 1994 08:50:37 GMT", Some("?"), Some(60));
    }

    #[test]
    fn unreadable_value_counts_as_missing() {
        check("", None, None);
        check("-1", None, None);
        check("1.5", None, None);
        check("soon", None, None);
        check("99999999999999999999", None, None);
        assert_eq!(retry_after(&HeaderMap::new(), UNIX_EPOCH), None);
    }
}
