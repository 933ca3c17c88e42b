//! Bodies and lines of exports meant to break something.

use heygen_inbox::DedupKey;
use proptest::prelude::*;
use serde_json::Value;

#[path = "../../../heygen-events/tests/it/bodies.rs"]
mod bodies;

use crate::invariants_of_dedup;

#[test]
fn named_bodies_hold() {
    for named in bodies::named() {
        invariants_of_dedup::hold(&named.body);
    }
}

#[test]
fn fixtures_hold() {
    let fixtures = bodies::fixtures();
    fixtures
        .iter()
        .for_each(|body| invariants_of_dedup::hold(body));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn generated_bodies_hold(body in bodies::generated()) {
        invariants_of_dedup::hold(&body);
    }

    /// Small values, of which many are equal and most are not.
    #[test]
    fn bodies_are_equal_when_their_data_is(one in small(), other in small()) {
        let key = |data: &Value| {
            let body = format!(r#"{{"event_type":"batch.finished","event_data":{data}}}"#);
            DedupKey::of(body.as_bytes())
        };
        prop_assert_eq!(key(&one).has_equal_body(&key(&other)), one == other);
        prop_assert_eq!(key(&one).has_equal_event(&key(&other)), one == other);
    }
}

fn small() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from),
        "[ab]?".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..2).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..2)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

#[cfg(all(feature = "transfer", feature = "sqlite"))]
mod import {
    use heygen_inbox::Imported;
    use proptest::sample::select;
    use serde_json::{Map, json};

    use super::*;
    use crate::invariants_of_import;

    /// A line can carry any body, and every byte of it is stored.
    #[test]
    fn named_bodies_come_in_whole() {
        for named in bodies::named() {
            let line = Value::Object(line(&named.body)).to_string();
            let imported =
                Imported::from_line(line.as_bytes(), std::time::SystemTime::now()).unwrap();
            assert_eq!(&imported.delivery.body()[..], named.body, "{}", named.name);
            invariants_of_import::hold(line.as_bytes());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn generated_lines_hold(
            body in bodies::generated(),
            changes in prop::collection::vec((select(KEYS), bodies::json()), 0..3),
        ) {
            let line = line(&body);
            let mut fields: Vec<String> = line
                .iter()
                .map(|(key, value)| format!("\"{key}\":{value}"))
                .collect();
            // What does not change a value repeats a key.
            fields.extend(changes.iter().map(|(key, value)| format!("\"{key}\":{value}")));
            invariants_of_import::hold(format!("{{{}}}", fields.join(",")).as_bytes());
            let replaced = changes.iter().fold(line, |mut line, (key, value)| {
                line.insert((*key).to_owned(), serde_json::from_str(value).unwrap_or_default());
                line
            });
            invariants_of_import::hold(Value::Object(replaced).to_string().as_bytes());
        }

        #[test]
        fn generated_pasts_are_kept(
            body in ".{0,20}",
            at in 0..2_000_000_000_000_000_i64,
            (attempts, number) in (0..5_u32, 0..6_u32),
            milliseconds in prop_oneof![0.0..1e15, select(&[0.0, -0.0, -1.0, 1e300][..])],
            words in (select(SOURCES), select(STATES), select(RESULTS)),
            count in prop_oneof![0..9_u64, any::<u64>()],
        ) {
            let time = jiff::Timestamp::from_microsecond(at).unwrap();
            let (source, state, result) = words;
            let line = json!({
                "received_at": time, "source": source, "state": state, "attempts": attempts,
                "headers": [["a", body.clone()]], "body": body,
                "redeliveries": {"count": count, "last_at": time, "last_headers": [["b", body]]},
                "attempt_list": [{
                    "number": number, "started_at": time, "milliseconds": milliseconds,
                    "result": result, "detail": body,
                }],
            });
            invariants_of_import::hold(line.to_string().as_bytes());
        }
    }

    fn line(body: &[u8]) -> Map<String, Value> {
        use base64::Engine as _;

        let (key, body) = match std::str::from_utf8(body) {
            Ok(text) => ("body", text.to_owned()),
            Err(_) => (
                "body_base64",
                base64::engine::general_purpose::STANDARD.encode(body),
            ),
        };
        let line = json!({
            "received_at": "2026-09-21T14:13:20.120003Z", "source": "webhook", "state": "acknowledged",
            "attempts": 0, "headers": [], key: body,
        });
        line.as_object().cloned().unwrap()
    }

    const KEYS: &[&str] = &[
        "received_at",
        "source",
        "state",
        "attempts",
        "headers",
        "body",
        "body_base64",
        "redeliveries",
        "attempt_list",
        "x",
    ];
    const SOURCES: &[&str] = &["webhook", "callback", "backfill", "import", "friend"];
    const STATES: &[&str] = &[
        "pending",
        "claimed",
        "acknowledged",
        "dead_lettered",
        "done",
        "dead",
        "lost",
    ];
    const RESULTS: &[&str] = &[
        "acknowledged",
        "retry",
        "dead_lettered",
        "interrupted",
        "done",
        "well",
    ];
}
