//! What holds for every body, whoever wrote it: what makes two of them the same event. The fuzz target `event` holds the same.

use std::time::SystemTime;

use heygen_events::{Envelope, Event};
use heygen_inbox::{NewDelivery, Sameness, Source};
use serde_json::{Map, Value};

/// Panics when something does not hold.
pub(crate) fn hold(body: &[u8]) {
    let sameness = Sameness::of(body);
    let delivery = |source| {
        let body = body.to_vec().into();
        NewDelivery::new(SystemTime::UNIX_EPOCH, source, Vec::new(), body)
    };
    let signed = delivery(Source::Webhook);
    assert_eq!(&signed.body()[..], body);
    assert_eq!(*signed.sameness(), sameness);
    let unsigned = delivery(Source::Callback);
    assert!(!unsigned.sameness().is_same(&sameness), "worlds apart");

    let Ok(event) = Event::from_slice(body) else {
        assert_eq!(sameness.event_id(), None);
        let longer = [body, b" "].concat();
        assert!(!Sameness::of(&longer).is_same(&sameness) || is_event(&longer));
        return;
    };
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    if !std::str::from_utf8(body).is_ok_and(is_exact) {
        return;
    }
    let same = |text: &str| Sameness::of(text.as_bytes()).is_same(&sameness);
    assert!(
        same(&serde_json::to_string(&event).unwrap()),
        "written back"
    );
    assert!(
        same(&serde_json::to_string_pretty(&value).unwrap()),
        "white space"
    );
    assert!(same(&backwards(&value)), "the order of keys");
    let escaped = escaped(&value);
    assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), value);
    assert!(same(&escaped), "escapes");
    if sameness.event_id().is_none() {
        for other in others(&value) {
            assert!(!same(&other.to_string()), "{other}");
        }
    }
}

fn is_event(body: &[u8]) -> bool {
    Envelope::from_slice(body).is_ok()
}

/// Whether every number in it keeps its digits; one that does not makes the inbox compare the text as it came.
///
/// The text is looked through and not the value: what a repeated key hides is in the text alone.
fn is_exact(json: &str) -> bool {
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
    let outside: String = outside.collect();
    outside
        .split(|char: char| !(char.is_ascii_digit() || "+-.eE".contains(char)))
        .filter_map(|number| number.parse::<f64>().ok().map(|value| (number, value)))
        .all(|(number, value)| {
            let is_whole = number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
            is_whole || value.abs() <= 9_007_199_254_740_992.0
        })
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
