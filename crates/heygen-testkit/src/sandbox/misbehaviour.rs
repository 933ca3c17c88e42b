//! [`Misbehaviour`]: what the sandbox does otherwise than it should.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::{fault::Fault, operation::Operation};
use crate::json::Json;

/// How the sandbox misbehaves, until it is told otherwise. A fresh one behaves.
///
/// What concerns deliveries holds for events that are sent from then on; those under way keep what they began with.
///
/// # Wire shape
///
/// The body of `POST /sandbox/misbehave`: an object with the names below, each optional. It replaces what was set before,
/// so `{}` makes the sandbox behave.
///
/// # Examples
///
/// ```
/// use heygen_testkit::sandbox::{Fault, Misbehaviour, Operation};
///
/// let misbehaviour = Misbehaviour::default()
///     .duplicates(1)
///     .spaced()
///     .fault(Fault::refuse(429).on(Operation::Create).times(2).retry_after(1));
/// let json = r#"{
///     "duplicates": 1,
///     "spaced": true,
///     "api": [{"on": "POST /v3/webhooks/endpoints", "times": 2, "status": 429, "retry_after": 1}]
/// }"#;
/// assert_eq!(serde_json::from_str::<Misbehaviour>(json)?, misbehaviour);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Misbehaviour {
    #[serde(deserialize_with = "read_duplicates")]
    pub(super) duplicates: u32,
    pub(super) delay_ms: u64,
    pub(super) reorder: usize,
    pub(super) drop_answers: u32,
    pub(super) link: Option<Link>,
    pub(super) event_type: Option<String>,
    pub(super) data: Option<Value>,
    pub(super) mid_2026_headers: bool,
    pub(super) spaced: bool,
    pub(super) old_secret: bool,
    pub(super) log_delivered_only: bool,
    pub(super) log_order: LogOrder,
    #[serde(rename = "api")]
    faults: Vec<Fault>,
}

/// What becomes of the links in a body.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Link {
    /// They are `null`.
    Null,
    /// They are `""`.
    Empty,
}

/// Which way the log of events comes. HeyGen documents none.
///
/// # Wire shape
///
/// `log_order` in [`Misbehaviour`]: `"newest_first"`, `"oldest_first"` or `"shuffled"`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogOrder {
    /// The newest event is the first of the first page.
    #[default]
    NewestFirst,
    /// The oldest event is, and what is new comes at the end of the last page.
    OldestFirst,
    /// None that anybody could see, but the same every time.
    Shuffled,
}

impl LogOrder {
    /// The greater, the sooner an event comes; no two events have the same.
    pub(super) fn rank(self, position: u64) -> u64 {
        match self {
            Self::NewestFirst => position,
            Self::OldestFirst => u64::MAX - position,
            // An odd factor: no two products are equal.
            Self::Shuffled => position.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }
}

impl Misbehaviour {
    /// `duplicates`: every accepted delivery is made so many times more, at most 1,000 times.
    ///
    /// More counts as 1,000 here, and is refused as JSON.
    #[must_use]
    pub fn duplicates(mut self, count: u32) -> Self {
        self.duplicates = count.min(MAX_DUPLICATES);
        self
    }

    /// `delay_ms`: every delivery begins so much later, in whole milliseconds. The time scale does not shorten it.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// `reorder`: gathers so many events and sends them newest first, each once the one before has been tried. A group
    /// that is not complete is let go when somebody waits until all has settled, or sets another misbehaviour. 0 and 1
    /// change nothing.
    #[must_use]
    pub fn reorder(mut self, events: usize) -> Self {
        self.reorder = events;
        self
    }

    /// `drop_answers`: the connection is dropped without reading the answer at the first so many attempts of every
    /// delivery, which therefore comes again.
    #[must_use]
    pub fn drop_answers(mut self, attempts: u32) -> Self {
        self.drop_answers = attempts;
        self
    }

    /// `link`, `"null"` or `"empty"`: what becomes of every field of the data whose name ends in `url`, except
    /// `callback_url`.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.link = Some(link);
        self
    }

    /// `event_type`: every event goes out under this name, to those who subscribed to its own.
    #[must_use]
    pub fn event_type(mut self, name: impl Into<String>) -> Self {
        self.event_type = Some(name.into());
        self
    }

    /// `data`: stands in the place of `event_data`; a list fits no event, for instance. `null` changes nothing.
    #[must_use]
    pub fn data(mut self, data: impl Into<Value>) -> Self {
        self.data = Some(data.into()).filter(|data| !data.is_null());
        self
    }

    /// `mid_2026_headers`: `Heygen-Signature`, `Heygen-Timestamp` and `Heygen-Event-Id` in the place of `Signature`, as one
    /// edition of HeyGen's page told.
    #[must_use]
    pub fn mid_2026_headers(mut self) -> Self {
        self.mid_2026_headers = true;
        self
    }

    /// `spaced`: bodies have spaces behind `:` and `,` and nothing beyond ASCII, as Python writes JSON.
    #[must_use]
    pub fn spaced(mut self) -> Self {
        self.spaced = true;
        self
    }

    /// `old_secret`: every attempt is signed with the secret that was valid when its event was sent, so that a retry after
    /// a rotation comes under the old one. What HeyGen does is not documented; otherwise the new one signs.
    #[must_use]
    pub fn old_secret(mut self) -> Self {
        self.old_secret = true;
        self
    }

    /// `log_delivered_only`: `GET /v3/webhooks/events` leaves out what no endpoint has accepted. Which of the two HeyGen
    /// does is not documented; otherwise every event is there from the moment it is sent.
    #[must_use]
    pub fn log_delivered_only(mut self) -> Self {
        self.log_delivered_only = true;
        self
    }

    /// `log_order`: which way `GET /v3/webhooks/events` comes. HeyGen documents none; otherwise the newest event is first.
    #[must_use]
    pub fn log_order(mut self, order: LogOrder) -> Self {
        self.log_order = order;
        self
    }

    /// `api`: adds a fault of the API. The first one that matches a call and has calls left is used up by it.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// The fault that takes this call, if any; one call less is left of it then.
    pub(super) fn take_fault(&mut self, operation: Operation) -> Option<Fault> {
        let mut faults = self.faults.iter_mut();
        faults.find_map(|fault| fault.takes(operation).then(|| fault.clone()))
    }

    /// What is sent in the place of a body.
    pub(super) fn shape(&self, body: &mut Json) {
        if let Some(link) = self.link {
            let value = match link {
                Link::Null => Value::Null,
                Link::Empty => "".into(),
            };
            replace_links(body.field_mut("event_data"), &value);
        }
        if let Some(name) = &self.event_type {
            *body.field_mut("event_type") = Json::Scalar(name.as_str().into());
        }
        if let Some(data) = &self.data {
            *body.field_mut("event_data") = data.clone().into();
        }
    }
}

fn replace_links(json: &mut Json, value: &Value) {
    match json {
        Json::Object(fields) => {
            for (name, json) in fields {
                if name.ends_with("url") && name != "callback_url" {
                    *json = Json::Scalar(value.clone());
                } else {
                    replace_links(json, value);
                }
            }
        }
        Json::Array(items) => {
            for item in items {
                replace_links(item, value);
            }
        }
        Json::Scalar(_) => {}
    }
}

fn read_duplicates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let count = u32::deserialize(deserializer)?;
    if count <= MAX_DUPLICATES {
        Ok(count)
    } else {
        Err(de::Error::custom(format_args!(
            "duplicates must be at most {MAX_DUPLICATES}"
        )))
    }
}

/// Every attempt is remembered, and each is a request.
const MAX_DUPLICATES: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(misbehaviour: &Misbehaviour, body: &str, expected: &str) {
        let mut json = serde_json::from_str(body).unwrap();
        misbehaviour.shape(&mut json);
        assert_eq!(json.compact(), expected);
    }

    #[test]
    fn bodies_are_shaped() {
        let body = r#"{"event_type":"a","event_data":{"url":"u","callback_url":"c","clips":[{"video_url":"v"}]}}"#;
        let fresh = Misbehaviour::default;
        check(&fresh(), body, body);
        check(
            &fresh().link(Link::Null),
            body,
            r#"{"event_type":"a","event_data":{"url":null,"callback_url":"c","clips":[{"video_url":null}]}}"#,
        );
        check(
            &fresh().link(Link::Empty).event_type("b"),
            body,
            r#"{"event_type":"b","event_data":{"url":"","callback_url":"c","clips":[{"video_url":""}]}}"#,
        );
        check(
            &fresh().data(Vec::<Value>::new()),
            body,
            r#"{"event_type":"a","event_data":[]}"#,
        );
    }

    #[test]
    fn names_that_nobody_knows_and_floods_are_refused() {
        assert!(serde_json::from_str::<Misbehaviour>(r#"{"duplicate":1}"#).is_err());
        assert!(serde_json::from_str::<Misbehaviour>(r#"{"duplicates":1001}"#).is_err());
        let read = serde_json::from_str::<Misbehaviour>("{}").unwrap();
        assert_eq!(read, Misbehaviour::default());
    }
}
