//! An event inside serde's containers, and its data as types of the caller.

use std::error::Error;

use heygen_events::{Event, Payload};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Field {
    id: u8,
    event: Event,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    event: Event,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind")]
enum Tagged {
    Line { event: Event },
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind")]
enum TaggedNewtype {
    Line(Event),
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", content = "content")]
enum Adjacent {
    Line(Event),
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "as a caller would write it")]
enum Untagged {
    Event(Event),
    Other(Value),
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
struct Transparent(Vec<Option<Event>>);

/// Reads the container around the event in every way, and writes it in every way.
#[track_caller]
fn check<T>(text: &str, event_of: impl Fn(T) -> Event)
where
    T: for<'de> Deserialize<'de> + Serialize + std::fmt::Debug + PartialEq,
{
    let value: Value = serde_json::from_str(text).unwrap();
    let expected: Event = BODY.parse().unwrap();
    let read: T = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), value, "as a value");
    let written = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
    assert_eq!(serde_json::from_str::<T>(&written).unwrap(), read);
    assert_eq!(serde_json::from_slice::<T>(text.as_bytes()).unwrap(), read);
    assert_eq!(
        serde_json::from_reader::<_, T>(text.as_bytes()).unwrap(),
        read
    );
    assert_eq!(serde_json::from_value::<T>(value).unwrap(), read);
    let event = event_of(read);
    assert_eq!(event.payload(), expected.payload());
    assert_eq!(event.event_id(), expected.event_id());
}

#[test]
fn every_container_holds_an_event() {
    let around = |start: &str| BODY.replacen('{', start, 1);
    check(&format!(r#"{{"id":1,"event":{BODY}}}"#), |it: Field| {
        it.event
    });
    check(&around(r#"{"id":1,"#), |it: Flat| it.event);
    check(&format!(r#"{{"kind":"Line","event":{BODY}}}"#), |it| {
        let Tagged::Line { event } = it;
        event
    });
    check(&around(r#"{"kind":"Line","#), |it| {
        let TaggedNewtype::Line(event) = it;
        event
    });
    check(&format!(r#"{{"kind":"Line","content":{BODY}}}"#), |it| {
        let Adjacent::Line(event) = it;
        event
    });
    check(BODY, |it| match it {
        Untagged::Event(event) => event,
        Untagged::Other(value) => panic!("{value}"),
    });
    check(&format!("[{BODY}]"), |it: Transparent| {
        it.0.into_iter().flatten().next().unwrap()
    });
    check(BODY, |it: Event| it);
}

#[test]
fn untagged_container_distinguishes_events_from_other_values() {
    let other: Untagged = serde_json::from_str(r#"{"event_data":{}}"#).unwrap();
    assert_eq!(other, Untagged::Other(json!({"event_data": {}})));
}

#[test]
fn text_survives_where_serde_json_writes_it() {
    let body = r#"{"event_type":"podcast.success","event_data":{"n":[1.50,1e999,"\ud800"]}}"#;
    let line = format!(r#"{{"id":1,"event":{body}}}"#);
    let read: Field = serde_json::from_str(&line).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), line);
    let mut bytes = Vec::new();
    serde_json::to_writer(&mut bytes, &read).unwrap();
    assert_eq!(bytes, line.as_bytes());
    // No value can hold it, which is an error and not another event.
    assert!(serde_json::to_value(&read).is_err());
    let flat: Flat = Flat {
        id: 1,
        event: read.event,
    };
    assert!(serde_json::to_string(&flat).is_err());
}

#[test]
fn an_event_is_written_on_one_line() {
    let body = "{\n \"event_type\":\r\n\t\"batch.finished\",\n\"event_data\":{\"a\":\"\\n\"}\n}\n";
    let event: Event = body.parse().unwrap();
    let written = serde_json::to_string(&event).unwrap();
    assert!(!written.contains(['\n', '\r']), "{written}");
    let value: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(value, serde_json::from_str::<Value>(body).unwrap());
}

#[derive(Debug, Deserialize, PartialEq)]
struct Mine {
    id: String,
    #[serde(default)]
    minutes: Option<f64>,
}

/// The data as a type of the caller, or why it is not of it.
#[track_caller]
fn check_data(body: &str, expected: Result<&str, &str>) {
    let event: Event = body.parse().unwrap();
    let found = event.data::<Mine>().map(|mine| mine.id);
    let found = found.map_err(|error| {
        assert_eq!(error.event_type(), Some(&event.event_type()));
        let shown = format!("{error}: {}", error.source().unwrap());
        assert!(!shown.contains("hush") && !format!("{error:?}").contains("hush"));
        shown
    });
    assert_eq!(
        found.as_deref().map_err(|error| error.as_str()),
        expected,
        "{body}"
    );
}

#[test]
fn data_parses_into_types_of_the_caller() {
    let body = |name: &str, data: &str| format!(r#"{{"event_type":"{name}","event_data":{data}}}"#);
    for name in [
        "podcast.success",
        "batch.finished",
        "ai_clipping.success",
        "avatar_video.fail",
    ] {
        check_data(&body(name, r#"{"id":"a","minutes":1.5,"more":1}"#), Ok("a"));
        let beyond = r#"{"id":"a","more":[1e999,"\ud800"]}"#;
        check_data(&body(name, beyond), Ok("a"));
        check_data(&body(name, r#"{"id":"hush","id":"b"}"#), Ok("b"));
    }
    let does_not_fit = |why: &str| format!("event_data does not match podcast.success: {why}");
    let check_mismatch = |data: &str, why: &str| {
        check_data(&body("podcast.success", data), Err(&does_not_fit(why)));
    };
    check_mismatch(r#"{"id":7}"#, "id: found a number, expected a string");
    check_mismatch(r#"{"hush":"hush"}"#, "id: missing");
    check_mismatch(r#""hush""#, "found a string, expected an object");
    check_data(
        r#"{"event_type":"podcast.success"}"#,
        Err(&does_not_fit("found null, expected an object")),
    );
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum State {
    Completed,
    Failed { why: String },
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Job {
    state: State,
    title: Option<String>,
}

#[test]
fn data_parses_into_enums_of_the_caller() {
    #[track_caller]
    fn check(data: &str, expected: Result<State, &str>) {
        let body = format!(r#"{{"event_type":"podcast.fail","event_data":{data}}}"#);
        let event: Event = body.parse().unwrap();
        let found = event.data::<Job>().map(|job| job.state);
        let found = found.map_err(|error| error.source().unwrap().to_string());
        assert_eq!(
            found.as_ref().map_err(|why| why.as_str()),
            expected.as_ref().map_err(|why| *why),
            "{data}"
        );
    }
    check(r#"{"state":"completed"}"#, Ok(State::Completed));
    // Of a repeated key the last counts, here too.
    check(
        r#"{"state":"completed","state":{"failed":{"why":"no"}}}"#,
        Ok(State::Failed {
            why: "no".to_owned(),
        }),
    );
    check(
        r#"{"state":"completed","state":"completed","title":"a"}"#,
        Ok(State::Completed),
    );
    // The field that does not match is named, and no other.
    check(
        r#"{"state":"completed","title":7}"#,
        Err("title: found a number, expected a string"),
    );
    check(
        r#"{"state":"hush"}"#,
        Err("state: found another word than completed, failed"),
    );
    check(
        r#"{"state":"completed","hush":1}"#,
        Err("found another field than state, title"),
    );
    check(
        r#"{"state":7}"#,
        Err("state: found a number, expected enum State"),
    );
}

#[test]
fn payloads_are_built_from_a_name_and_data() {
    let payload = Payload::from_data("avatar_video.fail", &json!({"video_id": 7}));
    let Payload::AvatarVideoFail(video) = payload else {
        panic!("{payload:?}")
    };
    assert_eq!(video.video_id, "7");
    let payload = Payload::from_data("podcast.fail", &json!(7));
    assert!(matches!(payload, Payload::Unknown(_)));
}

const BODY: &str = r#"{"event_id":"e","event_type":"avatar_video.success","event_data":{"video_id":7,"url":null,"new":[1.25,-0.0,18446744073709551615]},"created_at":"2026"}"#;
