//! [`Subscription`]: the events that an endpoint gets.

use heygen_events::EventType;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The events that an endpoint gets: all, or a list.
///
/// An update that leaves the subscription as it is does not contain one.
///
/// # Wire shape
///
/// `null` means all, an array of names is a list. Unknown names are kept as received.
///
/// # Source
///
/// HeyGen's API reference: documented. The meaning of an empty list is not documented.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Subscription {
    /// Every event, including those that HeyGen adds later.
    All,
    /// Only these events.
    Only(Vec<EventType>),
}

impl Subscription {
    /// The list, or `None` for all events.
    #[must_use]
    pub fn only(&self) -> Option<&[EventType]> {
        match self {
            Self::All => None,
            Self::Only(events) => Some(events),
        }
    }

    /// Whether the subscription contains this event.
    #[must_use]
    pub fn includes(&self, event_type: &EventType) -> bool {
        self.only().is_none_or(|events| events.contains(event_type))
    }

    /// Whether both contain the same events, in any order.
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

    /// Adds one event. The first one replaces [`All`](Self::All).
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

impl From<Vec<EventType>> for Subscription {
    fn from(events: Vec<EventType>) -> Self {
        Self::Only(events)
    }
}

impl FromIterator<EventType> for Subscription {
    fn from_iter<I: IntoIterator<Item = EventType>>(events: I) -> Self {
        Self::Only(events.into_iter().collect())
    }
}

impl Serialize for Subscription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.only().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(json: &Value, expected: Option<&Subscription>) {
        let read = Subscription::from_json(json);
        assert_eq!(read.as_ref(), expected, "{json}");
        if let Some(events) = read {
            assert_eq!(&events.to_json(), json);
            assert_eq!(&serde_json::to_value(&events).unwrap(), json);
        }
    }

    #[test]
    fn null_is_all_and_array_is_only() {
        check(&json!(null), Some(&Subscription::All));
        check(&json!([]), Some(&Subscription::Only(vec![])));
        check(
            &json!(["video_agent.fail", "podcast.success"]),
            Some(&Subscription::from_iter([
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
    fn is_same_set_ignores_order_and_repetition() {
        let list = |names: &[&str]| names.iter().copied().map(EventType::from).collect();
        let one: Subscription = list(&["a", "b"]);
        assert!(one.is_same_set(&list(&["b", "a", "b"])));
        assert!(!one.is_same_set(&list(&["a"])));
        assert!(!one.is_same_set(&Subscription::All));
        assert!(Subscription::All.is_same_set(&Subscription::All));
        assert!(one.includes(&"a".into()) && !one.includes(&"c".into()));
        assert!(Subscription::All.includes(&"c".into()));
    }
}
