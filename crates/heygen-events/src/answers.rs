//! [`Answers`]: the fields that callers want, under one name for every event.
//!
//! HeyGen names the same field differently from event to event. Each answer has a list of names
//! that are tried in order on the fields of the data, typed or not. An empty string counts as
//! absent.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::document::{CREATED_AT, Document, EVENT, EVENT_DATA, EVENT_ID, EVENT_TYPE};
use crate::event_type::EventType;
use crate::node::Node;
use crate::outcome::{MediaKind, Outcome};
use crate::payload::{Clip, Payload, field_names};

/// The answers for one event; [`Event`](crate::Event) documents each.
#[derive(Clone, Default)]
pub(crate) struct Answers {
    pub(crate) subject_id: Option<String>,
    pub(crate) callback_id: Option<String>,
    pub(crate) callback_url: Option<String>,
    pub(crate) media_url: Option<String>,
    pub(crate) media_kind: Option<MediaKind>,
    pub(crate) failure_message: Option<String>,
    pub(crate) unknown_fields: BTreeMap<String, Value>,
}

impl Answers {
    pub(crate) fn of(document: &Document<'_>, payload: &Payload) -> Self {
        let event_type = payload.event_type();
        let outcome = event_type.outcome();
        let root = document.root();
        let data = root.get(EVENT_DATA).unwrap_or(&Node::Null);
        let link = link(&event_type, data).filter(|_| outcome != Outcome::Failure);
        let callback = |name: &str| first(data, &[name]).or_else(|| first(root, &[name]));
        Self {
            subject_id: subject_id(event_type.as_str(), data),
            callback_id: callback(CALLBACK_ID),
            callback_url: callback(CALLBACK_URL),
            media_kind: match event_type.media_kind() {
                None if !event_type.is_known() => link.as_ref().and_then(|(name, link)| {
                    let is_video = *name == VIDEO_URL || is_video_file(link);
                    is_video.then_some(MediaKind::Video)
                }),
                by_name => by_name,
            },
            media_url: match link {
                None if outcome == Outcome::Success => clip_link(data),
                link => link.map(|(_, link)| link),
            },
            failure_message: match outcome {
                Outcome::Success => None,
                Outcome::Failure | Outcome::Other => reason(data),
            },
            unknown_fields: unknown_fields(root, data, payload),
        }
    }
}

/// The first of `names` with a text that is not empty.
fn first(object: &Node<'_>, names: &[&str]) -> Option<String> {
    let texts = names.iter().filter_map(|name| object.get(name)?.text());
    texts.map(Into::into).find(|text: &String| !text.is_empty())
}

fn subject_id(name: &str, data: &Node<'_>) -> Option<String> {
    let subject = name.split('.').next().unwrap_or_default();
    let own: &[&str] = match subject {
        "video_translate" => &["video_translate_id", "video_translation_id"],
        "hyperframes_video" => &["render_id", "video_id"],
        "ai_clipping" => &["id"],
        _ => &[],
    };
    first(data, own)
        .or_else(|| first(data, &["video_id", "video_translate_id", "render_id"]))
        .or_else(|| {
            first(
                data,
                &[&format!("{subject}_id"), "session_id", "project_id", "id"],
            )
        })
        .or_else(|| {
            first(
                data,
                &["avatar_id", "generation_id", "group_id", "proofread_id"],
            )
        })
}

/// The link and the name of its field.
fn link(event_type: &EventType, data: &Node<'_>) -> Option<(&'static str, String)> {
    let names = match event_type.media_kind() {
        Some(MediaKind::Gif) => ["gif_download_url", "gif_url", "url"],
        Some(MediaKind::Caption) => ["caption_url", "subtitle_url", "url"],
        Some(MediaKind::Video) | None => ["url", VIDEO_URL, "video_download_url"],
    };
    let mut links = names.into_iter();
    links.find_map(|name| Some((name, first(data, &[name])?)))
}

/// The link of the first completed clip that has one; only a clipping job has clips. A clip without
/// a status is judged by its link alone.
fn clip_link(data: &Node<'_>) -> Option<String> {
    let Some(Node::List(clips)) = data.get("clips") else {
        return None;
    };
    clips.iter().find_map(|clip| {
        let status = first(clip, &["status"]);
        let is_usable = status.is_none_or(|status| status == "completed");
        first(clip, &["video_url"]).filter(|_| is_usable)
    })
}

fn reason(data: &Node<'_>) -> Option<String> {
    first(
        data,
        &[
            "msg",
            "message",
            "failure_message",
            "error_message",
            "error",
        ],
    )
    .or_else(|| first(data.get("error")?, &["message"]))
    .or_else(|| first(data, &["error_msg"]))
}

fn unknown_fields(root: &Node<'_>, data: &Node<'_>, payload: &Payload) -> BTreeMap<String, Value> {
    let mut unknown = BTreeMap::new();
    let Some(known) = payload.field_names() else {
        return unknown;
    };
    let mut note = |prefix: &str, object: &Node<'_>, known: &[&str]| {
        for (key, value) in object.fields() {
            if !known.contains(&&**key) {
                unknown.insert(format!("{prefix}{key}"), value.to_value());
            }
        }
    };
    note("", root, KNOWN_AT_TOP);
    note("", data, known);
    if let (Payload::AiClippingSuccess(_) | Payload::AiClippingFail(_), Some(Node::List(clips))) =
        (payload, data.get("clips"))
    {
        let known = field_names::<Clip>().unwrap_or_default();
        clips.iter().for_each(|clip| note("clips[].", clip, known));
    }
    unknown
}

/// Whether the path of a link has the extension of a video file; presigned links have a query after
/// it.
fn is_video_file(link: &str) -> bool {
    let path = link.split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["mp4", "mov", "webm", "m4v", "mkv", "avi"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(extension))
}

const CALLBACK_ID: &str = "callback_id";
const CALLBACK_URL: &str = "callback_url";
const VIDEO_URL: &str = "video_url";

/// The known fields of the top level, whatever their type.
const KNOWN_AT_TOP: &[&str] = &[
    EVENT_TYPE,
    EVENT,
    EVENT_DATA,
    EVENT_ID,
    CREATED_AT,
    CALLBACK_ID,
    CALLBACK_URL,
];
