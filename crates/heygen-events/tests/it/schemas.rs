//! The schemas: sound, standing alone, and as tolerant as the types.

use heygen_events::{Event, EventType, schema};
use serde_json::{Value, json};

/// Whether the types call it fitting, and both schemas agree.
#[track_caller]
fn check(body: Value, fits: bool) {
    let event = Event::from_value(&body).unwrap();
    assert_eq!(event.is_well_formed(), fits, "{body}");
    let own = jsonschema::validator_for(&schema::for_event(&event.event_type())).unwrap();
    let any = jsonschema::validator_for(&schema::any()).unwrap();
    assert_eq!(own.is_valid(&body), fits, "{body} by its own schema");
    assert_eq!(
        any.is_valid(&body),
        fits,
        "{body} by the schema of any event"
    );
}

#[test]
fn schemas_and_types_agree() {
    check(
        json!({"event_type": "avatar_video.fail", "event_data": {"video_id": "v"}}),
        true,
    );
    check(
        json!({"event_type": "avatar_video.fail", "event_data": {"video_id": 7, "msg": null, "new": [1]}, "new": 1}),
        true,
    );
    check(
        json!({"event_type": "avatar_video.fail", "event_data": {"video_id": null}}),
        false,
    );
    check(
        json!({"event_type": "avatar_video.fail", "event_data": {"video_id": 1.5}}),
        false,
    );
    check(
        json!({"event_type": "avatar_video.fail", "event_data": {}}),
        false,
    );
    check(
        json!({"event_type": "avatar_video.fail", "event_data": []}),
        false,
    );
    check(json!({"event_type": "avatar_video.fail"}), false);
    check(
        json!({"event_type": "avatar_video.fail", "event_data": {"video_id": "v", "msg": []}}),
        false,
    );
    check(
        json!({"event_type": "ai_clipping.success", "event_data": {"id": "j", "clips": [{"virality_score": 7}]}}),
        true,
    );
    check(
        json!({"event_type": "ai_clipping.success", "event_data": {"id": "j", "clips": null, "output_settings": 1}}),
        true,
    );
    check(
        json!({"event_type": "ai_clipping.success", "event_data": {"id": "j", "clips": [null]}}),
        false,
    );
    check(
        json!({"event_type": "personalized_video", "event_data": {"video_id": "v", "contact_info": [{}]}}),
        true,
    );
    check(
        json!({"event_type": "batch.finished", "event_data": {"anything": 1}}),
        true,
    );
    check(
        json!({"event_type": "batch.finished", "event_data": "text"}),
        false,
    );
    check(
        json!({"event": "avatar_video.fail", "event_data": {"video_id": "v"}}),
        true,
    );
    check(
        json!({"event": "avatar_video.fail", "event_data": {}}),
        false,
    );
    check(json!({"event": "podcast.fail"}), true);
    check(json!({"event_type": "podcast.fail", "event_data": 7}), true);
    check(
        json!({"event_type": "podcast.fail", "event": "avatar_video.fail"}),
        true,
    );
    check(
        json!({"event_type": "batch.finished", "event": "avatar_video.fail", "event_data": {}, "event_id": 7, "created_at": null}),
        true,
    );
}

#[test]
fn a_name_is_not_taken_for_another() {
    let body = json!({"event_type": "avatar_video.success", "event_data": {"video_id": "v"}});
    for event_type in EventType::KNOWN {
        let validator = jsonschema::validator_for(&schema::for_event(event_type)).unwrap();
        assert_eq!(
            validator.is_valid(&body),
            *event_type == EventType::AvatarVideoSuccess,
            "{event_type}"
        );
    }
}

#[test]
fn every_schema_is_sound_and_stands_alone() {
    for name in schema::names() {
        let schema = schema::named(name).unwrap();
        jsonschema::draft202012::meta::validate(&schema)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        check_references(&schema, &schema);
        let text = schema::text(&schema);
        assert!(text.ends_with("}\n"), "{name}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), schema);
    }
    assert_eq!(schema::names().count(), EventType::KNOWN.len() + 1);
    assert_eq!(schema::named("podcast.success"), None);
}

#[track_caller]
fn check_references(value: &Value, root: &Value) {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        let pointer = reference
            .strip_prefix('#')
            .unwrap_or_else(|| panic!("remote: {reference}"));
        assert!(root.pointer(pointer).is_some(), "dangling: {reference}");
    }
    match value {
        Value::Object(map) => map.values().for_each(|inner| check_references(inner, root)),
        Value::Array(items) => items.iter().for_each(|inner| check_references(inner, root)),
        _ => {}
    }
}

#[test]
fn descriptions_read_as_sentences() {
    for event_type in EventType::KNOWN {
        let schema = schema::for_event(event_type);
        let fields = schema["properties"]["event_data"]["properties"].as_object();
        for (name, field) in fields.into_iter().flatten() {
            let text = field["description"].as_str().unwrap();
            assert!(
                text.ends_with('.') && !text.contains("](") && !text.contains("  "),
                "{event_type} {name}: {text:?}"
            );
        }
    }
}

#[test]
fn snapshots() {
    insta::assert_snapshot!(
        "avatar_video.success",
        schema::text(&schema::for_event(&EventType::AvatarVideoSuccess))
    );
    insta::assert_snapshot!(
        "ai_clipping.success",
        schema::text(&schema::for_event(&EventType::AiClippingSuccess))
    );
    insta::assert_snapshot!(
        "batch.finished",
        schema::text(&schema::for_event(&EventType::BatchFinished))
    );
    insta::assert_snapshot!(
        "unknown_name",
        schema::text(&schema::for_event(&EventType::from("podcast.success")))
    );
}
