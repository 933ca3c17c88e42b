//! What holds for every body: when two of them are the same event. The fuzz target `event` checks
//! the same.

use std::time::SystemTime;

use heygen_events::Event;
use heygen_inbox::{DedupKey, NewDelivery, Source};
use serde_json::{Map, Value};

/// Panics when something does not hold.
pub(crate) fn hold(body: &[u8]) {
    let key = DedupKey::of(body);
    let delivery = |source| {
        let body = body.to_vec().into();
        NewDelivery::new(SystemTime::UNIX_EPOCH, source, Vec::new(), body)
    };
    let signed = delivery(Source::Webhook);
    assert_eq!(&signed.body()[..], body);
    assert_eq!(*signed.dedup_key(), key);
    assert!(signed.is_duplicate_of(&signed));
    for unsigned in [Source::Callback, Source::Import].map(delivery) {
        assert!(
            !signed.is_duplicate_of(&unsigned),
            "{:?}",
            unsigned.source()
        );
        assert!(!delivery(Source::Backfill).is_duplicate_of(&unsigned));
        assert!(unsigned.is_duplicate_of(&unsigned));
    }
    let same = |text: &str| DedupKey::of(text.as_bytes()).has_equal_body(&key);

    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        // Not JSON: every byte counts.
        for other in [[body, b" "].concat(), [b" ", body].concat()] {
            assert!(!DedupKey::of(&other).has_equal_body(&key));
        }
        return;
    };
    let text = std::str::from_utf8(body).unwrap();
    if has_repeated_keys(text, &value) {
        assert!(!same(&format!(" {text}")), "every byte counts");
        return;
    }
    if !is_exact(text) {
        return;
    }
    assert!(
        same(&serde_json::to_string_pretty(&value).unwrap()),
        "white space"
    );
    assert!(same(&backwards(&value)), "the order of keys");
    let escaped = escaped(&value);
    assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), value);
    assert!(same(&escaped), "escapes");
    for other in others(&value) {
        assert!(!same(&other.to_string()), "{other}");
    }
    if let Ok(event) = Event::from_slice(body) {
        let written = serde_json::to_string(&event).unwrap();
        let written = DedupKey::of(written.as_bytes());
        assert_eq!(
            written.has_equal_event(&key),
            value.get("event_data").is_some(),
            "written back"
        );
    }
}

/// Whether an object in it has a key twice: a reader that keeps the last then has fewer of them.
fn has_repeated_keys(json: &str, value: &Value) -> bool {
    fn count(value: &Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(count).sum(),
            Value::Object(fields) => fields.len() + fields.values().map(count).sum::<usize>(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }
    outside_strings(json).matches(':').count() > count(value)
}

/// Whether every number in it certainly keeps its digits; one that does not makes the inbox compare
/// the text as it came.
fn is_exact(json: &str) -> bool {
    outside_strings(json)
        .split(|char: char| !(char.is_ascii_digit() || "+-.eE".contains(char)))
        .filter_map(|number| number.parse::<f64>().ok().map(|value| (number, value)))
        .all(|(number, value)| {
            let is_whole = number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
            let digits = number.split(['e', 'E']).next().unwrap_or_default();
            let is_short = digits.chars().filter(char::is_ascii_digit).count() <= 15;
            let is_middling = value == 0.0 || (1e-300..9e15).contains(&value.abs());
            // A number that is read as zero may not be zero.
            let is_zero = value != 0.0 || digits.chars().all(|digit| "0.-".contains(digit));
            is_whole || (is_short && is_middling && is_zero)
        })
}

/// The text, with spaces instead of all strings.
fn outside_strings(json: &str) -> String {
    let mut is_string = false;
    let mut is_escaped = false;
    let outside = json.chars().map(|char| {
        let was_string = is_string;
        match char {
            '"' if !is_escaped => is_string = !is_string,
            _ => {}
        }
        is_escaped = is_string && char == '\\' && !is_escaped;
        if was_string { ' ' } else { char }
    });
    outside.collect()
}

/// The same JSON, each object from its last key to its first.
fn backwards(value: &Value) -> String {
    write(value, &|text| Value::from(text).to_string())
}

/// The same JSON, every character of every string as `\u....`.
fn escaped(value: &Value) -> String {
    write(value, &|text| {
        let units = text.encode_utf16();
        let escapes: String = units.map(|unit| format!("\\u{unit:04x}")).collect();
        format!("\"{escapes}\"")
    })
}

fn write(value: &Value, quote: &dyn Fn(&str) -> String) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| write(item, quote)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .rev()
                .map(|(key, value)| format!("{}:{}", quote(key), write(value, quote)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Bodies that differ from this one in their data, or in their name, and in one place alone.
fn others(body: &Value) -> Vec<Value> {
    let mut others = Vec::new();
    if !body.is_object() {
        return others;
    }
    let data = body.get("event_data").cloned().unwrap_or_default();
    let mut with = |data: Value| {
        let mut other = body.clone();
        other["event_data"] = data;
        others.push(other);
    };
    with(Value::from(vec![data.clone()]));
    if let Value::Object(fields) = &data {
        let mut more = fields.clone();
        more.insert("one more than any\u{0}".to_owned(), Value::Null);
        with(more.into());
        // The first few, for there may be thousands.
        for key in fields.keys().take(8) {
            let mut fewer = fields.clone();
            fewer.remove(key);
            with(fewer.into());
            let mut wrapped: Map<String, Value> = fields.clone();
            let inner = fields[key].clone();
            wrapped.insert(key.clone(), vec![inner].into());
            with(wrapped.into());
        }
    }
    let is_named_by_type = body["event_type"].is_string();
    let key = if is_named_by_type {
        "event_type"
    } else {
        "event"
    };
    let mut renamed = body.clone();
    renamed[key] = format!("{}x", body[key].as_str().unwrap_or_default()).into();
    others.push(renamed);
    others
}
