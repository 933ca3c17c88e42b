//! [`Filter`]: which deliveries a list shows, as its address says and its form asks.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::SystemTime;

use heygen_events::text::visible;
use heygen_inbox::{DeliveryId, Query, Source, State};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded;

use crate::words::known_events;

/// Texts as they were typed, by the name of their field. None is empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "BTreeMap<String, String>")]
pub(crate) struct Filter(BTreeMap<String, String>);

impl From<BTreeMap<String, String>> for Filter {
    fn from(mut typed: BTreeMap<String, String>) -> Self {
        let known = [&ASKED[..], &TIMES, &PAGE].concat();
        typed.retain(|name, text| {
            *text = text.trim().to_owned();
            !text.is_empty() && known.contains(&name.as_str())
        });
        Self(typed)
    }
}

impl Filter {
    /// What a list asks the inbox for; `text` aside.
    pub(crate) fn query(&self, now: SystemTime) -> Result<Query, String> {
        let mut query = Query::default();
        query.events = self.read("event", "Event")?;
        query.state = self.read("state", "State")?;
        query.outcome = self.read("outcome", "Outcome")?;
        query.source = self.read("source", "Source")?;
        query.subject_id = self.0.get("subject").cloned();
        query.callback_id = self.0.get("callback").cloned();
        let moment = |name: &str, label: &str| {
            let text = self.0.get(name);
            text.map(|text| moment(label, text, now)).transpose()
        };
        query.since = moment("since", "From")?;
        query.until = moment("until", "To")?;
        query.before = self.read("before", "Before")?;
        query.after = self.read("after", "After")?;
        Ok(query)
    }

    fn read<T: FromStr<Err: Display>>(&self, name: &str, label: &str) -> Result<Option<T>, String> {
        let read = self.0.get(name).map(|text| text.parse());
        read.transpose()
            .map_err(|error| format!("{label}: {error}."))
    }

    /// What was typed into a field; empty when nothing was.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(crate) fn with(mut self, name: &str, text: impl Display) -> Self {
        let text = text.to_string();
        if !text.is_empty() {
            self.0.insert(name.to_owned(), text);
        }
        self
    }

    /// Whether it leaves anything out; the page that it shows aside.
    pub(crate) fn is_set(&self) -> bool {
        !self.at_start().0.is_empty()
    }

    /// Whether deliveries have to be looked at to find those that it lets through.
    pub(crate) fn is_selective(&self) -> bool {
        ASKED.iter().any(|name| self.0.contains_key(*name))
    }

    /// The same from the newest delivery on.
    pub(crate) fn at_start(&self) -> Self {
        let mut filter = self.clone();
        filter.0.retain(|name, _| !PAGE.contains(&name.as_str()));
        filter
    }

    pub(crate) fn before(&self, id: DeliveryId) -> Self {
        self.at_start().with("before", id)
    }

    pub(crate) fn after(&self, id: DeliveryId) -> Self {
        self.at_start().with("after", id)
    }

    /// `?event=…`, with what is asked for alone; empty for everything.
    pub(crate) fn address(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        match pairs.extend_pairs(&self.0).finish() {
            pairs if pairs.is_empty() => pairs,
            pairs => format!("?{pairs}"),
        }
    }

    /// Its texts to read, and as fields that a form sends along.
    pub(crate) fn given(&self) -> Markup {
        html! {
            @for (name, text) in &self.0 {
                p.hint { (name) ": " code { (visible(text)) } input type="hidden" name=(name) value=(text); }
            }
        }
    }

    pub(crate) fn form(&self, action: &str) -> Markup {
        let more = ["source", "subject", "callback", "until", "text"];
        let is_more = more.iter().any(|name| self.0.contains_key(*name));
        html! {
            form.filter.card method="get" action=(action) role="search" aria-label="Filter deliveries" {
                div.fields {
                    (self.input("event", "Event", "*.fail", "A name; * is any letters", Some("events")))
                    (self.select("state", "State", &State::ALL.map(State::as_str)))
                    (self.select("outcome", "Outcome", &["success", "failure", "other"]))
                    (self.input("since", "From (UTC)", "24h", WHEN, Some("spans")))
                    div.buttons {
                        button.primary { "Filter" }
                        @if self.is_set() { a.button href=(action) { "Clear" } }
                    }
                }
                details open[is_more] id="more-filters" {
                    summary { "More" }
                    div.fields {
                        (self.input("until", "To (UTC)", "1h", WHEN, Some("spans")))
                        (self.input("subject", "Subject id", "", "Of a video, a translation, a job", None))
                        (self.input("callback", "Callback id", "order-42", "As it was given to the job", None))
                        (self.select("source", "Source", &Source::ALL.map(Source::as_str)))
                        (self.input("text", "Text in the body", "", "Searched newest first", None))
                    }
                }
                (known_events("events"))
                datalist #spans { @for span in ["15m", "1h", "24h", "7d", "30d"] { option value=(span) {} } }
            }
        }
    }

    /// A field with an example, which has to fit into a narrow one, and a hint where the pointer rests.
    fn input(
        &self,
        name: &str,
        label: &str,
        example: &str,
        hint: &str,
        list: Option<&str>,
    ) -> Markup {
        html! {
            div.field {
                label for=(name) { (label) }
                input id=(name) name=(name) value=(self.get(name)) placeholder=(example) title=(hint) list=[list] autocomplete="off" spellcheck="false";
            }
        }
    }

    fn select(&self, name: &str, label: &str, words: &[&str]) -> Markup {
        html! {
            div.field {
                label for=(name) { (label) }
                select id=(name) name=(name) {
                    option value="" { "any" }
                    @for word in words {
                        option value=(word) selected[*word == self.get(name)] { (word.replace('_', "-")) }
                    }
                }
            }
        }
    }
}

/// How to give a [`moment`].
const WHEN: &str = "How long ago, such as 24h or 7d, or a time, such as 2026-11-01 12:00";

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

/// Names of fields: what a delivery must be like, when it came, and where a page begins.
const ASKED: [&str; 7] = [
    "event", "state", "outcome", "source", "subject", "callback", "text",
];
const TIMES: [&str; 2] = ["since", "until"];
const PAGE: [&str; 2] = ["before", "after"];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn filter<const COUNT: usize>(typed: [(&str, &str); COUNT]) -> Filter {
        BTreeMap::from(typed.map(|(name, text)| (name.to_owned(), text.to_owned()))).into()
    }

    #[test]
    fn address_holds_what_is_asked_for_and_nothing_else() {
        let page = ("before", "1k18yg0bpy3tv0c");
        let filter = filter([("event", " *.fail "), ("text", "a&b=c"), page, ("x", "y")]);
        let start = "event=*.fail&text=a%26b%3Dc";
        let address = format!("?before=1k18yg0bpy3tv0c&{start}");
        assert_eq!(filter.address(), address);
        assert_eq!(filter.at_start().address(), format!("?{start}"));
        assert_eq!(self::filter([("event", " ")]).address(), "");
        assert!(!self::filter([page]).is_set() && self::filter([("since", "1h")]).is_set());
        assert!(filter.is_selective() && !self::filter([("since", "1h")]).is_selective());
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
}
