//! [`Events`]: what an endpoint is subscribed to.

use heygen_events::EventType;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The events an endpoint gets: all of them, or those in a list.
///
/// There is no third state: an update that leaves the subscription as it is does not mention it at all.
///
/// # Wire shape
///
/// `null` is all, an array of names is a list. A name this version does not know is kept as received.
///
/// # Source
///
/// HeyGen's API reference: documented. What HeyGen makes of an empty list is not documented.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Events {
    /// Every event, those that HeyGen adds later included.
    All,
    /// These events alone.
    Only(Vec<EventType>),
}

impl Events {
    /// The list, or `None` for all events.
    #[must_use]
    pub fn only(&self) -> Option<&[EventType]> {
        match self {
            Self::All => None,
            Self::Only(events) => Some(events),
        }
    }

    /// Whether this event is among them.
    #[must_use]
    pub fn includes(&self, event_type: &EventType) -> bool {
        self.only().is_none_or(|events| events.contains(event_type))
    }

    /// Whether both mean the same events, whatever their order.
    #[must_use]
    pub fn is_same_set(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::Only(one), Self::Only(two)) => {
                one.iter().all(|event| two.contains(event))
                    && two.iter().all(|event| one.contains(event))
            }
            (Self::All, Self::Only(_)) | (Self::Only(_), Self::All) => false,
        }
    }

    /// One event more; the first one takes the place of “all”.
    pub(crate) fn add(&mut self, event_type: EventType) {
        match self {
            Self::Only(events) => events.push(event_type),
            Self::All => *self = Self::Only(vec![event_type]),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::All => Value::Null,
            Self::Only(events) => events.iter().map(EventType::as_str).collect(),
        }
    }

    /// `None` when it is neither `null` nor an array of strings.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        if value.is_null() {
            return Some(Self::All);
        }
        let names = value.as_array()?.iter().map(Value::as_str);
        names
            .map(|name| name.map(EventType::from))
            .collect::<Option<_>>()
            .map(Self::Only)
    }
}

impl From<Vec<EventType>> for Events {
    fn from(events: Vec<EventType>) -> Self {
        Self::Only(events)
    }
}

impl FromIterator<EventType> for Events {
    fn from_iter<I: IntoIterator<Item = EventType>>(events: I) -> Self {
        Self::Only(events.into_iter().collect())
    }
}

impl Serialize for Events {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.only().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(json: &Value, expected: Option<&Events>) {
        let read = Events::from_json(json);
        assert_eq!(read.as_ref(), expected, "{json}");
        if let Some(events) = read {
            assert_eq!(&events.to_json(), json);
            assert_eq!(&serde_json::to_value(&events).unwrap(), json);
        }
    }

    #[test]
    fn all_and_only_are_told_apart() {
        check(&json!(null), Some(&Events::All));
        check(&json!([]), Some(&Events::Only(vec![])));
        check(
            &json!(["video_agent.fail", "podcast.success"]),
            Some(&Events::from_iter([
                EventType::VideoAgentFail,
                EventType::from("podcast.success"),
            ])),
        );
        check(&json!("all"), None);
        check(&json!([1]), None);
        check(&json!([null]), None);
        check(&json!({}), None);
    }

    #[test]
    fn sameness_is_by_set() {
        let list = |names: &[&str]| names.iter().copied().map(EventType::from).collect();
        let one: Events = list(&["a", "b"]);
        assert!(one.is_same_set(&list(&["b", "a", "b"])));
        assert!(!one.is_same_set(&list(&["a"])));
        assert!(!one.is_same_set(&Events::All));
        assert!(Events::All.is_same_set(&Events::All));
        assert!(one.includes(&"a".into()) && !one.includes(&"c".into()));
        assert!(Events::All.includes(&"c".into()));
    }
}
