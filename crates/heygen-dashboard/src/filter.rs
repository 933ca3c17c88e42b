//! [`Filter`]: which deliveries a list shows, as its address says and its form asks.

use std::str::FromStr as _;
use std::time::SystemTime;

use heygen_events::{Outcome, Pattern};
use heygen_inbox::{DeliveryId, Query, Source, State};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded;

use crate::words::known_events;

/// Texts as they were typed; empty ones ask for nothing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct Filter {
    pub(crate) event: String,
    pub(crate) state: String,
    pub(crate) outcome: String,
    pub(crate) source: String,
    pub(crate) subject: String,
    pub(crate) callback: String,
    pub(crate) since: String,
    pub(crate) until: String,
    pub(crate) text: String,
    /// Older than this delivery.
    pub(crate) before: String,
    /// Newer than this delivery.
    pub(crate) after: String,
}

impl Filter {
    /// What a list asks the inbox for; `text` aside.
    pub(crate) fn query(&self, now: SystemTime) -> Result<Query, String> {
        let mut query = Query::default();
        if let Some(event) = asked(&self.event) {
            let pattern = Pattern::from_str(event).map_err(|error| format!("Event: {error}."))?;
            query = query.events(pattern);
        }
        if let Some(state) = asked(&self.state) {
            query = query.state(word("State", state)?);
        }
        if let Some(outcome) = asked(&self.outcome) {
            query = query.outcome(word::<Outcome>("Outcome", outcome)?);
        }
        if let Some(source) = asked(&self.source) {
            query = query.source(word::<Source>("Source", source)?);
        }
        if let Some(subject) = asked(&self.subject) {
            query = query.subject_id(subject);
        }
        if let Some(callback) = asked(&self.callback) {
            query = query.callback_id(callback);
        }
        if let Some(since) = asked(&self.since) {
            query = query.since(moment("From", since, now)?);
        }
        if let Some(until) = asked(&self.until) {
            query = query.until(moment("To", until, now)?);
        }
        if let Some(before) = asked(&self.before) {
            query = query.before(word::<DeliveryId>("Before", before)?);
        }
        if let Some(after) = asked(&self.after) {
            query = query.after(word::<DeliveryId>("After", after)?);
        }
        Ok(query)
    }

    /// Whether it leaves anything out; the page that it shows aside.
    pub(crate) fn is_set(&self) -> bool {
        *self.at_start() != Self::default()
    }

    /// Whether deliveries have to be looked at to find those that it lets through.
    pub(crate) fn is_selective(&self) -> bool {
        let timeless = Self {
            since: String::new(),
            until: String::new(),
            ..self.clone()
        };
        timeless.is_set()
    }

    /// The same from the newest delivery on.
    pub(crate) fn at_start(&self) -> Box<Self> {
        Box::new(Self {
            before: String::new(),
            after: String::new(),
            ..self.clone()
        })
    }

    pub(crate) fn before(&self, id: DeliveryId) -> Self {
        Self {
            before: id.to_string(),
            ..*self.at_start()
        }
    }

    pub(crate) fn after(&self, id: DeliveryId) -> Self {
        Self {
            after: id.to_string(),
            ..*self.at_start()
        }
    }

    /// `?event=…`, with what is asked for alone; empty for everything.
    pub(crate) fn address(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self
            .pairs()
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
        {
            pairs.append_pair(name, value);
        }
        match pairs.finish() {
            pairs if pairs.is_empty() => pairs,
            pairs => format!("?{pairs}"),
        }
    }

    /// Its texts as fields that a form sends along.
    pub(crate) fn hidden(&self) -> Markup {
        html! {
            @for (name, value) in self.pairs() {
                @if !value.is_empty() { input type="hidden" name=(name) value=(value); }
            }
        }
    }

    fn pairs(&self) -> [(&'static str, &str); 11] {
        [
            ("event", self.event.trim()),
            ("state", self.state.trim()),
            ("outcome", self.outcome.trim()),
            ("source", self.source.trim()),
            ("subject", self.subject.trim()),
            ("callback", self.callback.trim()),
            ("since", self.since.trim()),
            ("until", self.until.trim()),
            ("text", self.text.trim()),
            ("before", self.before.trim()),
            ("after", self.after.trim()),
        ]
    }

    pub(crate) fn form(&self, action: &str) -> Markup {
        let is_more = [
            &self.source,
            &self.subject,
            &self.callback,
            &self.until,
            &self.text,
        ];
        let is_more = is_more.iter().any(|text| !text.trim().is_empty());
        html! {
            form.filter.card method="get" action=(action) role="search" aria-label="Filter deliveries" {
                div.fields {
                    (input("event", "Event", &self.event, "avatar_video.* or *.fail", Some("events")))
                    (select("state", "State", &self.state, &State::ALL.map(|state| (state.as_str(), state.as_str()))))
                    (select("outcome", "Outcome", &self.outcome, &OUTCOMES))
                    (input("since", "From (UTC)", &self.since, "24h or 2026-11-01", Some("spans")))
                    div.buttons {
                        button.primary { "Filter" }
                        @if self.is_set() { a.button href=(action) { "Clear" } }
                    }
                }
                details open[is_more] id="more-filters" {
                    summary { "More" }
                    div.fields {
                        (input("until", "To (UTC)", &self.until, "1h or 2026-11-02 08:00", Some("spans")))
                        (input("subject", "Subject id", &self.subject, "video, translation, job …", None))
                        (input("callback", "Callback id", &self.callback, "as given to the job", None))
                        (select("source", "Source", &self.source, &Source::ALL.map(|source| (source.as_str(), source.as_str()))))
                        (input("text", "Text in the body", &self.text, "searched newest first", None))
                    }
                }
                (known_events("events"))
                datalist #spans { @for span in ["15m", "1h", "24h", "7d", "30d"] { option value=(span) {} } }
            }
        }
    }
}

fn input(name: &str, label: &str, value: &str, hint: &str, list: Option<&str>) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) value=(value) placeholder=(hint) list=[list] autocomplete="off" spellcheck="false";
        }
    }
}

pub(crate) fn select(name: &str, label: &str, value: &str, options: &[(&str, &str)]) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                option value="" { "any" }
                @for (word, shown) in options {
                    option value=(word) selected[*word == value] { (shown.replace('_', "-")) }
                }
            }
        }
    }
}

fn asked(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn word<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &str,
    text: &str,
) -> Result<T, String> {
    text.parse().map_err(|error| format!("{field}: {error}."))
}

/// A moment as people give it: a time, a day, or how long ago. In UTC, unless it says otherwise.
fn moment(field: &str, text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let read = || {
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Some(moment);
        }
        if let Ok(civil) = text.parse::<DateTime>() {
            return Some(civil.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp());
        }
        let now = Timestamp::try_from(now)
            .ok()?
            .to_zoned_datetime(TimeZone::UTC);
        let ago: Span = text.trim_end_matches(" ago").parse().ok()?;
        Some(now.checked_sub(ago.abs()).ok()?.timestamp())
    };
    let moment = read().and_then(|moment| SystemTime::try_from(moment).ok());
    moment.ok_or_else(|| {
        format!("{field}: “{text}” is no time. Give one such as 2026-11-01 12:00, or how long ago, such as 15m, 24h or 7d.")
    })
}

const OUTCOMES: [(&str, &str); 3] = [
    ("success", "success"),
    ("failure", "failure"),
    ("other", "other"),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn address_holds_what_is_asked_for_and_nothing_else() {
        let filter = Filter {
            event: " *.fail ".to_owned(),
            text: "a&b=c".to_owned(),
            before: "1k18yg0bpy3tv0c".to_owned(),
            ..Filter::default()
        };
        assert_eq!(
            filter.address(),
            "?event=*.fail&text=a%26b%3Dc&before=1k18yg0bpy3tv0c"
        );
        assert_eq!(filter.at_start().address(), "?event=*.fail&text=a%26b%3Dc");
        assert_eq!(Filter::default().address(), "");
    }

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let read = moment("From", text, now).ok();
        let expected =
            expected.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        check("15m", Some(999_100));
        check("1d", Some(913_600));
        check("1970-01-02", Some(86_400));
        check("1970-01-02 01:00", Some(90_000));
        check("1970-01-02T01:00:00+01:00", Some(86_400));
        check("yesterday", None);
    }

    #[test]
    fn wrong_words_are_named() {
        let filter = Filter {
            state: "gone".to_owned(),
            ..Filter::default()
        };
        let message = filter.query(SystemTime::now()).unwrap_err();
        assert!(
            message.starts_with("State: `gone` is not a state"),
            "{message}"
        );
    }
}
