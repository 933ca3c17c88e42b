//! Answers as HeyGen's documentation shows them.

pub(crate) const V3_ENDPOINT: &str = r#"{"data":{"endpoint_id":"ep_abc123","url":"https://yourapp.com/webhooks/heygen",
 "events":["avatar_video.success","avatar_video.fail"],"status":"enabled",
 "created_at":"2026-03-25T12:00:00Z","secret":"whsec_k7x9m2..."}}"#;

pub(crate) const V3_LIST: &str = r#"{"data":[{"endpoint_id":"ep_abc123","url":"https://yourapp.com/webhooks/heygen",
 "events":null,"status":"enabled","created_at":"2026-03-25T12:00:00Z","secret":null}],"has_more":false,"next_token":null}"#;

pub(crate) const V3_DELETED: &str = r#"{"data":{}, "error":null}"#;

pub(crate) const V3_ROTATED: &str =
    r#"{"data":{"endpoint_id":"ep_abc123","secret":"whsec_k7x9m2..."}}"#;

pub(crate) const V3_EVENT_TYPES: &str = r#"{"data":[{"event_type":"avatar_video.success","description":"Fired when an avatar video completes successfully."}],"has_more":false,"next_token":null}"#;

pub(crate) const V3_EVENT: &str = r#"{"event_id":"evt_abc123","event_type":"avatar_video.success",
 "event_data":{"video_id":"vid_xyz789","url":"https://files.heygen.com/video/vid_xyz789.mp4",
  "gif_download_url":"https://resource.heygen.ai/video/vid_xyz789/gif.gif",
  "video_page_url":"https://app.heygen.com/videos/vid_xyz789",
  "video_share_page_url":"https://app.heygen.com/share/vid_xyz789",
  "folder_id":null,"callback_id":"..."},
 "created_at":"2026-03-25T12:05:00Z"}"#;

pub(crate) const V3_REFUSAL: &str = r#"{"error":{"code":"insufficient_credit","message":"...","doc_url":"https://developers.heygen.com/docs/error-codes#insufficient-credit"}}"#;

/// Its secret was masked by HeyGen.
pub(crate) const V1_LIST: &str = r#"{"code":100,"data":[{
  "url":"https://smee.io/TqIi123la44yuLyUV",
  "username":"05ebaf283a8541f0b8d56a14c8a4ce72",
  "events":null,
  "created_at":"2025-10-21T13:49:18",
  "entity_id":null,
  "endpoint_id":"bc107bc9f1d444ad9245t99858e236f0",
  "status":"enabled",
  "secret":"123ec_TS_YwqJ-HujAT0KvEMqxrg==" }],
 "msg":null,"message":null}"#;

pub(crate) const V1_DELETED: &str = r#"{"code":100,"data":null,"message":null,"msg":null}"#;

pub(crate) const V1_NAMES: &str = r#"{"code":100,"data":["avatar_video.success","avatar_video.fail","podcast.success"],"msg":null,"message":null}"#;

pub(crate) const V1_OPENAPI_ADDED: &str = r#"{"code": 100, "data": {"endpoint_id": "038fb5f9a62d48e5af08834d20404606", "username": "123456", "url": "https://helloworld.com", "status": "enabled", "events": null, "secret": "whsec_123456", "created_at": "2023-04-03T05:40:46.769845"}, "msg": null}"#;

/// To an update or a deletion, with status 404.
pub(crate) const V1_GONE: &str = r#"{"code":400131,"message":"Webhook endpoint not found"}"#;

/// To an addition or an update, with status 400.
pub(crate) const V1_INVALID_URL: &str =
    r#"{"code":400542,"message":"Url of this webhook endpoint is invalid"}"#;

/// One endpoint, as v1 returns it from its additions and updates: the element of the documented
/// list.
pub(crate) fn v1_endpoint() -> String {
    let mut list: serde_json::Value = serde_json::from_str(V1_LIST).unwrap();
    list["data"] = list["data"][0].take();
    list.to_string()
}

pub(crate) fn v3_events(records: &[&str]) -> String {
    format!(
        r#"{{"data":[{}],"has_more":false,"next_token":null}}"#,
        records.join(",")
    )
}

/// A page of endpoints whose ids are given, and what stands beside them.
pub(crate) fn v3_page(ids: &[&str], beside: &str) -> String {
    let items: Vec<_> = ids
        .iter()
        .map(|id| {
            format!(r#"{{"endpoint_id":"{id}","url":"https://e.example/{id}","status":"enabled","created_at":"2026-03-25T12:00:00Z"}}"#)
        })
        .collect();
    format!(r#"{{"data":[{}]{beside}}}"#, items.join(","))
}
