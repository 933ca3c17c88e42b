//! Ids on their own.

use std::collections::HashMap;

use heygen_events::id::{EventId, VideoId};

#[track_caller]
fn check(json: &str, text: Option<&str>) {
    let read = serde_json::from_str::<VideoId>(json).ok();
    assert_eq!(read.as_ref().map(VideoId::as_str), text, "{json}");
    if let Some(id) = read {
        let written = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<VideoId>(&written).unwrap(), id);
    }
}

#[test]
fn strings_and_integers_read() {
    check(
        r#""2541b1cb8c604ec09ae49f47ab36df90""#,
        Some("2541b1cb8c604ec09ae49f47ab36df90"),
    );
    check(r#""""#, Some(""));
    check(r#""42""#, Some("42"));
    check("42", Some("42"));
    check("-42", Some("-42"));
    check("18446744073709551615", Some("18446744073709551615"));
}

#[test]
fn anything_else_is_not_an_id() {
    check("null", None);
    check("1.5", None);
    check("18446744073709551616", None);
    check("true", None);
    check("[]", None);
    check("{}", None);
}

#[test]
fn equality_is_by_text() {
    let number: VideoId = serde_json::from_str("42").unwrap();
    assert_eq!(number, VideoId::from("42"));
    assert_eq!(number, "42");
    assert_eq!(number, "42".to_owned());
    assert_ne!(number, VideoId::from("042"));
    assert_eq!(number.to_string(), "42");
}

#[test]
fn ids_convert_to_and_from_text() {
    let id: EventId = "evt_1".parse().unwrap();
    assert_eq!(String::from(id.clone()), "evt_1");
    assert_eq!(EventId::from(7), "7");
    let by_id = HashMap::from([(id, 1)]);
    assert_eq!(by_id.get("evt_1"), Some(&1));
}

#[cfg(feature = "schema")]
#[test]
fn a_struct_with_an_id_has_a_schema() {
    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Mine {
        video: VideoId,
    }

    let schema = schemars::schema_for!(Mine);
    let video = &schema.as_value()["properties"]["video"];
    assert_eq!(*video, serde_json::json!({"type": ["string", "integer"]}));
}
