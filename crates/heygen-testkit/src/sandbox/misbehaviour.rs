//! [`Misbehaviour`]: how the sandbox differs from a well-behaved HeyGen.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::{clock::millis, fault::Fault, operation::Operation};
use crate::{json::Json, setters::setters};

/// How the sandbox misbehaves. The default is not at all.
///
/// Settings about deliveries apply to events sent afterwards. Deliveries in progress keep theirs.
///
/// # Wire shape
///
/// The body of `POST /sandbox/misbehave`: an object with the names below, each optional. It
/// replaces the earlier settings, so `{}` turns misbehaviour off.
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
    pub(super) name_key: Option<String>,
    pub(super) without_data: bool,
    pub(super) body: Option<String>,
    pub(super) mid_2026_headers: bool,
    pub(super) doubled_signature: bool,
    pub(super) truncate: u32,
    pub(super) slow_ms: u64,
    pub(super) spaced: bool,
    pub(super) old_secret: bool,
    pub(super) job_ms: Option<u64>,
    pub(super) fail_jobs: Option<String>,
    pub(super) fail_code: Option<String>,
    pub(super) link_ms: Option<u64>,
    pub(super) log_delivered_only: bool,
    pub(super) log_order: LogOrder,
    #[serde(rename = "api")]
    faults: Vec<Fault>,
}

/// How links in a body are replaced.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Link {
    /// By `null`.
    Null,
    /// By `""`.
    Empty,
}

/// The order of the event log. HeyGen documents none.
///
/// # Wire shape
///
/// `log_order` in [`Misbehaviour`]: `"newest_first"`, `"oldest_first"` or `"shuffled"`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogOrder {
    /// The newest event is first.
    #[default]
    NewestFirst,
    /// The oldest event is first. New events are appended to the last page.
    OldestFirst,
    /// A pseudo-random order that is always the same.
    Shuffled,
}

impl LogOrder {
    /// The sort key: greater comes first. It is unique.
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
    /// `api`: adds a fault of the API. A call uses the first fault that matches and has calls left.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// The fault of this call, if any. It has one call fewer left afterwards.
    pub(super) fn take_fault(&mut self, operation: Operation) -> Option<Fault> {
        let mut faults = self.faults.iter_mut();
        faults.find_map(|fault| fault.applies_to(operation).then(|| fault.clone()))
    }

    /// Applies the misbehaviour to a body.
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
        if self.without_data {
            body.remove("event_data");
        }
    }

    /// The bytes that are sent of a body.
    pub(super) fn bytes(&self, body: &Json) -> Bytes {
        if let Some(text) = &self.body {
            return text.clone().into();
        }
        let mut body = body.clone();
        if let Some(key) = &self.name_key {
            body.rename("event_type", key);
        }
        if self.spaced {
            body.spaced()
        } else {
            body.compact()
        }
    }
}

setters! {
    impl Misbehaviour;

    /// `duplicates`: sends every accepted delivery this many more times, at most 1,000.
    ///
    /// A larger number counts as 1,000 here and is rejected in JSON.
    duplicates(count: u32) sets duplicates: count.min(MAX_DUPLICATES);

    /// `delay_ms`: delays the start of every delivery, in whole milliseconds. The time scale does
    /// not apply.
    delay(delay: Duration) sets delay_ms: millis(delay);

    /// `reorder`: holds this many events and sends them newest first, each after the one before was
    /// attempted. An incomplete group is released by waiting until everything has settled, and by
    /// setting another misbehaviour. 0 and 1 change nothing.
    reorder(events: usize) sets reorder: events;

    /// `drop_answers`: closes the connection without reading the answer, in the first attempts of
    /// every delivery. They are retried.
    drop_answers(attempts: u32) sets drop_answers: attempts;

    /// `link`, `"null"` or `"empty"`: replaces every field of the data whose name ends in `url`,
    /// except `callback_url`.
    link(link: Link) sets link: Some(link);

    /// `event_type`: sends every event under this name, to the subscribers of its real name.
    event_type(name: impl Into<String>) sets event_type: Some(name.into());

    /// `data`: replaces `event_data`, for example with a list, which no event has. `null` changes
    /// nothing.
    data(data: impl Into<Value>) sets data: Some(data.into()).filter(|data| !data.is_null());

    /// `name_key`: sends the name of the event under this key instead of `event_type`, for example
    /// under `event`, which HeyGen's own n8n node reads.
    name_key(key: impl Into<String>) sets name_key: Some(key.into());

    /// `without_data`: sends no `event_data`.
    without_data() sets without_data: true;

    /// `body`: sends this text, signed, in place of every body, for example one that is not JSON.
    /// The log keeps the event.
    body(text: impl Into<String>) sets body: Some(text.into());

    /// `doubled_signature`: sends the signature header twice, first with a wrong value.
    doubled_signature() sets doubled_signature: true;

    /// `truncate`: closes the connection after half of the body, in the first attempts of every
    /// delivery. They are retried.
    truncate(attempts: u32) sets truncate: attempts;

    /// `slow_ms`: sends the second half of every body this much later, in whole milliseconds. The
    /// time scale does not apply. It counts towards the timeout of the delivery.
    slow(pause: Duration) sets slow_ms: millis(pause);

    /// `mid_2026_headers`: sends `Heygen-Signature`, `Heygen-Timestamp` and `Heygen-Event-Id`
    /// instead of `Signature`, as one edition of HeyGen's documentation said.
    mid_2026_headers() sets mid_2026_headers: true;

    /// `spaced`: writes bodies as Python does: a space after `:` and `,`, only ASCII.
    spaced() sets spaced: true;

    /// `old_secret`: signs every attempt with the secret that was valid when the event was sent, so
    /// a retry after a rotation has the old one. By default the new one signs. HeyGen does not
    /// document which.
    old_secret() sets old_secret: true;

    /// `job_ms`: how long jobs take that are started from now on, in whole milliseconds. Default: 1 s.
    /// The time scale does not apply.
    job_time(time: Duration) sets job_ms: Some(millis(time));

    /// `fail_jobs`: jobs that are started from now on fail for this reason.
    fail_jobs(reason: impl Into<String>) sets fail_jobs: Some(reason.into());

    /// `fail_code`: the code of the failure in the state of a video, for example
    /// `MOVIO_PAYMENT_INSUFFICIENT_CREDIT` (observed). Default: none, as was observed too.
    fail_code(code: impl Into<String>) sets fail_code: Some(code.into());

    /// `link_ms`: how long links to the sandbox's files live, in whole milliseconds. After that they
    /// are answered with 403. Default: 7 days. Asking for the status again gives a fresh link.
    link_life(life: Duration) sets link_ms: Some(millis(life));

    /// `log_delivered_only`: `GET /v3/webhooks/events` omits events that no endpoint accepted. By
    /// default it lists every event as soon as it is sent. HeyGen does not document which.
    log_delivered_only() sets log_delivered_only: true;

    /// `log_order`: the order of `GET /v3/webhooks/events`. Default: newest first. HeyGen documents
    /// none.
    log_order(order: LogOrder) sets log_order: order;
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

/// Every duplicate is a request, and is recorded.
const MAX_DUPLICATES: u32 = 1000;
