//! [`Drift`]: how an event differs from what this version knows, to notice when HeyGen changes its
//! format.

use std::time::SystemTime;

use heygen_events::{Event, ParseError};
use serde::Serialize;

use crate::DeliveryId;
use crate::names::impl_names;
use crate::time;

/// One difference between an event and what this version knows.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub struct Drift {
    /// The kind of difference.
    pub kind: DriftKind,
    /// The name of the event; empty for a body that is not an event.
    pub event_type: String,
    /// The name of the field, or why the data is malformed; the name of the event again if that is
    /// unknown.
    pub name: String,
}

/// The kind of a difference.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum DriftKind {
    /// The name of the event is not known.
    UnknownEvent,
    /// The data has a field that its type does not have.
    UnknownField,
    /// The data does not match its type, or the body is not an event.
    Malformed,
}

/// How often one [`Drift`] was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DriftCount {
    /// What differs. In JSON its fields are flattened.
    #[serde(flatten)]
    pub drift: Drift,
    /// In how many deliveries.
    pub count: u64,
    /// When the first of them was received.
    #[serde(serialize_with = "time::serialize")]
    pub first_at: SystemTime,
    /// When the last of them was received.
    #[serde(serialize_with = "time::serialize")]
    pub last_at: SystemTime,
    /// The first of them. It may have been pruned since.
    pub example: DeliveryId,
}

impl Drift {
    fn new(kind: DriftKind, event_type: &str, name: &str) -> Self {
        Self {
            kind,
            event_type: truncated(event_type),
            name: truncated(name),
        }
    }

    pub(crate) fn unreadable(error: &ParseError) -> Self {
        Self::new(DriftKind::Malformed, "", &error.to_string())
    }

    /// Stands for all that differs once there are too many names to count each.
    #[cfg(any(feature = "sqlite", feature = "jetstream"))]
    pub(crate) fn and_others(kind: DriftKind) -> Self {
        Self::new(kind, "", "(others)")
    }

    #[cfg(feature = "jetstream")]
    pub(crate) fn from_parts(kind: DriftKind, event_type: String, name: String) -> Self {
        Self {
            kind,
            event_type,
            name,
        }
    }
}

impl_names! {
    DriftKind, "a kind: unknown_event, unknown_field or malformed";
    /// Every kind.
    ALL: 3;
    /// The word in lists, JSON and metrics.
    as_str {
        UnknownEvent => "unknown_event",
        UnknownField => "unknown_field",
        Malformed => "malformed",
    }
}

/// All differences of an event; nearly always none.
pub(crate) fn of(event: &Event) -> Vec<Drift> {
    let name = event.event_name();
    if !event.is_known() {
        return vec![Drift::new(DriftKind::UnknownEvent, name, name)];
    }
    if let Some(error) = event.payload_error() {
        let why =
            std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        return vec![Drift::new(
            DriftKind::Malformed,
            name,
            without_position(&why),
        )];
    }
    let fields = event.unknown_fields();
    fields
        .keys()
        .take(MAX_FIELDS)
        .map(|field| Drift::new(DriftKind::UnknownField, name, field))
        .collect()
}

/// Drops the position from an error, so that equal errors count as one.
fn without_position(why: &str) -> &str {
    why.find(" at line ")
        .map_or(why, |position| &why[..position])
}

/// Names are chosen by senders and stored, so their length is bounded.
fn truncated(name: &str) -> String {
    name.chars().take(MAX_NAME_CHARS).collect()
}

const MAX_NAME_CHARS: usize = 120;

/// How many unknown fields of one event are counted.
const MAX_FIELDS: usize = 32;

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
    fn differences_are_named() {
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
    fn names_are_bounded() {
        let name = "x".repeat(10_000);
        let body = format!(r#"{{"event_type":"{name}.y","event_data":{{}}}}"#);
        let event = Event::from_slice(body.as_bytes()).expect("an event");
        assert_eq!(of(&event)[0].name.len(), MAX_NAME_CHARS);
    }
}
