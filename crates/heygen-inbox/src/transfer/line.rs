//! One delivery as a line of JSON: [`to_record`] writes it, [`Imported::from_line`] reads it.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::delivery::{Header, NewDelivery};
use crate::imported::Imported;
use crate::record::{Attempt, DeliverySummary, Redeliveries, SignedPost, State, StoredDelivery};
use crate::source::Source;

/// Why a line of an export cannot be imported, for a person to read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LineError(String);

/// One delivery with everything that [`Imported::from_line`] needs, to be written as a line of
/// JSON.
pub fn to_record(stored: &StoredDelivery) -> impl Serialize {
    let text = std::str::from_utf8(&stored.body).ok();
    Exported {
        summary: &stored.summary,
        headers: &stored.headers,
        body: text,
        body_base64: text.is_none().then(|| STANDARD.encode(&stored.body)),
        redeliveries: &stored.redeliveries,
        event_id: stored.event_id.as_deref(),
        signed: stored.signed.as_ref(),
        attempt_list: &stored.attempts,
    }
}

#[derive(Serialize)]
struct Exported<'a> {
    #[serde(flatten)]
    summary: &'a DeliverySummary,
    headers: &'a [Header],
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    redeliveries: &'a Redeliveries,
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<&'a SignedPost>,
    attempt_list: &'a [Attempt],
}

/// What is read of a line. Its other fields follow from the body.
#[derive(Deserialize)]
struct Record {
    received_at: Timestamp,
    source: String,
    state: String,
    attempts: u32,
    headers: Vec<(String, String)>,
    body: Option<String>,
    body_base64: Option<String>,
    #[serde(default, alias = "repeats")]
    redeliveries: RedeliveriesRecord,
    #[serde(default)]
    attempt_list: Vec<AttemptRecord>,
    #[serde(default)]
    event_id: Value,
    #[serde(default)]
    signed: Option<SignedRecord>,
}

#[derive(Deserialize)]
struct SignedRecord {
    received_at: Timestamp,
    headers: Vec<(String, String)>,
    body: String,
}

#[derive(Default, Deserialize)]
struct RedeliveriesRecord {
    count: u64,
    last_at: Option<Timestamp>,
    last_headers: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct AttemptRecord {
    number: u32,
    started_at: Timestamp,
    milliseconds: f64,
    result: String,
    detail: Option<String>,
}

impl Imported {
    /// Reads one line of an export, without its line break, and does not trust the source that it
    /// states: the delivery has [`Source::Import`], which nothing authenticates. A line received
    /// after `latest` is rejected, because the ids of all later deliveries would have to exceed its
    /// own.
    ///
    /// # Wire shape
    ///
    /// `{"received_at": time, "source": word, "state": word, "attempts": number, "headers": [[name,
    /// value]], "body": text}`, with `body_base64` instead of `body` if that is not UTF-8.
    /// `redeliveries` and `attempt_list` are optional; other keys are ignored.
    ///
    /// # Errors
    ///
    /// When it is not such a line, or a value is impossible.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use heygen_inbox::Imported;
    ///
    /// let line = br#"{"received_at":"2026-09-21T14:13:20Z","source":"webhook","state":"acknowledged","attempts":1,"headers":[],"body":"{}"}"#;
    /// let imported = Imported::from_line(line, SystemTime::now())?;
    /// assert_eq!(&imported.delivery.body()[..], b"{}");
    /// # Ok::<(), heygen_inbox::LineError>(())
    /// ```
    pub fn from_line(line: &[u8], latest: SystemTime) -> Result<Self, LineError> {
        let mut imported = Self::from_trusted_line(line, latest)?;
        imported.delivery.distrust();
        imported.matched_event_id = None;
        imported.signed = None;
        Ok(imported)
    }

    /// The same for a trusted line, from an inbox of your own and unchanged since: the delivery
    /// keeps the source that the line states, and counts as signed by HeyGen if that is
    /// [`Source::Webhook`].
    ///
    /// # Errors
    ///
    /// As [`from_line`](Self::from_line).
    pub fn from_trusted_line(line: &[u8], latest: SystemTime) -> Result<Self, LineError> {
        let record: Record =
            serde_json::from_slice(line).map_err(|error| LineError(error.to_string()))?;
        let received_at = moment(record.received_at)?;
        if received_at > latest {
            return Err(LineError("received_at is in the future".to_owned()));
        }
        let source: Source = name(&record.source)?;
        let state: State = name(&record.state)?;
        let body = body(record.body, record.body_base64)?;
        let attempts = attempts(record.attempts, record.attempt_list)?;
        let delivery = NewDelivery::new(received_at, source, headers(&record.headers), body.into());
        let mut imported = Self::new(delivery);
        imported.state = state;
        imported.attempt_count = record.attempts;
        imported.attempts = attempts;
        if record.redeliveries.count > MOST_REDELIVERIES {
            return Err(LineError(
                "redeliveries.count cannot be so large".to_owned(),
            ));
        }
        imported.redeliveries.count = record.redeliveries.count;
        imported.redeliveries.last_at = record.redeliveries.last_at.map(moment).transpose()?;
        imported.redeliveries.last_headers = headers(&record.redeliveries.last_headers);
        let event_id = record.event_id.as_str().filter(|id| !id.is_empty());
        let is_of_body = imported.delivery.dedup_key().event_id() == event_id;
        imported.matched_event_id = event_id.filter(|_| !is_of_body).map(str::to_owned);
        imported.signed = record.signed.map(SignedRecord::read).transpose()?;
        Ok(imported)
    }
}

impl SignedRecord {
    fn read(self) -> Result<SignedPost, LineError> {
        Ok(SignedPost {
            received_at: moment(self.received_at)?,
            headers: headers(&self.headers),
            body: self.body.into(),
        })
    }
}

fn body(text: Option<String>, base64: Option<String>) -> Result<Vec<u8>, LineError> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(base64)) => STANDARD
            .decode(base64)
            .map_err(|error| LineError(format!("body_base64: {error}"))),
        (None, None) => Err(LineError("neither body nor body_base64".to_owned())),
        (Some(_), Some(_)) => Err(LineError("both body and body_base64".to_owned())),
    }
}

/// Checks their numbers, because the next attempt must get an unused one.
fn attempts(attempt_count: u32, records: Vec<AttemptRecord>) -> Result<Vec<Attempt>, LineError> {
    if attempt_count > MOST_ATTEMPTS {
        return Err(LineError("attempts cannot be so large".to_owned()));
    }
    let mut last = 0;
    let mut attempts = Vec::with_capacity(records.len());
    for record in records {
        if record.number <= last || record.number > attempt_count {
            return Err(LineError(format!(
                "attempt_list: number {} does not fit",
                record.number
            )));
        }
        last = record.number;
        attempts.push(attempt(record)?);
    }
    Ok(attempts)
}

fn attempt(record: AttemptRecord) -> Result<Attempt, LineError> {
    let is_possible = (0.0..LONGEST_MILLISECONDS).contains(&record.milliseconds);
    if !is_possible {
        return Err(LineError("attempt_list: milliseconds cannot be".to_owned()));
    }
    // Whole microseconds, as they are stored; the bounds ensure that they fit.
    let micros = (record.milliseconds * 1000.0).round() as u64;
    let mut attempt = Attempt::new(
        record.number,
        moment(record.started_at)?,
        Duration::from_micros(micros),
        name(&record.result)?,
    );
    attempt.detail = record.detail;
    Ok(attempt)
}

fn headers(pairs: &[(String, String)]) -> Vec<Header> {
    pairs
        .iter()
        .map(|(name, value)| Header::new(name, value.as_bytes()))
        .collect()
}

fn moment(moment: Timestamp) -> Result<SystemTime, LineError> {
    SystemTime::try_from(moment)
        .ok()
        .filter(|time| *time >= SystemTime::UNIX_EPOCH)
        .ok_or_else(|| LineError(format!("{moment} is before 1970")))
}

fn name<T: std::str::FromStr<Err: fmt::Display>>(name: &str) -> Result<T, LineError> {
    name.parse()
        .map_err(|error: T::Err| LineError(error.to_string()))
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LineError {}

/// Far beyond any real number, and far below an overflow.
const MOST_ATTEMPTS: u32 = 1_000_000_000;
const MOST_REDELIVERIES: u64 = 1 << 60;

/// Three thousand years.
const LONGEST_MILLISECONDS: f64 = 1e14;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "id": "1jvzvd2br00zzzz", "received_at": "2026-09-21T14:13:20.120003Z", "event_type": "a.b",
            "source": "callback", "state": "dead_lettered", "attempts": 2, "headers": [["A", "b"]], "body": "{}",
            "redeliveries": {"count": 1, "last_at": "2026-09-21T14:13:21.000001Z", "last_headers": []},
            "attempt_list": [{
                "number": 2, "started_at": "2026-09-21T14:13:22.000009Z", "milliseconds": 1234.567,
                "result": "dead_lettered", "detail": "no",
            }],
        })
    }

    fn latest() -> SystemTime {
        let latest: Timestamp = "2026-11-24T00:00:00Z".parse().expect("a time");
        latest.try_into().expect("a time of the system")
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Value), expected: Result<(), &str>) {
        let mut line = good();
        change(&mut line);
        let read = Imported::from_line(line.to_string().as_bytes(), latest());
        match (read, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (read, _) => panic!("{line}: {read:?}"),
        }
    }

    #[test]
    fn complete_line_is_read() {
        let line = good().to_string();
        let imported = Imported::from_trusted_line(line.as_bytes(), latest()).expect("good");
        let micros = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.expect("after 1970").as_micros() % 1_000_000
        };
        assert_eq!(micros(imported.delivery.received_at()), 120_003);
        assert_eq!(imported.delivery.source(), Source::Callback);
        assert_eq!(&imported.delivery.body()[..], b"{}");
        assert_eq!(
            (imported.state, imported.attempt_count),
            (State::DeadLettered, 2)
        );
        let attempt = &imported.attempts[0];
        assert_eq!(attempt.duration, Duration::from_micros(1_234_567));
        assert_eq!(micros(attempt.started_at), 9);
        assert_eq!(attempt.detail.as_deref(), Some("no"));
        assert_eq!(imported.redeliveries.count, 1);
    }

    /// Exports of earlier versions have other names.
    #[test]
    fn names_of_earlier_versions_are_read() {
        let today = good();
        let mut line = today.clone();
        line["state"] = "dead".into();
        line["attempt_list"][0]["result"] = "dead".into();
        line["repeats"] = line["redeliveries"].take();
        let fields = line.as_object_mut().expect("an object");
        fields.remove("redeliveries");
        let read =
            |line: Value| Imported::from_line(line.to_string().as_bytes(), latest()).expect("good");
        let (old, new) = (read(line), read(today));
        assert_eq!((old.state, &old.attempts), (new.state, &new.attempts));
        assert_eq!(old.redeliveries, new.redeliveries);
    }

    #[test]
    fn source_of_a_line_counts_only_if_it_is_trusted() {
        let mut line = good();
        let signed = json!({"received_at": "2026-09-21T14:13:20Z", "headers": [], "body": "{}"});
        (line["event_id"], line["signed"]) = ("e1".into(), signed);
        for source in ["webhook", "backfill", "callback", "import"] {
            line["source"] = source.into();
            let line = line.to_string();
            let imported = Imported::from_line(line.as_bytes(), latest()).expect("good");
            assert_eq!(imported.delivery.source(), Source::Import);
            assert_eq!(
                (&imported.matched_event_id, &imported.signed),
                (&None, &None)
            );
            let trusted = Imported::from_trusted_line(line.as_bytes(), latest()).expect("good");
            assert_eq!(trusted.delivery.source().as_str(), source);
            assert_eq!(trusted.matched_event_id.as_deref(), Some("e1"));
            assert_eq!(trusted.signed.expect("a POST").body, "{}");
        }
    }

    #[test]
    fn optional_and_unknown_fields_are_accepted() {
        check(|line| line["new_field"] = json!({"a": [1]}), Ok(()));
        check(|line| line["event_type"] = json!(7), Ok(()));
        check(
            |line| line["redeliveries"] = json!({"count": 0, "last_at": null, "last_headers": []}),
            Ok(()),
        );
        check(
            |line| {
                line["body"] = Value::Null;
                line["body_base64"] = "/wA=".into();
            },
            Ok(()),
        );
    }

    #[test]
    fn impossible_values_are_rejected() {
        check(|line| *line = json!([]), Err("invalid"));
        check(|line| line["received_at"] = json!(7), Err("invalid type"));
        check(|line| line["received_at"] = "soon".into(), Err("year"));
        check(
            |line| line["received_at"] = "2027-01-01T00:00:00Z".into(),
            Err("future"),
        );
        check(
            |line| line["received_at"] = "1969-01-01T00:00:00Z".into(),
            Err("1970"),
        );
        check(|line| line["source"] = "friend".into(), Err("source"));
        check(|line| line["state"] = "lost".into(), Err("state"));
        check(|line| line["state"] = json!(["done"]), Err("invalid type"));
        check(|line| line["attempts"] = json!(-1), Err("invalid value"));
        check(|line| line["attempts"] = json!(1), Err("does not fit"));
        check(|line| line["attempts"] = json!(u32::MAX), Err("so large"));
        check(
            |line| line["headers"] = json!([["a"]]),
            Err("invalid length"),
        );
        check(|line| line["body"] = Value::Null, Err("neither"));
        check(|line| line["body_base64"] = "/wA=".into(), Err("both"));
        check(
            |line| line["redeliveries"]["count"] = json!(u64::MAX),
            Err("so large"),
        );
        check(
            |line| line["attempt_list"][0]["milliseconds"] = json!(1e300),
            Err("milliseconds"),
        );
        check(
            |line| line["attempt_list"][0]["milliseconds"] = json!(-1),
            Err("milliseconds"),
        );
        check(
            |line| line["attempt_list"][0]["result"] = "well".into(),
            Err("result"),
        );
        check(
            |line| line["attempt_list"][0]["number"] = json!(0),
            Err("does not fit"),
        );
        check(
            |line| {
                let again = line["attempt_list"][0].clone();
                line["attempt_list"] = json!([again, again]);
            },
            Err("does not fit"),
        );
    }

    #[test]
    fn hostile_bytes_are_rejected() {
        for line in [
            &b"\xff\xfe"[..],
            b"{",
            b"null",
            br#"{"body":"\ud800"}"#,
            br#"{"body":"a","body":"b"}"#,
            "[".repeat(1_000_000).as_bytes(),
            format!("{{\"x\":{}", "[".repeat(1_000_000)).as_bytes(),
        ] {
            assert!(Imported::from_line(line, latest()).is_err());
        }
    }
}
