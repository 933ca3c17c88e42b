//! The schemas: sound, standing alone, and in agreement with the types.

use std::sync::LazyLock;

use heygen_events::{Event, EventType, schema};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Whether the types call it well-formed, and the schema of a body agrees.
#[track_caller]
fn check(body: Value, is_well_formed: bool) {
    static BODY: LazyLock<Validator> = LazyLock::new(|| validator(&schema::body()));
    let event = Event::from_value(&body);
    let found = event.as_ref().is_ok_and(Event::is_well_formed);
    assert_eq!(found, is_well_formed, "{body}");
    assert_eq!(BODY.is_valid(&body), is_well_formed, "{body} by its schema");
}

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).unwrap()
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
fn what_the_reader_tolerates_the_schema_of_a_body_does() {
    let data = |data: Value| json!({"event_type": "avatar_video.fail", "event_data": data});
    check(data(json!({"video_id": "v", "msg": 7})), true);
    check(data(json!({"video_id": "v", "msg": 1.5})), true);
    check(data(json!({"video_id": "v", "msg": true})), false);
    check(data(json!({"video_id": 1.0})), true);
    check(data(json!({"video_id": u64::MAX})), true);
    check(data(json!({"video_id": i64::MIN})), true);
    check(data(json!({"video_id": 1e300})), false);
    let id = json!({"video_id": "v"});
    let name = "avatar_video.fail";
    for other in [json!(null), json!(7), json!({})] {
        check(
            json!({"event_type": other, "event": name, "event_data": id}),
            true,
        );
        check(
            json!({"event_type": other, "event": name, "event_data": {}}),
            false,
        );
        check(json!({"event_type": other, "event_data": id}), false);
        check(
            json!({"event_type": name, "event_data": id, "event_id": other, "created_at": other}),
            true,
        );
    }
    check(json!([]), false);
    check(json!("avatar_video.fail"), false);
}

/// Any JSON, of the kinds and at the limits that types and schemas could see differently.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e18..1e18).prop_map(|number: f64| json!(number)),
        (-3_i32..3).prop_map(|number| json!(f64::from(number))),
        Just(json!("")),
        "[a-z]{1,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

/// A sample of each event, with a field or the data replaced or left out, and its name under a key.
fn changed() -> impl Strategy<Value = Value> {
    let names = EventType::KNOWN.iter().map(EventType::as_str);
    let names: Vec<&str> = names.chain(["podcast.success"]).collect();
    let any_name = prop::sample::select(names);
    let change = prop_oneof![Just(None), value().prop_map(Some)];
    let envelope = prop_oneof![
        3 => Just(None),
        1 => (prop::sample::select(vec!["event_type", "event", "event_id", "created_at"]), value())
            .prop_map(Some),
    ];
    let alias = prop::bool::weighted(0.2);
    let inputs = (
        any_name,
        any::<prop::sample::Index>(),
        change,
        envelope,
        alias,
    );
    inputs.prop_map(|(name, index, change, envelope, alias)| {
        let mut data = full_data(name);
        let fields: Vec<String> = data.as_object().unwrap().keys().cloned().collect();
        // One more than there are fields is the data as a whole.
        match (fields.get(index.index(fields.len() + 1)), change) {
            (Some(field), Some(value)) => data[field.as_str()] = value,
            (Some(field), None) => drop(data.as_object_mut().unwrap().remove(field)),
            (None, Some(value)) => data = value,
            (None, None) => {}
        }
        let key = if alias { "event" } else { "event_type" };
        let mut body = json!({ key: name, "event_data": data });
        if let Some((key, value)) = envelope {
            body[key] = value;
        }
        body
    })
}

/// Data with every field that the schema of the event names.
fn full_data(name: &str) -> Value {
    let schema = schema::for_event(&EventType::from(name));
    let reference = &schema["properties"]["event_data"]["$ref"];
    let definition = reference
        .as_str()
        .and_then(|path| schema.pointer(&path[1..]));
    let fields = definition.and_then(|data| data["properties"].as_object());
    let fields = fields.into_iter().flatten().map(|(name, field)| {
        let kinds = field["type"].to_string() + &field["anyOf"].to_string();
        let value = match kinds {
            kinds if kinds.contains("array") => json!([{}]),
            kinds if kinds.contains("number") => json!(1.5),
            _ => json!("text"),
        };
        (name.clone(), value)
    });
    fields.collect::<serde_json::Map<_, _>>().into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn types_and_schemas_agree_on_generated_bodies(body in changed()) {
        static ANY: LazyLock<Validator> = LazyLock::new(|| validator(&schema::any()));
        let event = Event::from_value(&body);
        // What the schemas for generating types accept is an event of its name.
        let is_known = event.as_ref().is_ok_and(|event| event.is_known() && event.is_well_formed());
        prop_assert!(is_known || !ANY.is_valid(&body));
        check(body, event.is_ok_and(|event| event.is_well_formed()));
    }
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
    assert_eq!(schema::names().count(), EventType::KNOWN.len() + 2);
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
        let path = schema["properties"]["event_data"]["$ref"].as_str().unwrap();
        let fields = schema.pointer(&path[1..]).unwrap()["properties"].as_object();
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
fn definitions_have_names_of_their_own() {
    for name in schema::names() {
        let schema = schema::named(name).unwrap();
        let definitions = schema["$defs"].as_object().unwrap();
        for (name, definition) in definitions {
            assert_eq!(definition["title"], *name);
            assert!(name.ends_with("Event") || name.ends_with("Data"), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        }
        let title = schema["title"].as_str().unwrap();
        assert!(!definitions.contains_key(title), "{title}");
        assert_eq!(schema["$id"], format!("urn:heygen-webhooks:schema:{title}"));
    }
    let name = schema::definition_name(&EventType::VideoTranslatePreflightDownloadFailed);
    assert_eq!(name, "VideoTranslatePreflightDownloadFailedEvent");
}

/// The union is what a type system tells apart: each event by its name, and no unknown among them.
#[test]
fn the_union_is_of_the_known_events() {
    let any = schema::any();
    let members = any["oneOf"].as_array().unwrap();
    assert_eq!(members.len(), EventType::KNOWN.len());
    for (member, event_type) in members.iter().zip(EventType::KNOWN) {
        let event = any.pointer(&member["$ref"].as_str().unwrap()[1..]).unwrap();
        assert_eq!(
            event["properties"]["event_type"]["const"],
            event_type.as_str()
        );
        assert_eq!(event["required"], json!(["event_type", "event_data"]));
    }
    let unknown = validator(&any["$defs"]["UnknownEvent"]);
    assert!(unknown.is_valid(&json!({"event_type": "podcast.success", "event_data": 7})));
}

#[test]
fn index_lists_the_events_with_their_schemas() {
    let index = schema::index();
    let any = schema::any();
    let events = index["events"].as_array().unwrap();
    assert_eq!(events.len(), EventType::KNOWN.len());
    for (event, event_type) in events.iter().zip(EventType::KNOWN) {
        assert_eq!(event["event_type"], event_type.as_str());
        let definition = event["definition"].as_str().unwrap();
        assert_eq!(
            any["$defs"][definition]["description"],
            event["description"]
        );
        assert_eq!(event["schema"], format!("events/{event_type}.json"));
    }
    assert_eq!(events[0]["outcome"], "success");
    assert_eq!(events[0]["media"], "video");
    assert_eq!(events[1]["media"], Value::Null);
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
    let mut body = schema::body();
    body["$defs"] = json!("…");
    body["allOf"].as_array_mut().unwrap().truncate(2);
    insta::assert_snapshot!("body", schema::text(&body));
    insta::assert_snapshot!(
        "unknown_name",
        schema::text(&schema::for_event(&EventType::from("podcast.success")))
    );
}
