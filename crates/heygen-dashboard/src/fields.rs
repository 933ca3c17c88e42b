//! The fields of an event, each with what is documented about it.

use std::collections::BTreeMap;

use heygen_events::text::visible;
use heygen_events::{EventType, schema};
use maud::{Markup, html};
use serde_json::{Map, Value};
use url::Url;

use crate::body::{is_link, without_links, without_query};
use crate::page;

/// A row for each field of the data, then for what stands beside it.
pub(crate) fn table(event_type: &EventType, body: &Value, shows_links: bool) -> Markup {
    let documented = Documented::of(event_type);
    let empty = Map::new();
    let top = body.as_object().unwrap_or(&empty);
    let data = top
        .get("event_data")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let is_beside = |name: &str| !["event_type", "event", "event_data"].contains(&name);
    let beside = top.iter().filter(|(name, _)| is_beside(name));
    let about_data = |name: &str| documented.about(&documented.data, name);
    let about_top = |name: &str| documented.about(&documented.top, name);
    let data_rows = data
        .iter()
        .map(|(name, value)| (name, value, about_data(name)));
    let rows = data_rows.chain(beside.map(|(name, value)| (name, value, about_top(name))));
    let rows = rows.map(|(name, value, about)| {
        let about = match about {
            About::Documented(text) => html! { (text) },
            About::Untyped => {
                html! { span.hint { "HeyGen does not document the fields of this event" } }
            }
            About::Unknown => html! { span.tag.warn { "not known to this version" } },
        };
        vec![
            html! { code { (visible(name)) } },
            self::value(value, shows_links),
            about,
        ]
    });
    let columns = [
        ("Field", "key"),
        ("Value", "value"),
        ("What it is", "about"),
    ];
    html! {
        (page::table("Fields", "cards fields", &columns, rows))
        @if data.is_empty() {
            p.hint { "The event carries no data that could be shown as fields." }
        }
    }
}

/// A value: a text as itself, a link without its query, everything else as JSON.
fn value(value: &Value, shows_links: bool) -> Markup {
    match value {
        Value::String(text) if text.is_empty() => html! { span.hint { "(empty)" } },
        Value::String(text) if is_link(text) => link(text, shows_links),
        Value::String(text) if shows_links => html! { (visible(text)) },
        Value::String(text) => html! { (visible(&without_links(text))) },
        Value::Null => html! { span.hint { "null" } },
        other => {
            let shown = crate::body::Shown::of(other.to_string().as_bytes(), shows_links);
            html! { code { (shown.text) } }
        }
    }
}

fn link(link: &str, shows_links: bool) -> Markup {
    let (short, has_query) = without_query(link);
    // As a browser spells it, without what reorders or hides text.
    let target = Url::parse(link).ok().filter(|_| shows_links);
    html! {
        @if let Some(target) = target {
            a href=(target) rel="noreferrer noopener nofollow" referrerpolicy="no-referrer" target="_blank" { (visible(link)) }
        } @else {
            (visible(short)) @if has_query { span.hint { "?…" } }
        }
    }
}

#[derive(Clone, Copy)]
enum About<'a> {
    Documented(&'a str),
    Untyped,
    Unknown,
}

/// Descriptions of fields, by name.
struct Documented {
    data: BTreeMap<String, String>,
    top: BTreeMap<String, String>,
}

impl Documented {
    fn of(event_type: &EventType) -> Self {
        let schema = schema::for_event(event_type);
        let data = schema["properties"]["event_data"]["$ref"].as_str();
        let data = data.and_then(|path| path.strip_prefix("#/$defs/"));
        Self {
            data: data.map_or_else(BTreeMap::new, |name| descriptions(&schema["$defs"][name])),
            top: descriptions(&schema),
        }
    }

    fn about<'a>(&self, fields: &'a BTreeMap<String, String>, name: &str) -> About<'a> {
        match fields.get(name) {
            Some(text) => About::Documented(text),
            None if self.data.is_empty() => About::Untyped,
            None => About::Unknown,
        }
    }
}

fn descriptions(schema: &Value) -> BTreeMap<String, String> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let described = properties.filter_map(|(name, field)| {
        let text = field["description"].as_str()?;
        Some((name.clone(), text.replace('`', "")))
    });
    described.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_have_their_documentation_and_unknown_ones_say_so() {
        let body = json!({"event_type": "avatar_video.success", "event_id": "e", "event_data":
            {"video_id": "v", "url": "https://a.b/c?secret", "colour": {"u": "https://a.b/d?secret"},
            "msg": "no file at https://a.b/e?secret of yours"}});
        let hidden = table(&EventType::AvatarVideoSuccess, &body, false).into_string();
        assert!(hidden.contains("The video."), "{hidden}");
        assert!(hidden.contains("a presigned link that expires"), "{hidden}");
        assert!(hidden.contains("HeyGen's id of the event"), "{hidden}");
        assert!(hidden.contains("not known to this version"), "{hidden}");
        assert!(!hidden.contains("secret"), "{hidden}");
        let shown = table(&EventType::AvatarVideoSuccess, &body, true).into_string();
        assert!(shown.contains("https://a.b/c?secret"), "{shown}");
    }
}
