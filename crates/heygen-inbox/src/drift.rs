//! [`Drift`]: in what an event differs from what this version knows, so that the day HeyGen adds something it shows.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use heygen_events::{Event, ParseError};

use crate::DeliveryId;
use crate::error::UnknownWord;

/// One thing in which an event differs from what this version knows.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Drift {
    /// What kind of thing.
    pub kind: DriftKind,
    /// The name of the event; empty for a body that is none.
    pub event_type: String,
    /// The name of the field, or what does not fit; the name of the event once more where that is what is unknown.
    pub name: String,
}

/// In what way an event differs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum DriftKind {
    /// The name of the event is not known.
    UnknownEvent,
    /// The data has a field that its type does not name.
    UnknownField,
    /// The data does not match the type of its name, or the body is no event at all.
    Malformed,
}

/// How often one [`Drift`] was seen.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DriftCount {
    /// What differs.
    pub drift: Drift,
    /// In how many deliveries.
    pub count: u64,
    /// When the first of them came in.
    pub first_at: SystemTime,
    /// When the last of them came in.
    pub last_at: SystemTime,
    /// The first of them, to look at. It may have been pruned since.
    pub example: DeliveryId,
}

impl Drift {
    fn new(kind: DriftKind, event_type: &str, name: &str) -> Self {
        Self {
            kind,
            event_type: bounded(event_type),
            name: bounded(name),
        }
    }

    pub(crate) fn unreadable(error: &ParseError) -> Self {
        Self::new(DriftKind::Malformed, "", &error.to_string())
    }

    /// Stands for all that differs once there are too many names to count each.
    #[cfg(feature = "sqlite")]
    pub(crate) fn and_others(kind: DriftKind) -> Self {
        Self::new(kind, "", "(others)")
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn from_parts(kind: DriftKind, event_type: String, name: String) -> Self {
        Self {
            kind,
            event_type,
            name,
        }
    }
}

impl DriftKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::UnknownEvent, Self::UnknownField, Self::Malformed];

    /// The word in lists, JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownEvent => "unknown_event",
            Self::UnknownField => "unknown_field",
            Self::Malformed => "malformed",
        }
    }
}

impl fmt::Display for DriftKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DriftKind {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| {
            UnknownWord::new(word, "a kind: unknown_event, unknown_field or malformed")
        })
    }
}

/// Everything in which an event differs; nothing, for nearly every event.
pub(crate) fn of(event: &Event) -> Vec<Drift> {
    let name = event.event_name();
    if !event.is_known() {
        return vec![Drift::new(DriftKind::UnknownEvent, name, name)];
    }
    if let Some(error) = event.payload_error() {
        let why =
            std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        return vec![Drift::new(DriftKind::Malformed, name, without_place(&why))];
    }
    let fields = event.unknown_fields();
    fields
        .keys()
        .take(FIELDS)
        .map(|field| Drift::new(DriftKind::UnknownField, name, field))
        .collect()
}

/// The same thing at another place is the same thing.
fn without_place(why: &str) -> &str {
    why.find(" at line ").map_or(why, |place| &why[..place])
}

/// Names come from outside, and every one is kept: none is longer than this.
fn bounded(name: &str) -> String {
    name.chars().take(NAME_LEN).collect()
}

const NAME_LEN: usize = 120;

/// How many unknown fields of one event are told.
const FIELDS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[&str]) {
        let event = Event::from_slice(body.as_bytes()).expect("an event");
        let found: Vec<_> = of(&event)
            .iter()
            .map(|drift| format!("{} {} {}", drift.kind, drift.event_type, drift.name))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_new_is_named_and_nothing_else() {
        check(
            r#"{"event_type":"avatar_video.success","event_data":{"video_id":"a","url":null}}"#,
            &[],
        );
        check(
            r#"{"event_type":"avatar_video.success","event_data":{"video_id":"a","mood":1,"fps":2}}"#,
            &[
                "unknown_field avatar_video.success fps",
                "unknown_field avatar_video.success mood",
            ],
        );
        check(
            r#"{"event_type":"podcast.success","event_data":{"any":1}}"#,
            &["unknown_event podcast.success podcast.success"],
        );
        check(
            r#"{"event_type":"avatar_video.fail","event_data":["no"]}"#,
            &["malformed avatar_video.fail found an array, expected an object"],
        );
    }

    #[test]
    fn names_from_outside_have_an_end() {
        let name = "x".repeat(10_000);
        let body = format!(r#"{{"event_type":"{name}.y","event_data":{{}}}}"#);
        let event = Event::from_slice(body.as_bytes()).expect("an event");
        assert_eq!(of(&event)[0].name.len(), NAME_LEN);
    }
}
