//! Data without a type: undocumented, of an unknown name, or malformed.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::ParseError;
use crate::event_type::{EventType, UnknownName};
use crate::node::one_line;

/// Data of an event whose name is documented and whose data is not: any fields.
///
/// HeyGen says only that other events are structured similarly to the documented ones, so the
/// methods of [`Event`](crate::Event) try the usual field names here too. The resources of some of
/// these jobs are documented (instant and photo avatars, proofreads, batches); whether events carry
/// them is not.
///
/// # Wire shape
///
/// An object. Anything else is malformed.
///
/// # Source
///
/// HeyGen documentation, “Webhook Events”: the names are documented, the data is not.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
#[non_exhaustive]
pub struct Untyped {
    /// The fields as received.
    pub fields: Map<String, Value>,
}

/// An event whose name this version does not know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UnknownEvent {
    /// The name as received.
    pub name: UnknownName,
    /// `event_data` as received, whatever it is; `None` when it is missing.
    pub data: Option<Value>,
}

/// An event whose data does not match the type of its name, or that no [`Value`] can hold.
///
/// The methods of [`Event`](crate::Event) still return what they find in it.
#[derive(Clone, Debug)]
pub struct Malformed {
    event_type: EventType,
    data: Option<Box<RawValue>>,
    reason: ParseError,
}

impl Untyped {
    /// Data without fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl From<Map<String, Value>> for Untyped {
    fn from(fields: Map<String, Value>) -> Self {
        Self { fields }
    }
}

impl UnknownEvent {
    /// An event of this name with this data.
    #[must_use]
    pub fn new(name: UnknownName, data: Option<Value>) -> Self {
        Self { name, data }
    }

    /// An event of this name with this data; `None` for a name that this version knows.
    #[must_use]
    pub fn named(name: &str, data: impl Into<Option<Value>>) -> Option<Self> {
        match EventType::from(name) {
            EventType::Unknown(name) => Some(Self::new(name, data.into())),
            _ => None,
        }
    }
}

impl Malformed {
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

    /// Why it does not match. A position in it counts from the start of
    /// [`data_json`](Self::data_json).
    #[must_use]
    pub fn reason(&self) -> &ParseError {
        &self.reason
    }

    pub(super) fn new(
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

    pub(super) fn data(&self) -> Option<&RawValue> {
        self.data.as_deref()
    }
}

/// Equal when the data is; for data that no [`Value`] can hold, when its text is.
impl PartialEq for Malformed {
    fn eq(&self, other: &Self) -> bool {
        let value = |json: &str| serde_json::from_str::<Value>(json).ok();
        let same = match (self.data_json(), other.data_json()) {
            (Some(one), Some(two)) => {
                one_line(one) == one_line(two)
                    || value(one).is_some_and(|one| Some(one) == value(two))
            }
            (one, two) => one == two,
        };
        self.event_type == other.event_type && same
    }
}
