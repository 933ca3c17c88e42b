//! The fields of an event, each with what is documented about it.

use std::borrow::Cow;

use heygen_events::text::visible;
use heygen_events::{Document, EventType, schema};
use maud::{Markup, html};
use serde_json::Value;
use url::Url;

use crate::body::{Shown, is_link, with_links, without_query};
use crate::page;

/// A row for each field of the data, then for what stands beside it, in the order in which they were received.
pub(crate) fn table(event_type: &EventType, body: &str, shows_links: bool) -> Markup {
    let top = schema::for_event(event_type);
    let data = top["properties"]["event_data"]["$ref"].as_str();
    let data = data.and_then(|path| top.pointer(path.strip_prefix('#')?));
    let data = data.unwrap_or(&Value::Null);
    let is_documented = data["properties"].is_object();
    let row = |schema: &Value, (name, value): &(Cow<'_, str>, &str)| {
        let about = match schema["properties"][&**name]["description"].as_str() {
            Some(text) => html! { (text.replace('`', "")) },
            None if is_documented => html! { span.tag.warn { "not known to this version" } },
            None => {
                html! { span.hint { "HeyGen does not document the fields of this event" } }
            }
        };
        let name = html! { code { (visible(&with_links(name, shows_links))) } };
        vec![name, self::value(value, shows_links), about]
    };
    let mut beside = members(body);
    // The last of repeated ones counts.
    let event_data = beside.iter().rfind(|(name, _)| name == "event_data");
    let fields = event_data.map_or_else(Vec::new, |&(_, data)| members(data));
    beside.retain(|(name, _)| !["event_type", "event", "event_data"].contains(&&**name));
    let rows = fields.iter().map(|field| row(data, field));
    let rows = rows.chain(beside.iter().map(|field| row(&top, field)));
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

/// The members of an object, each value as it is written; none for anything else.
fn members(json: &str) -> Vec<(Cow<'_, str>, &str)> {
    let document = Document::from_slice(json.as_bytes());
    let members = document.map_or_else(|_| Vec::new(), |document| document.members());
    let members = members.into_iter();
    members.map(|(name, value)| (name, value.get())).collect()
}

/// A value: a text as itself, a link without its query, everything else as it is written.
fn value(json: &str, shows_links: bool) -> Markup {
    match serde_json::from_str::<String>(json) {
        Ok(text) if text.is_empty() => html! { span.hint { "(empty)" } },
        Ok(text) if is_link(&text) => link(&text, shows_links),
        Ok(text) => html! { (visible(&with_links(&text, shows_links))) },
        Err(_) if json == "null" => html! { span.hint { "null" } },
        Err(_) => html! { code { (Shown::of(json.as_bytes(), shows_links).text) } },
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
    use super::*;

    #[test]
    fn fields_have_their_documentation_and_unknown_ones_say_so() {
        let body = r#"{"event_type": "avatar_video.success", "event_id": "e", "event_data":
            {"video_id": "v", "url": "https://a.b/c?secret", "colour": {"u": "https://a.b/d?secret"},
            "https://a.b/f?secret": 12345678901234567890.50, "msg": "no file at https://a.b/e?secret of yours"},
            "https://a.b/g?secret": 1}"#;
        let hidden = table(&EventType::AvatarVideoSuccess, body, false).into_string();
        assert!(hidden.contains("The video."), "{hidden}");
        assert!(hidden.contains("a presigned link that expires"), "{hidden}");
        assert!(hidden.contains("HeyGen's id of the event"), "{hidden}");
        assert!(hidden.contains("not known to this version"), "{hidden}");
        assert!(!hidden.contains("secret"), "{hidden}");
        assert!(hidden.contains("https://a.b/f?…"), "{hidden}");
        assert!(hidden.contains("12345678901234567890.50"), "{hidden}");
        let in_order = [">video_id<", ">colour<", ">msg<", ">event_id<"];
        assert!(in_order.is_sorted_by_key(|name| hidden.find(name).unwrap()));
        let shown = table(&EventType::AvatarVideoSuccess, body, true).into_string();
        assert!(shown.contains("https://a.b/c?secret"), "{shown}");
        assert!(shown.contains("https://a.b/f?secret"), "{shown}");
    }
}
