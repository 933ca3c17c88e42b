//! [`Observation`]: the result of a request, and [`Finding`]s from results.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use http::{StatusCode, header::LOCATION};

use crate::drill::mistake::Mistake;
use crate::drill::scorecard::Verdict;
use crate::sender::{Answer, Attempt, AttemptError, AttemptErrorKind};

/// A verdict and its reason.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) seen: String,
    /// In place of the cost of the check, where what was seen costs something else.
    pub(super) cost: Option<&'static str>,
    /// In place of the fix of the check, where what was seen tells more.
    pub(super) fix: Option<Cow<'static, str>>,
    pub(super) mistakes: Vec<Mistake>,
}

impl Finding {
    pub(super) fn new(verdict: Verdict, seen: impl Into<String>) -> Self {
        Self {
            verdict,
            seen: seen.into(),
            cost: None,
            fix: None,
            mistakes: Vec::new(),
        }
    }

    pub(super) fn skip(why: impl Into<String>) -> Self {
        Self::new(Verdict::Skip, why)
    }

    pub(super) fn fail(seen: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, seen)
    }

    pub(super) fn fix(mut self, fix: Option<impl Into<Cow<'static, str>>>) -> Self {
        self.fix = fix.map(Into::into).or(self.fix);
        self
    }

    /// Adds to what was seen.
    pub(super) fn and(mut self, more: &str) -> Self {
        self.seen = format!("{}; {more}", self.seen);
        self
    }
}

/// The result of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Observation {
    pub(super) status: Option<StatusCode>,
    pub(super) timed_out: bool,
    /// Nothing that speaks HTTP is there.
    pub(super) unreachable: bool,
    /// The connection was closed without an answer.
    pub(super) closed: bool,
    /// The answer broke off, or was not readable.
    pub(super) broken: bool,
    pub(super) bad_certificate: bool,
    pub(super) names_csrf: bool,
    pub(super) duration: Duration,
    pub(super) summary: String,
}

impl Observation {
    pub(super) fn of(attempt: Option<&Attempt>) -> Self {
        let Some(attempt) = attempt else {
            return Self {
                summary: "nothing was sent".to_owned(),
                ..Self::default()
            };
        };
        let after = millis(attempt.duration);
        let answer = attempt.result.as_ref().ok();
        let error = attempt.result.as_ref().err();
        let text = answer.map(Answer::text).unwrap_or_default();
        let summary = match &attempt.result {
            Ok(answer) if answer.status.is_success() => format!("{} after {after}", answer.status),
            Ok(answer) => {
                let target = answer.headers.get(LOCATION);
                let target = target.filter(|_| answer.status.is_redirection());
                let target = target
                    .map(|to| format!(" to{}", quoted(&String::from_utf8_lossy(to.as_bytes()))));
                let target = target.unwrap_or_default();
                format!(
                    "{}{target} after {after}{}",
                    answer.status,
                    quoted(&line_of(&text))
                )
            }
            Err(error) => format!("no answer after {after}: {}", in_words(error)),
        };
        Self {
            status: attempt.status(),
            timed_out: error.is_some_and(AttemptError::is_timeout),
            unreachable: error.is_some_and(AttemptError::is_unreachable),
            closed: error.is_some_and(AttemptError::is_closed),
            broken: error.is_some_and(|error| error.kind() == AttemptErrorKind::Broken),
            bad_certificate: error.is_some_and(AttemptError::is_about_certificate),
            names_csrf: text.to_ascii_lowercase().contains("csrf"),
            duration: attempt.duration,
            summary,
        }
    }

    pub(super) fn accepted(&self) -> bool {
        self.status.is_some_and(|status| status.is_success())
    }

    /// Whether the endpoint said no, as opposed to not being there or failing.
    pub(super) fn rejected(&self) -> bool {
        let is_absent = matches!(
            self.status,
            Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE)
        );
        self.status.is_some_and(|status| status.is_client_error()) && !is_absent
    }

    /// How to correct a correct delivery or probe that is not accepted, where the answer tells.
    pub(super) fn advice(&self) -> Option<&'static str> {
        if self.bad_certificate {
            return Some(
                "get a certificate for this name from a public authority, send its whole chain, and renew it in time; \
                 for one of your own, set SSL_CERT_FILE here",
            );
        }
        if self.unreachable {
            return Some("start the application, or correct scheme, host and port of the URL");
        }
        if self.timed_out {
            return Some(
                "answer at once, and do the work afterwards, in a queue or a background task",
            );
        }
        if self.closed {
            return Some(
                "see the log of the application: it closes the connection without an answer",
            );
        }
        if self.broken {
            return Some("see the log of the application: its answer breaks off or is not HTTP");
        }
        let status = self.status?;
        Some(match status.as_u16() {
            403 | 419 if self.names_csrf || status.as_u16() == 419 => {
                "exempt this path from CSRF protection: @csrf_exempt in Django, \
                 validateCsrfTokens(except: [...]) in Laravel"
            }
            404 | 410 => "correct the path of the URL: nothing is served there",
            405 => "accept POST and OPTIONS on this path",
            413 => "allow bodies of 1 MiB",
            415 => "accept Content-Type: application/json",
            429 => "do not limit the rate of this path",
            300..=399 => "test, and register, the address that the redirect leads to",
            503 => "see the log of the application: it may have no secret yet, or be overloaded",
            500..=599 => "see the log of the application: it fails on a correct delivery",
            _ => return None,
        })
    }
}

pub(super) fn accepted(seen: &Observation) -> Finding {
    let verdict = if seen.accepted() {
        Verdict::Pass
    } else {
        Verdict::Fail
    };
    Finding::new(verdict, seen.summary.clone())
}

pub(super) fn noted(seen: &Observation) -> Finding {
    let answer = if seen.accepted() {
        "accepted"
    } else {
        "not accepted"
    };
    Finding::new(Verdict::Note, format!("{answer}: {}", seen.summary))
}

pub(super) fn summarize(all: &[Observation], sent: usize, what: &str) -> Finding {
    let slowest = all
        .iter()
        .map(|seen| seen.duration)
        .max()
        .unwrap_or_default();
    let accepted = all.iter().filter(|seen| seen.accepted()).count();
    let summary = format!(
        "{accepted} of {sent} {what}, the slowest after {}",
        millis(slowest)
    );
    match all.iter().find(|seen| !seen.accepted()) {
        Some(seen) => Finding::fail(format!("{summary}; one of the others: {}", seen.summary)),
        None if accepted < sent => Finding::fail(summary),
        None => Finding::new(Verdict::Pass, summary),
    }
}

/// What is wrong with several requests, together where they got the same status.
pub(super) fn together<'a>(
    refused: impl IntoIterator<Item = (&'static str, Option<StatusCode>, &'a str)>,
) -> String {
    let mut groups: Vec<(Vec<&str>, Option<StatusCode>, &str)> = Vec::new();
    for (how, status, summary) in refused {
        match groups.iter_mut().find(|(_, known, _)| *known == status) {
            Some((hows, ..)) => hows.push(how),
            None => groups.push((vec![how], status, summary)),
        }
    }
    let groups = groups.into_iter();
    let texts: Vec<_> = groups
        .map(|(hows, _, summary)| format!("{}: {summary}", hows.join(", ")))
        .collect();
    texts.join("; ")
}

pub(super) fn millis(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// The error with its causes.
fn in_words(error: &AttemptError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// The line that says most: the first, or the title of a page.
fn line_of(text: &str) -> String {
    let title = text
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"));
    let text = title.map_or(text, |(title, _)| title);
    text.trim().lines().next().unwrap_or_default().to_owned()
}

fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(MAX_QUOTE).collect();
    if cut.is_empty() {
        return cut;
    }
    format!(" “{cut}”")
}

/// The largest number of characters to quote of an answer.
const MAX_QUOTE: usize = 120;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::sender::Sender;

    #[test]
    fn connection_that_is_closed_has_advice_of_its_own() {
        let advice = |answer| after(answer).advice();
        let closed = advice("");
        assert!(
            closed.is_some_and(|advice| advice.contains("closes the connection without an answer")),
            "{closed:?}"
        );
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
            "HTTP/1.1 200 OK\r\n a bad header\r\n\r\n",
        ] {
            let broken = advice(answer);
            assert!(
                broken.is_some_and(|advice| advice.contains("breaks off")),
                "{answer}: {broken:?}"
            );
        }
        assert_eq!(Observation::of(None).advice(), None);
    }

    /// What comes of an answer after which the connection is closed.
    fn after(answer: &'static str) -> Observation {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            let mut request = Vec::new();
            // All of it: what is left unread would reset the connection.
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                request.extend(byte);
            }
            stream.write_all(answer.as_bytes())
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let sending = Sender::new(&url);
        let report = runtime.expect("a runtime").block_on(sending.probe());
        server.join().expect("no panic").expect("a request");
        Observation::of(Some(report.expect("a request").attempt()))
    }

    #[test]
    fn equal_answers_are_told_once() {
        let (ok, no) = (Some(StatusCode::OK), Some(StatusCode::UNAUTHORIZED));
        let summary = together([("a", no, "401"), ("b", ok, "200"), ("c", no, "401 again")]);
        assert_eq!(summary, "a, c: 401; b: 200");
    }

    #[test]
    fn quote_is_the_first_line_or_the_title() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(line_of(text), expected);
        }
        check("", "");
        check("\n bad signature\nsecond", "bad signature");
        check(
            "<!doctype html>\n<title>401 Unauthorized</title>\n",
            "401 Unauthorized",
        );
    }
}
