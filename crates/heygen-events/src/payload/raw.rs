//! Data that no type describes: of an unknown name, or not fitting a known one.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::{EventType, ParseError, UnknownName};

/// An event whose name this version does not know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UnknownEvent {
    /// The name as received.
    pub name: UnknownName,
    /// `event_data` as received, whatever it is; `None` when it is missing.
    pub data: Option<Value>,
}

/// An event whose data does not fit the type of its name, or is beyond what a [`Value`] can hold.
///
/// The questions that [`Event`](crate::Event) answers are answered from the text as far as it goes.
#[derive(Clone, Debug)]
pub struct Unfit {
    event_type: EventType,
    data: Option<Box<RawValue>>,
    reason: ParseError,
}

impl UnknownEvent {
    /// An event of this name with this data.
    #[must_use]
    pub fn new(name: UnknownName, data: Option<Value>) -> Self {
        Self { name, data }
    }
}

impl Unfit {
    /// The name, which may be an unknown one.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// The text of `event_data` as received; `None` when it is missing.
    #[must_use]
    pub fn data_json(&self) -> Option<&str> {
        self.data.as_deref().map(RawValue::get)
    }

    /// Why it does not fit. Positions in it count from the start of [`data_json`](Self::data_json).
    #[must_use]
    pub fn reason(&self) -> &ParseError {
        &self.reason
    }

    pub(crate) fn new(
        event_type: EventType,
        data: Option<Box<RawValue>>,
        reason: ParseError,
    ) -> Self {
        Self {
            event_type,
            data,
            reason,
        }
    }

    pub(crate) fn data(&self) -> &Option<Box<RawValue>> {
        &self.data
    }
}

/// Equal when the data says the same; for data that no [`Value`] can hold, when its text is the same.
impl PartialEq for Unfit {
    fn eq(&self, other: &Self) -> bool {
        let value = |json: &str| serde_json::from_str::<Value>(json).ok();
        let same = match (self.data_json(), other.data_json()) {
            (Some(one), Some(two)) => {
                one == two || value(one).is_some_and(|one| Some(one) == value(two))
            }
            (one, two) => one == two,
        };
        self.event_type == other.event_type && same
    }
}
