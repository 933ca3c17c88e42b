//! Unknown and malformed content is parsed, stored and written back.

use heygen_events::payload::{AiClipping, AvatarVideoFail, AvatarVideoSuccess, UnknownEvent};
use heygen_events::{Event, EventType, ParseErrorKind, Payload};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Reads a body, says what became of it, and proves that nothing was lost.
#[track_caller]
fn check(body: &str, fate: &str) {
    let event = Event::from_slice(body.as_bytes()).unwrap();
    let found = match event.payload() {
        Payload::Unknown(_) => "unknown",
        Payload::Malformed(_) => "malformed",
        _ => "well-formed",
    };
    assert_eq!(found, fate, "{body}: {:?}", event.payload_error());
    assert_eq!(event.is_well_formed(), fate != "malformed", "{body}");

    let written = serde_json::to_string(&event).unwrap();
    match serde_json::from_str::<Value>(body) {
        Ok(value) => {
            assert_eq!(
                serde_json::from_str::<Value>(&written).unwrap(),
                value,
                "{body}"
            );
            assert_eq!(Event::from_value(&value).unwrap(), event, "{body}");
        }
        // Beyond what a `Value` can hold, equal text is the proof.
        Err(_) => assert_eq!(written, body),
    }
    assert_eq!(body.parse::<Event>().unwrap(), event);
    assert_eq!(serde_json::from_str::<Event>(body).unwrap(), event);
    assert_eq!(
        written.parse::<Event>().unwrap(),
        event,
        "written and read again"
    );
}

#[track_caller]
fn check_data(event_type: &str, data: &str, fate: &str) {
    check(
        &format!(r#"{{"event_type":"{event_type}","event_data":{data}}}"#),
        fate,
    );
}

#[track_caller]
fn check_error(body: &[u8], kind: ParseErrorKind) {
    let error = Event::from_slice(body).unwrap_err();
    assert_eq!(error.kind(), kind, "{}", String::from_utf8_lossy(body));
    assert_eq!(error.event_type(), None);
}

#[test]
fn unknown_names() {
    check_data("podcast.success", r#"{"podcast_id":"p1"}"#, "unknown");
    check_data("podcast.success", "null", "unknown");
    check_data("podcast.success", "[1,2]", "unknown");
    check_data("podcast.success", r#""text""#, "unknown");
    check_data("", "{}", "unknown");
    check_data("avatar_video.failed", "{}", "unknown");
    check(r#"{"event_type":"podcast.success"}"#, "unknown");
}

#[test]
fn unknown_and_missing_fields() {
    check_data("avatar_video.success", r#"{"video_id":"v"}"#, "well-formed");
    check_data(
        "avatar_video.success",
        r#"{"video_id":"v","new":{"deep":[1,null]},"url":"u"}"#,
        "well-formed",
    );
    check_data(
        "avatar_video.success",
        r#"{"video_id":"","url":"","folder_id":""}"#,
        "well-formed",
    );
    check_data(
        "avatar_video.success",
        r#"{"video_id":"v","url":null,"folder_id":null,"gif_download_url":null}"#,
        "well-formed",
    );
    check_data("avatar_video_caption.success", "{}", "well-formed");
    check_data("hyperframes_video.fail", "{}", "well-formed");
    check_data(
        "batch.finished",
        r#"{"batch_id":7,"items":[null]}"#,
        "well-formed",
    );
    check_data(
        "personalized_video",
        r#"{"video_id":"v","contact_info":{"name":"A","tags":[1]}}"#,
        "well-formed",
    );
    check_data(
        "personalized_video",
        r#"{"video_id":"v","contact_info":null}"#,
        "well-formed",
    );
    check_data(
        "ai_clipping.success",
        r#"{"id":"j","clips":[{"id":"c","new":1,"title":null},{}],"created_at":1790000000}"#,
        "well-formed",
    );
    check_data(
        "ai_clipping.success",
        r#"{"id":"j","clips":null,"created_at":"2026-07-01T00:00:00Z"}"#,
        "well-formed",
    );
}

#[test]
fn numbers_for_text_leave_as_numbers() {
    check_data(
        "avatar_video.success",
        r#"{"video_id":42,"callback_id":-1,"folder_id":0}"#,
        "well-formed",
    );
    check_data(
        "avatar_video.fail",
        r#"{"video_id":"v","msg":404}"#,
        "well-formed",
    );
    check_data(
        "avatar_video.fail",
        r#"{"video_id":"v","msg":1.50}"#,
        "well-formed",
    );
    check_data(
        "avatar_video.fail",
        r#"{"video_id":18446744073709551615,"msg":1e21}"#,
        "well-formed",
    );
    check_data(
        "ai_clipping.fail",
        r#"{"id":"j","progress":99.5,"source_duration":1e3}"#,
        "well-formed",
    );
    // Read and written without care for the last bit, this one would come back as another.
    check_data(
        "avatar_video.success",
        r#"{"video_id":"v","duration":12.466666666666666666666666666666}"#,
        "well-formed",
    );
    check_data(
        "avatar_video.fail",
        r#"{"video_id":18446744073709551616}"#,
        "malformed",
    );
    check_data("avatar_video.fail", r#"{"video_id":1.5}"#, "malformed");
}

#[test]
fn data_of_the_wrong_type_is_malformed_and_not_lost() {
    for data in [
        "[]",
        "null",
        r#""text""#,
        "7",
        "true",
        r#"[{"video_id":"v"}]"#,
    ] {
        check_data("avatar_video.success", data, "malformed");
        check_data("batch.finished", data, "malformed");
    }
    check_data("avatar_video.success", "{}", "malformed");
    check_data("avatar_video.success", r#"{"video_id":null}"#, "malformed");
    check_data("avatar_video.success", r#"{"video_id":["v"]}"#, "malformed");
    check_data(
        "avatar_video.success",
        r#"{"video_id":"v","url":["u"]}"#,
        "malformed",
    );
    check_data(
        "avatar_video.success",
        r#"{"video_id":"v","url":false}"#,
        "malformed",
    );
    check_data(
        "ai_clipping.success",
        r#"{"id":"j","clips":{}}"#,
        "malformed",
    );
    check_data(
        "ai_clipping.success",
        r#"{"id":"j","clips":[null]}"#,
        "malformed",
    );
    check_data(
        "ai_clipping.success",
        r#"{"id":"j","progress":"99"}"#,
        "malformed",
    );
    check(r#"{"event_type":"avatar_video.success"}"#, "malformed");
    check(r#"{"event_type":"batch.finished"}"#, "malformed");
}

#[test]
fn data_that_no_value_can_hold_is_not_lost() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for data in [
        r#"{"video_id":"v","msg":"\ud800"}"#,
        r#"{"video_id":"v","new":"\udc00\ud800"}"#,
        r#"{"video_id":"v","\ud800":1}"#,
        r#"{"video_id":"v","new":1e999}"#,
        &format!(r#"{{"video_id":"v","new":{}}}"#, deep(200)),
        &format!(r#"{{"video_id":"v","new":{}}}"#, deep(100_000)),
    ] {
        check_data("avatar_video.fail", data, "malformed");
        check_data("podcast.fail", data, "malformed");
    }
    // A field that is only deep is within reach of a `Value`.
    check_data(
        "avatar_video.fail",
        &format!(r#"{{"video_id":"v","new":{}}}"#, deep(100)),
        "well-formed",
    );
}

#[test]
fn top_level_that_no_value_can_hold_is_not_lost() {
    check(
        r#"{"event_type":"podcast.fail","event_data":{},"trace":1e999}"#,
        "unknown",
    );
    check(
        r#"{"event_type":"podcast.fail","event_data":{},"trace":"\ud800"}"#,
        "unknown",
    );

    // The key itself cannot be text, so it is seen as it was spelled.
    let event: Event = r#"{"\ud800":1,"event_type":"batch.finished","event_data":{}}"#
        .parse()
        .unwrap();
    assert_eq!(event.into_parts().extra.get(r#""\ud800""#), Some(&json!(1)));
}

#[test]
fn envelopes_with_more_in_them() {
    let record = r#"{"event_id":"evt_1","event_type":"batch.finished","event_data":{},"created_at":"2026-03-25T12:05:00Z","x":[1]}"#;
    check(record, "well-formed");
    let event: Event = record.parse().unwrap();
    assert_eq!(event.event_id().map(|id| id.as_str()), Some("evt_1"));
    assert_eq!(event.created_at(), Some("2026-03-25T12:05:00Z"));
    assert_eq!(event.into_parts().extra.keys().collect::<Vec<_>>(), ["x"]);

    for around in [
        r#""event_id":null,"created_at":null"#,
        r#""event_id":"","created_at":"""#,
        r#""event_id":{},"created_at":[]"#,
        r#""event_id":12,"created_at":1790000000.5"#,
        r#""event_id":1e999"#,
        r#""event":"other","callback_id":"c""#,
    ] {
        check(
            &format!(r#"{{"event_type":"batch.finished","event_data":{{}},{around}}}"#),
            "well-formed",
        );
    }
}

#[track_caller]
fn check_event_id(around: &str, id: Option<&str>) {
    let body = format!(r#"{{"event_type":"batch.finished","event_data":{{}}{around}}}"#);
    let event = Event::from_slice(body.as_bytes()).unwrap();
    assert_eq!(event.event_id().map(|id| id.as_str()), id, "{body}");
}

#[test]
fn event_ids() {
    check_event_id("", None);
    check_event_id(r#","event_id":null"#, None);
    check_event_id(r#","event_id":"""#, None);
    check_event_id(r#","event_id":["e"]"#, None);
    check_event_id(r#","event_id":"evt_1""#, Some("evt_1"));
    check_event_id(r#","event_id":"evt_\u0031""#, Some("evt_1"));
    check_event_id(r#","event_id":12"#, Some("12"));
    // More digits than any number type holds are still the digits that were sent.
    check_event_id(
        r#","event_id":123456789012345678901234567890"#,
        Some("123456789012345678901234567890"),
    );
    check_event_id(r#","event_id":"a","event_id":"b""#, Some("b"));
}

#[test]
fn digits_that_no_number_holds_are_written_back() {
    let body = r#"{"event_type":"batch.finished","event_id":18446744073709551616,"event_data":{},"created_at":1e-999}"#;
    let event: Event = body.parse().unwrap();
    assert_eq!(serde_json::to_string(&event).unwrap(), body);
}

#[test]
fn the_name_under_the_key_event() {
    check(
        r#"{"event":"avatar_video.success","event_data":{"video_id":"v"}}"#,
        "well-formed",
    );
    check(r#"{"event":"podcast.success","event_data":{}}"#, "unknown");
    check(
        r#"{"event":"avatar_video.success","event_type":null,"event_data":{"video_id":"v"}}"#,
        "well-formed",
    );
    let event: Event = r#"{"event":"a","event_type":"batch.finished","event_data":{}}"#
        .parse()
        .unwrap();
    assert_eq!(event.event_type(), EventType::BatchFinished);
}

#[track_caller]
fn check_last_wins(body: &str, video_id: &str, url: Option<&str>) {
    let event: Event = body.parse().unwrap();
    let Payload::AvatarVideoSuccess(AvatarVideoSuccess {
        video_id: id,
        url: link,
        ..
    }) = event.payload()
    else {
        panic!("{body}: {event:?}");
    };
    assert_eq!((id.as_str(), link.as_deref()), (video_id, url), "{body}");
    check(body, "well-formed");
}

#[test]
fn of_a_repeated_key_the_last_counts() {
    let name = r#""event_type":"avatar_video.success""#;
    check_last_wins(
        &format!(r#"{{"event_type":"x",{name},"event_data":{{"video_id":"v"}}}}"#),
        "v",
        None,
    );
    check_last_wins(
        &format!(r#"{{{name},"event_data":1,"event_data":{{"video_id":"v"}}}}"#),
        "v",
        None,
    );
    check_last_wins(
        &format!(r#"{{{name},"event_data":{{"video_id":"a","video_id":"b"}}}}"#),
        "b",
        None,
    );
    check_last_wins(
        &format!(r#"{{{name},"event_data":{{"video_id":[],"video_id":"b"}}}}"#),
        "b",
        None,
    );
    check_last_wins(
        &format!(r#"{{{name},"event_data":{{"video_id":1,"video_id":"b"}}}}"#),
        "b",
        None,
    );
    check_last_wins(
        &format!(r#"{{{name},"event_data":{{"video_id":"b","url":null,"url":"u"}}}}"#),
        "b",
        Some("u"),
    );
    check_last_wins(
        &format!(r#"{{{name},"event_data":{{"video_id":"b","url":"u","url":null}}}}"#),
        "b",
        None,
    );
}

#[test]
fn bodies_that_are_no_events() {
    for body in [
        "",
        " ",
        "{",
        "[1",
        "nul",
        r#"{"event_type":"x"}}"#,
        r#"{"event_type":"x",}"#,
        "<html>",
        r#"{"a":1 "b"}"#,
    ] {
        check_error(body.as_bytes(), ParseErrorKind::Syntax);
    }
    check_error(b"{\"event_type\":\"x\xff\"}", ParseErrorKind::Syntax);
    check_error(b"\xff\xfe{}", ParseErrorKind::Syntax);
    check_error("\u{feff}{}".as_bytes(), ParseErrorKind::Syntax);
    for body in [
        "[]",
        "null",
        "7",
        r#""text""#,
        "1e999",
        r#""\ud800""#,
        "{}",
        r#"{"event_type":null}"#,
        r#"{"event_type":7}"#,
        r#"{"event_type":"\ud800"}"#,
        r#"{"event":[]}"#,
    ] {
        check_error(body.as_bytes(), ParseErrorKind::Envelope);
    }
}

#[test]
fn data_is_seen_as_received() {
    let body = br#" { "event_type" : "batch.finished" , "event_data" : { "a" : [ 1 , 2.50 ] } } "#;
    let event = Event::from_slice(body).unwrap();
    let data: Box<RawValue> = event.data().unwrap();
    assert_eq!(data.get(), r#"{ "a" : [ 1 , 2.50 ] }"#);
    assert_eq!(event.event_name(), "batch.finished");
    let event: Event = r#"{"event_type":"x"}"#.parse().unwrap();
    assert_eq!(event.data::<Option<Value>>().unwrap(), None);
}

#[test]
fn escaped_names_and_keys_read() {
    let event: Event = r#"{"event\u005ftype":"avatar_video\u002esuccess","event_data":{"video\u005fid":"\u0076\"1"}}"#.parse().unwrap();
    assert_eq!(event.event_type(), EventType::AvatarVideoSuccess);
    assert_eq!(event.subject_id(), Some("v\"1"));
}

#[test]
fn what_was_changed_is_written_as_changed() {
    let event: Event = r#"{"event_type":"avatar_video.fail","event_id":"e","event_data":{"video_id":"v","msg":7,"callback_id":null},"top":1}"#.parse().unwrap();
    let mut parts = event.into_parts();
    let Payload::AvatarVideoFail(video) = &mut parts.payload else {
        panic!("{parts:?}")
    };
    video.msg = Some("no credit".into());
    video.callback_id = Some("c".into());
    for key in ["event_type", "event_id", "event_data"] {
        let twice = json!("must not come twice");
        parts.extra.insert(key.to_owned(), twice);
    }
    let event = Event::from(parts);
    let expected = json!({"event_type":"avatar_video.fail","event_id":"e","event_data":{"video_id":"v","msg":"no credit","callback_id":"c"},"top":1});
    assert_eq!(serde_json::to_value(&event).unwrap(), expected);
    for key in ["event_type", "event_id", "event_data", "msg"] {
        assert_eq!(
            event.json().matches(&format!("\"{key}\"")).count(),
            1,
            "{key}"
        );
    }
    let again = Event::from(event.clone().into_parts());
    assert_eq!(again, event);
}

#[test]
fn an_event_that_was_built_is_written_from_its_data() {
    let mut video = AvatarVideoFail::new("v");
    video.msg = Some("why".into());
    let expected =
        r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"v","msg":"why"}}"#;
    let event = Event::new(Payload::AvatarVideoFail(video));
    assert_eq!(serde_json::to_string(&event).unwrap(), expected);
    assert_eq!(event.failure_message(), Some("why"));

    assert_eq!(UnknownEvent::named("batch.finished", None), None);
    let podcast = UnknownEvent::named("podcast.success", json!({"id": 7})).unwrap();
    let event = Event::new(Payload::Unknown(podcast));
    assert_eq!(
        event.json(),
        r#"{"event_type":"podcast.success","event_data":{"id":7}}"#
    );
    let without = UnknownEvent::named("podcast.success", None).unwrap();
    assert_eq!(
        Event::new(Payload::Unknown(without)).json(),
        r#"{"event_type":"podcast.success"}"#
    );
    let malformed = Event::new(Payload::from_data("avatar_video.fail", &json!([1])));
    assert_eq!(
        malformed.json(),
        r#"{"event_type":"avatar_video.fail","event_data":[1]}"#
    );
    assert!(!malformed.is_well_formed());
}

#[test]
fn payloads_read_and_write_on_their_own() {
    let job: AiClipping = serde_json::from_value(json!({"id": 5, "clips": [{"id": "c"}]})).unwrap();
    assert_eq!(
        serde_json::to_value(&job).unwrap(),
        json!({"id": "5", "clips": [{"id": "c"}]})
    );
    let mut built = AiClipping::new("5");
    built.clips = job.clips.clone();
    assert_eq!(built, job, "equal by meaning, not by spelling");
    assert!(serde_json::from_value::<AiClipping>(Value::Null).is_err());
}
