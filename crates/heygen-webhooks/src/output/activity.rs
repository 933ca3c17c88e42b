//! [`Activity`]: on a terminal, a line for each delivery and one for each attempt.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant, SystemTime};

use heygen_events::Outcome;
use heygen_inbox::{AttemptOutcome, DeliveryId};
use heygen_receiver::handlers::{BoxHandler, LineSink};
use heygen_receiver::{Delivery, Disposition, Handler, ObservedAttempt, Observer};
use unicode_width::UnicodeWidthStr as _;

use crate::output::screen::{BAD, DIM, GOOD, PLAIN, Screen};
use crate::output::table::{Cell, Column, end, line};
use crate::output::{tame, view};
use crate::settings::output::Printing;
use crate::settings::when;

#[derive(Clone, Debug)]
pub(crate) struct Activity {
    lines: LineSink,
    full: bool,
}

impl Activity {
    /// `None` where no one looks: without a terminal, for programs, and with `--quiet`.
    pub(super) fn of(options: &Printing, lines: &LineSink) -> Option<Self> {
        let is_shown = !options.json && !options.quiet && io::stdout().is_terminal();
        is_shown.then(|| Self {
            lines: lines.clone(),
            full: options.full,
        })
    }

    fn say(&self, text: String) {
        self.lines.offer(text);
    }
}

/// Attempts that did not end well. Which did, and with what answer, their handler knows.
impl Observer for Activity {
    fn attempted(&self, attempt: &ObservedAttempt<'_>) {
        let screen = Screen::stdout();
        let line = match attempt.result {
            AttemptOutcome::Retry => {
                let which = format!(", again {}", when_again(attempt));
                failure(attempt, &which, screen)
            }
            AttemptOutcome::DeadLettered => failure(
                attempt,
                "; dead-lettered: `inbox replay` retries it",
                screen,
            ),
            _ => return,
        };
        self.say(line);
    }
}

/// A handler, and a line for each delivery that it gets and each that it acknowledges.
pub(crate) struct Shown {
    handler: BoxHandler,
    activity: Activity,
    /// How an attempt ended of which the handler says nothing.
    done: &'static str,
}

impl Shown {
    pub(crate) fn new(handler: BoxHandler, activity: Activity, done: &'static str) -> Self {
        Self {
            handler,
            activity,
            done,
        }
    }
}

impl Handler for Shown {
    async fn handle(&self, delivery: Delivery) -> Disposition {
        let id = delivery.id();
        if delivery.attempt() == 1 {
            let line = delivery_line(&delivery, self.activity.full, Screen::stdout());
            self.activity.say(line);
        }
        let started = Instant::now();
        let disposition = self.handler.handle(delivery).await;
        let note = match &disposition {
            Disposition::Ack => Some(""),
            Disposition::AckWithNote { note } => Some(note.as_str()),
            _ => None,
        };
        if let Some(note) = note {
            let took = started.elapsed();
            let line = success(id, self.done, note, took, Screen::stdout());
            self.activity.say(line);
        }
        disposition
    }

    fn destinations(&self) -> usize {
        self.handler.destinations()
    }

    fn destination(&self, event_type: Option<&str>) -> usize {
        self.handler.destination(event_type)
    }
}

/// A delivery in one line that fits.
pub(super) fn delivery_line(delivery: &Delivery, full: bool, screen: Screen) -> String {
    let event = delivery.event();
    let (name, outcome, subject, mut facts) = match &event {
        Ok(event) => (
            event.event_name(),
            Some(event.outcome()),
            event.subject_id().unwrap_or_default(),
            view::facts(event, full),
        ),
        Err(error) => {
            let size = delivery.body().len();
            let facts = format!("{size} bytes: {}", view::explain(error));
            ("(unreadable)", None, "", facts)
        }
    };
    if event.as_ref().is_ok_and(|event| !event.is_known()) {
        facts = format!("(new event name)  {facts}");
    }
    if delivery.attempt() > 1 {
        facts = format!("(attempt {})  {facts}", delivery.attempt());
    }
    let style = match outcome {
        Some(Outcome::Success) => |_: &str| GOOD,
        Some(Outcome::Failure) => |_: &str| BAD,
        _ => |_: &str| PLAIN,
    };
    let columns = [
        Column::new("").styled(|_| DIM),
        Column::new(""),
        Column::new("").cut_middle(20).styled(style),
        Column::new("").cut_middle(9).optional(1),
        Column::new("").cut_end(12).optional(2),
    ];
    let row: [Cell; 5] = [
        when::brief(delivery.received_at()).into(),
        delivery.id().to_string().into(),
        name.into(),
        subject.into(),
        facts.trim_end().into(),
    ];
    line(&columns, row.into(), screen)
}

fn success(id: DeliveryId, done: &str, note: &str, took: Duration, screen: Screen) -> String {
    let took = format!(" in {}", in_words(took));
    let what = match note {
        "" => done.to_owned(),
        note if note.starts_with(ANSWERED.trim_start()) => answer(note),
        note => format!("{done}: {note}"),
    };
    attempt_line(id, &screen.paint(GOOD, "→"), &what, &took, screen)
}

fn failure(attempt: &ObservedAttempt<'_>, then: &str, screen: Screen) -> String {
    let detail = answer(attempt.detail.unwrap_or_default());
    let sign = screen.paint(BAD, "✗");
    attempt_line(attempt.id, &sign, &detail, then, screen)
}

/// What happened gives way to what follows.
fn attempt_line(id: DeliveryId, sign: &str, what: &str, then: &str, screen: Screen) -> String {
    let time = when::brief(SystemTime::now());
    let what = tame(what);
    let what = match screen.width {
        None => what,
        Some(width) => {
            let others = [&*time, &id.to_string(), "→", then].map(|part| part.width());
            let room = width.saturating_sub(others.iter().sum::<usize>() + 2 + 2 + 1);
            end(&what, room.max(LEAST))
        }
    };
    let time = screen.paint(DIM, &time);
    format!("{time}  {id}  {sign} {what}{then}\n")
}

/// What an application answered, without its address and the name of the code: every line would have them.
fn answer(detail: &str) -> String {
    let answer = match detail.strip_prefix(ANSWERED.trim_start()) {
        Some(answer) => Some(answer),
        None => detail.split_once(ANSWERED).map(|(_, answer)| answer),
    };
    let is_status = |answer: &&str| code(answer).len() == 3;
    match answer.filter(is_status) {
        Some(answer) => match answer.split_once(": ") {
            Some((_, text)) => format!("{}: {text}", code(answer)),
            None => code(answer).to_owned(),
        },
        None => no_answer(detail).unwrap_or_else(|| detail.to_owned()),
    }
}

/// Why an application gave no answer, without its address and that of a proxy.
fn no_answer(detail: &str) -> Option<String> {
    if !detail.starts_with("http") {
        return None;
    }
    NO_ANSWER.iter().find_map(|(long, short)| {
        let (_, cause) = detail.split_once(long)?;
        let cause = match long.ends_with(" through ") {
            true => cause.split_once(": ")?.1,
            false => cause,
        };
        Some(format!("{short}{cause}"))
    })
}

/// What forwarding says after the address, and what is said here: the cause has to fit.
const NO_ANSWER: [(&str, &str); 4] = [
    (" could not be reached: ", ""),
    (" could not be reached through ", "proxy: "),
    (" could not be connected to", "no connection"),
    (" gave no answer", "no answer"),
];

fn code(answer: &str) -> &str {
    let end = answer.find(|c: char| !c.is_ascii_digit());
    &answer[..end.unwrap_or(answer.len())]
}

const ANSWERED: &str = " answered ";

/// `in 10 s (attempt 2 of 15)`.
pub(crate) fn when_again(attempt: &ObservedAttempt<'_>) -> String {
    let wait = in_words(attempt.retry_in.unwrap_or_default());
    let which = match (attempt.counted, attempt.max_attempts) {
        (Some(number), Some(most)) => format!("attempt {number} of {most}"),
        (Some(number), None) => format!("attempt {number}"),
        (None, _) => "this attempt does not count".to_owned(),
    };
    format!("in {wait} ({which})")
}

/// `0.4 ms`, `40 ms`, `2.5 s`, `40 s`, `12 min`, `24 h`.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (number, unit) = match seconds {
        ..0.995 => (seconds * 1000.0, "ms"),
        ..120.0 => (seconds, "s"),
        ..7200.0 => (seconds / 60.0, "min"),
        _ => (seconds / 3600.0, "h"),
    };
    // Seconds before the next attempt need no more than one decimal; what took two digits needs none.
    let number = match number < 9.95 {
        true => (number * 10.0).round() / 10.0,
        false => number.round(),
    };
    format!("{number} {unit}")
}

/// Of what happened, however little room there is.
const LEAST: usize = 5;

#[cfg(test)]
mod tests {
    use heygen_inbox::{ClaimRequest, Inbox as _, MemoryInbox, NewDelivery, Source};

    use super::*;

    #[test]
    fn times_in_words() {
        #[track_caller]
        fn check(seconds: f64, expected: &str) {
            assert_eq!(in_words(Duration::from_secs_f64(seconds)), expected);
        }
        check(0.000_4, "0.4 ms");
        check(0.002, "2 ms");
        check(0.0426, "43 ms");
        check(0.999, "1 s");
        check(2.46, "2.5 s");
        check(9.97, "10 s");
        check(119.0, "119 s");
        check(720.0, "12 min");
        check(86_400.0, "24 h");
    }

    #[test]
    fn answers_lose_the_address() {
        #[track_caller]
        fn check(detail: &str, expected: &str) {
            assert_eq!(answer(detail), expected);
        }
        check("http://a/b answered 401 Unauthorized", "401");
        check("http://a/b answered 500 Oh: no: why", "500: no: why");
        check("answered 204 No Content", "204");
        check("http://a/b could not be reached: refused", "refused");
        check(
            "http://a/b could not be reached through http://p:3128: refused: no",
            "proxy: refused: no",
        );
        check(
            "http://a/b gave no answer within 30s",
            "no answer within 30s",
        );
        check(
            "h.py exited with status 1: he answered no",
            "h.py exited with status 1: he answered no",
        );
        check("", "");
    }

    fn on(width: usize) -> Screen {
        Screen {
            width: Some(width),
            has_color: false,
        }
    }

    fn attempt(detail: &str) -> String {
        let id = DeliveryId::new(7, 7);
        let then = ", again in 10 s (attempt 2 of 15)";
        let line = attempt_line(id, "✗", &answer(detail), then, on(80));
        assert!(line.trim_end().width() <= 80, "{line}");
        line.split_once("✗ ").expect("a sign").1.to_owned()
    }

    #[test]
    fn attempts_fit_a_terminal_and_keep_what_follows() {
        let then = ", again in 10 s (attempt 2 of 15)\n";
        assert_eq!(
            attempt("http://a answered 401 Unauthorized"),
            format!("401{then}")
        );
        let long = attempt("http://a answered 401 Unauthorized: wrong\nsignature");
        assert_eq!(long, format!("401: wrong\u{fffd}…{then}"));
        let id = DeliveryId::new(7, 7);
        let took = Duration::from_millis(2);
        let line = success(id, "done", "answered 204 No Content", took, on(80));
        assert!(line.ends_with("  → 204 in 2 ms\n"), "{line}");
        let line = success(id, "exit 0", "", took, on(80));
        assert!(line.ends_with("  → exit 0 in 2 ms\n"), "{line}");
        let line = success(id, "exit 0", "a warning", took, on(80));
        assert!(line.ends_with("  → exit 0: a warning in 2 ms\n"), "{line}");
    }

    async fn delivery(body: &'static str) -> Delivery {
        let inbox = MemoryInbox::new();
        let now = SystemTime::now();
        let new = NewDelivery::new(now, Source::Webhook, Vec::new(), body.into());
        inbox.append(new).await.expect("room");
        let claim = inbox.claim(ClaimRequest::due(1, now)).await;
        let claimed = claim.expect("a claim").deliveries.into_iter().next();
        claimed.expect("one is due").into()
    }

    #[tokio::test]
    async fn deliveries_fit_a_terminal() {
        let body = r#"{"event_type":"avatar_video.success","event_data":{"video_id":"0123456789abcdef0123456789abcdef","url":"https://files.example/a/b/c.mp4?key=1"}}"#;
        let delivery = delivery(body).await;
        let shown = |screen| {
            let line = delivery_line(&delivery, false, screen);
            let id = delivery.id().to_string();
            let (_, rest) = line.trim_end().split_once(&id).expect("the id");
            rest.trim_start().to_owned()
        };
        assert_eq!(
            shown(on(80)),
            "avatar_video.success  01234…cdef  video https:…"
        );
        assert_eq!(
            shown(Screen::default()),
            "avatar_video.success  0123456789abcdef0123456789abcdef  video https://files.example/a/b/c.mp4?…"
        );
        assert_eq!(shown(on(60)), "avatar_video.success");
    }
}
