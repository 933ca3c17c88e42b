//! The bodies of a drill.

use bytes::Bytes;
use heygen_events::EventType;
use serde_json::{Value, json};

use crate::{builder::EventBuilder, fixtures, random};

/// The `callback_id` of the events of a drill.
pub const CALLBACK_ID: &str = "heygen-drill";

/// An event as HeyGen documents it.
pub(super) fn plain() -> Bytes {
    ours(EventBuilder::new(EventType::AvatarVideoSuccess)).body()
}

/// A failure as HeyGen documents it.
pub(super) fn failure() -> Bytes {
    ours(EventBuilder::new(EventType::AvatarVideoFail)).body()
}

/// White space, characters and escapes that JSON writers write differently, with white space
/// around.
pub(super) fn odd_white_space() -> Bytes {
    let body = ours(EventBuilder::new(EventType::AvatarVideoFail))
        .set("msg", "Größe <b> & 视频 / \u{1f3ac}")
        .spaced_body();
    [b"\n ", body.as_ref(), b" \r\n"].concat().into()
}

pub(super) fn unknown_event() -> Bytes {
    // A new id: the same body again would be a duplicate, which proves nothing about unknown
    // events.
    EventBuilder::new("heygen_drill.success")
        .set("id", format!("heygen-drill-{:016x}", random::number()))
        .set("callback_id", CALLBACK_ID)
        .body()
}

/// A success without its link, in each way in which HeyGen may omit it.
pub(super) fn missing_media() -> [(&'static str, Bytes); 3] {
    let builder = || ours(EventBuilder::new(EventType::AvatarVideoSuccess));
    [
        ("missing", builder().without("url").body()),
        ("null", builder().null("url").body()),
        ("empty", builder().set("url", "").body()),
    ]
}

/// It has a link: another check is about a missing one.
pub(super) fn null_fields() -> Bytes {
    [
        "gif_download_url",
        "video_page_url",
        "video_share_page_url",
        "folder_id",
        "callback_id",
    ]
    .into_iter()
    .fold(
        EventBuilder::new(EventType::AvatarVideoSuccess),
        EventBuilder::null,
    )
    .body()
}

pub(super) fn extra_fields() -> Bytes {
    ours(EventBuilder::from_fixture(
        &fixtures::AVATAR_VIDEO_SUCCESS_ODD_EXTRA_FIELDS,
    ))
    .body()
}

pub(super) fn number_ids() -> Bytes {
    EventBuilder::from_fixture(&fixtures::AVATAR_VIDEO_SUCCESS_ODD_NUMBER_IDS).body()
}

/// `event_data` that is no object.
pub(super) fn odd_data() -> [(&'static str, Bytes); 4] {
    let builder = || EventBuilder::new(EventType::AvatarVideoSuccess);
    [
        ("missing", builder().without_top("event_data").body()),
        ("null", builder().data(Value::Null).body()),
        ("an array", builder().data(json!([CALLBACK_ID])).body()),
        ("a text", builder().data(CALLBACK_ID).body()),
    ]
}

/// The name of the event where HeyGen's n8n node reads it.
pub(super) fn event_key() -> Bytes {
    ours(EventBuilder::from_fixture(
        &fixtures::AVATAR_VIDEO_SUCCESS_ODD_EVENT_KEY,
    ))
    .body()
}

/// Text and structure that parsers and databases stumble over.
pub(super) fn odd_text() -> [(&'static str, Bytes); 3] {
    [
        ("NUL characters", &fixtures::AVATAR_VIDEO_FAIL_ODD_NUL),
        (ESCAPES, &fixtures::AVATAR_VIDEO_FAIL_ODD_ESCAPES),
        ("deep nesting", &fixtures::AVATAR_VIDEO_SUCCESS_ODD_DEEP),
    ]
    .map(|(how, fixture)| (how, ours(EventBuilder::from_fixture(fixture)).body()))
}

/// A long value in a documented field.
pub(super) fn large() -> Bytes {
    ours(EventBuilder::new(EventType::AvatarVideoFail))
        .set("msg", "too long. ".repeat(LARGE_BYTES / 10))
        .body()
}

fn ours(builder: EventBuilder) -> EventBuilder {
    builder.set("callback_id", CALLBACK_ID)
}

/// The one of the [`odd_text`]s that languages write differently.
pub(super) const ESCAPES: &str = "escapes";

const LARGE_BYTES: usize = 200 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_with_new_ids_differ() {
        for body in [plain, odd_white_space, unknown_event, extra_fields, large] {
            assert_ne!(body(), body());
        }
    }
}
