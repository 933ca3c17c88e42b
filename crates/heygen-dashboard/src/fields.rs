//! The fields of an event, each with what is documented about it.

use heygen_events::text::visible;
use heygen_events::{EventType, schema};
use maud::{Markup, html};
use serde_json::{Map, Value};
use url::Url;

use crate::body::{Shown, is_link, with_links, without_query};
use crate::page;

/// A row for each field of the data, then for what stands beside it.
pub(crate) fn table(event_type: &EventType, body: &Value, shows_links: bool) -> Markup {
    let top = schema::for_event(event_type);
    let data = top["properties"]["event_data"]["$ref"].as_str();
    let data = data.and_then(|path| top.pointer(path.strip_prefix('#')?));
    let data = data.unwrap_or(&Value::Null);
    let is_documented = data["properties"].is_object();
    let row = |schema: &Value, name: &str, value: &Value| {
        let about = match schema["properties"][name]["description"].as_str() {
            Some(text) => html! { (text.replace('`', "")) },
            None if is_documented => html! { span.tag.warn { "not known to this version" } },
            None => {
                html! { span.hint { "HeyGen does not document the fields of this event" } }
            }
        };
        let name = html! { code { (visible(&with_links(name, shows_links))) } };
        vec![name, self::value(value, shows_links), about]
    };
    let empty = Map::new();
    let beside = body.as_object().unwrap_or(&empty);
    let fields = body["event_data"].as_object().unwrap_or(&empty);
    let is_beside = |name: &str| !["event_type", "event", "event_data"].contains(&name);
    let rows = fields.iter().map(|(name, value)| row(data, name, value));
    let beside = beside.iter().filter(|(name, _)| is_beside(name));
    let rows = rows.chain(beside.map(|(name, value)| row(&top, name, value)));
    let columns = [
        ("Field", "key"),
        ("Value", "value"),
        ("What it is", "about"),
    ];
    html! {
        (page::table("Fields", "cards fields", &columns, rows))
        @if fields.is_empty() {
            p.hint { "The event carries no data that could be shown as fields." }
        }
    }
}

/// A value: a text as itself, a link without its query, everything else as JSON.
fn value(value: &Value, shows_links: bool) -> Markup {
    match value {
        Value::String(text) if text.is_empty() => html! { span.hint { "(empty)" } },
        Value::String(text) if is_link(text) => link(text, shows_links),
        Value::String(text) => html! { (visible(&with_links(text, shows_links))) },
        Value::Null => html! { span.hint { "null" } },
        other => html! { code { (Shown::of(other.to_string().as_bytes(), shows_links).text) } },
    }
}

fn link(link: &str, shows_links: bool) -> Markup {
    match Url::parse(link) {
        // As a browser spells it, without what reorders or hides text.
        Ok(target) if shows_links => html! {
            a href=(target) rel="noreferrer noopener nofollow" referrerpolicy="no-referrer" target="_blank" { (visible(link)) }
        },
        _ => html! { (visible(&without_query(link))) },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_have_their_documentation_and_unknown_ones_say_so() {
        let body = json!({"event_type": "avatar_video.success", "event_id": "e", "event_data":
            {"video_id": "v", "url": "https://a.b/c?secret", "colour": {"u": "https://a.b/d?secret"},
            "https://a.b/f?secret": 1, "msg": "no file at https://a.b/e?secret of yours"},
            "https://a.b/g?secret": 1});
        let hidden = table(&EventType::AvatarVideoSuccess, &body, false).into_string();
        assert!(hidden.contains("The video."), "{hidden}");
        assert!(hidden.contains("a presigned link that expires"), "{hidden}");
        assert!(hidden.contains("HeyGen's id of the event"), "{hidden}");
        assert!(hidden.contains("not known to this version"), "{hidden}");
        assert!(!hidden.contains("secret"), "{hidden}");
        assert!(hidden.contains("https://a.b/f?…"), "{hidden}");
        let shown = table(&EventType::AvatarVideoSuccess, &body, true).into_string();
        assert!(shown.contains("https://a.b/c?secret"), "{shown}");
        assert!(shown.contains("https://a.b/f?secret"), "{shown}");
    }
}
