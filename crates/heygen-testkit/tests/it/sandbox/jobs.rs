//! Jobs: started, followed, announced, and the files behind their links.

use std::time::Duration;

use heygen_testkit::sandbox::{Misbehaviour, Sandbox};
use http::StatusCode;
use serde_json::{Value, json};

use super::{Answered, Heygen, json_of, posts, register, registered, verifies};
use crate::server::Server;

/// Kinds of jobs: how one is started; where its id is in the answer, how it is followed (before the
/// id), where the first link is in that answer, the word for its end, its event, and the field with
/// the id in the event's data.
const CASES: &str = r#"
POST /v2/video/generate | {"video_inputs": [{}], "test": true}
/data/video_id | /v1/video_status.get?video_id= | /data/video_url | completed | avatar_video.success | video_id

POST /v2/template/t1/generate | {}
/data/video_id | /v1/video_status.get?video_id= | /data/video_url | completed | avatar_video.success | video_id

POST /v3/videos | {"type": "avatar"}
/data/video_id | /v3/videos/ | /data/video_url | completed | avatar_video.success | video_id

POST /v3/templates/t1 | {"variables": {}}
/data/id | /v3/videos/ | /data/video_url | completed | avatar_video.success | video_id

POST /v3/video-agents | {"prompt": "a film"}
/data/session_id | /v3/video-agents/ | /data/none | completed | video_agent.success | video_id

POST /v2/video_translate | {"video_url": "https://example.com/v.mp4", "output_language": "Spanish"}
/data/video_translate_id | /v2/video_translate/ | /data/url | success | video_translate.success | video_translate_id

POST /v3/video-translations | {"video": {"type": "url"}, "output_languages": ["Spanish"]}
/data/video_translation_ids/0 | /v3/video-translations/ | /data/video_url | completed | video_translate.success | video_translate_id

POST /v3/ai-clipping | {"video": {"type": "url"}}
/data/ai_clipping_id | /v3/ai-clipping/ | /data/clips/0/video_url | completed | ai_clipping.success | id

POST /v3/hyperframes/renders | {"project": {"type": "url"}}
/data/render_id | /v3/hyperframes/renders/ | /data/video_url | completed | hyperframes_video.success | render_id
"#;

const STATE: &str = "/data/status";

/// A row of [`CASES`].
pub(super) struct Case {
    pub(super) create: &'static str,
    pub(super) body: &'static str,
    pub(super) id: &'static str,
    pub(super) status: &'static str,
    link: &'static str,
    completed: &'static str,
    event_type: &'static str,
    subject: &'static str,
}

impl Case {
    /// The status of the answer that starts it.
    pub(super) fn started(&self) -> u16 {
        let is_late = self.create.ends_with("clipping") || self.create.ends_with("renders");
        if is_late { 202 } else { 200 }
    }
}

pub(super) fn cases() -> Vec<Case> {
    let rows = CASES.trim().split("\n\n").map(|row| {
        let mut columns = row.split(['|', '\n']).map(str::trim);
        let mut next = || columns.next().unwrap_or_else(|| panic!("{row}"));
        let case = Case {
            create: next(),
            body: next(),
            id: next(),
            status: next(),
            link: next(),
            completed: next(),
            event_type: next(),
            subject: next(),
        };
        assert_eq!(columns.next(), None, "{row}");
        case
    });
    rows.collect()
}

#[track_caller]
fn text(answered: &Answered, pointer: &str) -> String {
    let found = answered.body.pointer(pointer).and_then(Value::as_str);
    let found = found.unwrap_or_else(|| panic!("{pointer} in {}", answered.body));
    found.to_owned()
}

/// Starts a job, and gives its id.
async fn start(heygen: &Heygen, case: &Case, more: Value) -> String {
    let mut body: Value = serde_json::from_str(case.body).unwrap();
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    let started = heygen.call(case.create, body).await;
    assert_eq!(
        started.status,
        case.started(),
        "{}: {}",
        case.create,
        started.body
    );
    text(&started, case.id)
}

async fn status(heygen: &Heygen, case: &Case, id: &str) -> Answered {
    let status = heygen.get(&format!("{}{id}", case.status)).await;
    assert_eq!(status.status, 200, "{}: {}", case.status, status.body);
    status
}

async fn fetch(heygen: &Heygen, link: &str) -> (StatusCode, String, Vec<u8>) {
    let response = heygen.client.get(link).send().await.unwrap();
    let content_type = &response.headers()["content-type"];
    let content_type = content_type.to_str().unwrap().to_owned();
    (
        response.status(),
        content_type,
        response.bytes().await.unwrap().to_vec(),
    )
}

fn quick() -> Misbehaviour {
    Misbehaviour::default().job_time(Duration::ZERO)
}

#[tokio::test]
async fn every_job_is_announced_by_its_event_and_its_status() {
    for case in cases() {
        let (heygen, server, secret) = registered(&[200]).await;
        let callbacks = Server::with_statuses(&[200]).await;
        heygen.misbehave(quick());
        let cb = json!({"callback_id": "order-1", "callback_url": callbacks.url});
        let id = start(&heygen, &case, cb).await;
        heygen.settled().await;

        let shown = status(&heygen, &case, &id).await;
        assert_eq!(text(&shown, STATE), case.completed, "{}", case.create);
        let posts = posts(&server);
        assert_eq!(posts.len(), 1, "{}", case.create);
        assert!(verifies(&posts[0], &secret));
        let event = json_of(&posts[0]);
        assert_eq!(event["event_type"], case.event_type);
        assert_eq!(event["event_data"]["callback_id"], "order-1");
        let subject = match shown.body.pointer("/data/video_id") {
            Some(video_id) => video_id.as_str().unwrap(),
            None => &id,
        };
        assert_eq!(
            event["event_data"][case.subject], subject,
            "{}",
            case.create
        );
        // The callback has the same event, unsigned.
        let callback = &callbacks.seen()[0];
        assert!(!callback.headers.contains_key("signature"));
        assert_eq!(json_of(callback)["event_data"][case.subject], subject);

        if case.link == "/data/none" {
            continue;
        }
        let (fetched, content_type, bytes) = fetch(&heygen, &text(&shown, case.link)).await;
        assert_eq!(
            (fetched, content_type.as_str()),
            (StatusCode::OK, "video/mp4")
        );
        assert_eq!(&bytes[4..8], b"ftyp");
    }
}

#[tokio::test]
async fn unfinished_job_has_no_link_and_no_event() {
    let heygen = Heygen::start().await;
    heygen.misbehave(Misbehaviour::default().job_time(Duration::from_secs(3600)));
    for case in cases() {
        let id = start(&heygen, &case, json!({})).await;
        let shown = status(&heygen, &case, &id).await;
        let word = text(&shown, STATE);
        assert!(
            ["pending", "thinking", "queued"].contains(&word.as_str()),
            "{word}"
        );
        let link = shown.body.pointer(case.link);
        assert!(link.is_none_or(Value::is_null), "{}", shown.body);
    }
    let waited = heygen.get("/sandbox/settled?timeout=0").await;
    assert_eq!(waited.status, 408);
    let message = text(&waited, "/error/message");
    assert!(message.contains("9 of 9 jobs have not ended"), "{message}");
    assert_eq!(heygen.get("/sandbox/state").await.body["data"]["jobs"], 9);
}

#[tokio::test]
async fn poller_sees_a_job_go_on() {
    let heygen = Heygen::start().await;
    heygen.misbehave(Misbehaviour::default().job_time(Duration::from_millis(50)));
    let case = &cases()[2];
    let id = start(&heygen, case, json!({})).await;
    let mut words = Vec::new();
    while words.last().is_none_or(|word| word != "completed") {
        let word = text(&status(&heygen, case, &id).await, STATE);
        if words.last() != Some(&word) {
            words.push(word);
        }
    }
    let all = ["pending", "processing", "completed"];
    let mut expected = all
        .iter()
        .filter(|word| words.iter().any(|seen| seen == *word));
    assert!(
        words
            .iter()
            .all(|word| expected.next() == Some(&word.as_str())),
        "{words:?}"
    );
}

#[tokio::test]
async fn failure_is_shown_and_announced() {
    for case in cases() {
        let (heygen, server, _) = registered(&[200]).await;
        heygen.misbehave(quick().fail_jobs("no credit").fail_code("CREDIT"));
        let id = start(&heygen, &case, json!({})).await;
        heygen.settled().await;
        let shown = status(&heygen, &case, &id).await;
        assert_eq!(text(&shown, STATE), "failed", "{}", case.create);
        if case.link != "/data/none" {
            assert!(
                shown.body.to_string().contains("no credit"),
                "{}",
                shown.body
            );
        }
        for code in ["/data/error/code", "/data/failure_code"] {
            let code = shown.body.pointer(code);
            assert!(code.is_none_or(|code| code == "CREDIT"), "{}", shown.body);
        }
        let event = heygen_events::Event::from_slice(&posts(&server)[0].body).unwrap();
        assert_eq!(
            event.event_name(),
            case.event_type.replace("success", "fail")
        );
        assert_eq!(
            event.failure_message(),
            Some("no credit"),
            "{}",
            case.create
        );
        assert!(event.is_well_formed(), "{}", case.create);
    }
}

#[tokio::test]
async fn extras_come_back_when_they_were_asked_for() {
    let (heygen, server, _) = registered(&[200]).await;
    heygen.misbehave(quick());
    let case = &cases()[0];
    let plain = start(&heygen, case, json!({})).await;
    heygen.settled().await;
    let more =
        json!({"include_gif": true, "enable_sharing": true, "caption": true, "folder_id": "f1"});
    let full = start(&heygen, case, more).await;
    heygen.settled().await;
    let posts = posts(&server);
    let data = |index: usize| json_of(&posts[index])["event_data"].clone();
    for field in ["gif_download_url", "video_share_page_url", "folder_id"] {
        assert!(data(0)[field].is_null(), "{field}");
        assert!(data(1)[field].is_string(), "{field}");
    }
    let shown = status(&heygen, case, &plain).await.body;
    assert!(shown["data"]["gif_url"].is_null() && shown["data"]["caption_url"].is_null());
    let shown = status(&heygen, case, &full).await;
    for (field, content_type, magic) in [
        ("gif_url", "image/gif", &b"GIF89a"[..]),
        ("thumbnail_url", "image/jpeg", b"\xff\xd8\xff"),
        ("caption_url", "text/plain", b"[Script Info]"),
        ("video_url_caption", "video/mp4", b"\0\0\0"),
    ] {
        let link = text(&shown, &format!("/data/{field}"));
        let (_, found, bytes) = fetch(&heygen, &link).await;
        assert_eq!(found, content_type, "{field}");
        assert!(bytes.starts_with(magic), "{field}");
    }
    let case = &cases()[6];
    let id = start(&heygen, case, json!({"enable_caption": true})).await;
    heygen.settled().await;
    let shown = status(&heygen, case, &id).await;
    let srt = fetch(&heygen, &text(&shown, "/data/srt_caption_url")).await;
    assert!(srt.2.starts_with(b"1\n00:00:00,000 -->"));
    let vtt = fetch(&heygen, &text(&shown, "/data/vtt_caption_url")).await;
    assert!(vtt.2.starts_with(b"WEBVTT\n"));
}

#[tokio::test]
async fn links_expire_and_the_status_has_a_fresh_one() {
    let heygen = Heygen::start().await;
    heygen.misbehave(quick().link_life(Duration::ZERO));
    let case = &cases()[0];
    let id = start(&heygen, case, json!({})).await;
    heygen.settled().await;
    let link = text(&status(&heygen, case, &id).await, case.link);
    let (refused, content_type, body) = fetch(&heygen, &link).await;
    assert_eq!(
        (refused, content_type.as_str()),
        (StatusCode::FORBIDDEN, "text/xml")
    );
    assert!(
        String::from_utf8(body)
            .unwrap()
            .contains("<Code>AccessDenied</Code>")
    );
    heygen.misbehave(quick());
    let link = text(&status(&heygen, case, &id).await, case.link);
    let (fetched, _, whole) = fetch(&heygen, &link).await;
    assert_eq!(fetched, StatusCode::OK);

    let rest = heygen.client.get(&link).header("range", "bytes=100-");
    let rest = rest.send().await.unwrap();
    assert_eq!(rest.status(), StatusCode::PARTIAL_CONTENT);
    let expected = format!("bytes 100-{}/{}", whole.len() - 1, whole.len());
    assert_eq!(rest.headers()["content-range"], expected.as_str());
    assert_eq!(rest.bytes().await.unwrap(), whole[100..]);
}

#[tokio::test]
async fn links_of_samples_lead_to_the_sandbox() {
    let (heygen, server, _) = registered(&[200]).await;
    for data in [json!({}), json!({"url": "https://example.com/mine.mp4"})] {
        let event = json!({"event_type": "avatar_video.success", "data": data});
        heygen.call("POST /sandbox/events", event).await;
    }
    heygen.settled().await;
    let posts = posts(&server);
    let urls: Vec<_> = posts
        .iter()
        .map(|post| {
            json_of(post)["event_data"]["url"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let mine = urls
        .iter()
        .position(|url| url == "https://example.com/mine.mp4");
    let theirs = 1 - mine.expect("a field that was set stays");
    assert_eq!(fetch(&heygen, &urls[theirs]).await.0, StatusCode::OK);
    let video_id = json_of(&posts[theirs])["event_data"]["video_id"].clone();
    assert!(
        urls[theirs].contains(video_id.as_str().unwrap()),
        "{}",
        urls[theirs]
    );
}

#[tokio::test]
async fn links_begin_with_the_address_that_was_called() {
    let builder = Sandbox::builder().time_scale(0.0).host("heygen.test");
    let heygen = Heygen::with(builder).await;
    let (server, _) = register(&heygen, &[200]).await;
    heygen.misbehave(quick());
    let named = |operation: &str| heygen.request(operation).header("host", "heygen.test:80");
    for (operation, body) in [
        ("POST /v3/videos", r#"{"type":"avatar"}"#),
        (
            "POST /sandbox/events",
            r#"{"event_type":"avatar_video.success"}"#,
        ),
    ] {
        named(operation).body(body).send().await.unwrap();
        heygen.settled().await;
        let event = json_of(&posts(&server).pop().unwrap());
        let url = event["event_data"]["url"].as_str().unwrap();
        assert!(
            url.starts_with("http://heygen.test:80/sandbox/media/"),
            "{url}"
        );
    }
}

#[tokio::test]
async fn invalid_requests_are_rejected_as_each_version_does() {
    let heygen = Heygen::start().await;
    let v1 = |code: u32, message: &str| json!({"code": code, "message": message});
    let v2 = |code: &str, message: &str| json!({"data": null, "error": {"code": code, "message": message}});
    let v3 = |param: &str, message: &str| json!({"error": {"code": "invalid_parameter", "message": message, "param": param}});
    let none = |code: &str, message: &str| json!({"error": {"code": code, "message": message}});
    let (videos, extra) = ("POST /v3/videos", "Extra inputs are not permitted");
    for (operation, body, status, expected) in [
        (
            "POST /v2/video/generate",
            json!({}),
            400,
            v2(
                "invalid_parameter",
                "video_inputs is invalid: field required",
            ),
        ),
        (videos, json!({}), 400, v3("type", "type is required.")),
        (
            videos,
            json!({"type": "avatar", "test": true}),
            400,
            v3("test", extra),
        ),
        (
            videos,
            json!({"type": "cinematic_avatar", "callback_id": "a"}),
            400,
            v3("callback_id", extra),
        ),
        (
            videos,
            json!({"type": "film"}),
            400,
            v3(
                "type",
                "Input should be 'avatar', 'image', 'studio' or 'cinematic_avatar'",
            ),
        ),
        (
            videos,
            json!({"type": "avatar", "callback_url": "order-1"}),
            400,
            v3("callback_url", "callback_url must be an http or https URL."),
        ),
        (
            "POST /v3/video-agents",
            json!({"prompt": ""}),
            400,
            v3("prompt", "prompt must have 1 to 10,000 characters."),
        ),
        (
            "POST /v3/video-translations",
            json!({"video": {}, "output_languages": []}),
            400,
            v3("output_languages", "output_languages is empty."),
        ),
        (
            "GET /v1/video_status.get",
            Value::Null,
            400,
            v1(400, "Invlid parameters"),
        ),
        (
            "GET /v1/video_status.get?video_id=x",
            Value::Null,
            404,
            v1(40_104, "Video not found"),
        ),
        (
            "GET /v3/videos/x",
            Value::Null,
            404,
            none("video_not_found", "Video x not found"),
        ),
        (
            "GET /v3/hyperframes/renders/x",
            Value::Null,
            404,
            none("hyperframes_render_not_found", "Render x not found"),
        ),
        (
            "GET /v2/video_translate/x",
            Value::Null,
            404,
            v2("not_found", "Video translation x not found"),
        ),
    ] {
        let refused = heygen.call(operation, body).await;
        assert_eq!(refused.status, status, "{operation}: {}", refused.body);
        let mut found = refused.body;
        if let Some(error) = found.pointer_mut("/error").and_then(Value::as_object_mut) {
            error.remove("doc_url");
        }
        assert_eq!(found, expected, "{operation}");
    }
}

#[tokio::test]
async fn faults_and_idempotency_keys_apply_to_jobs() {
    let heygen = Heygen::with(Sandbox::builder()).await;
    let create = || {
        let request = heygen
            .request("POST /v3/videos")
            .header("idempotency-key", "k");
        super::answered(request.body(r#"{"type":"avatar"}"#))
    };
    let faults = json!({"api": [{"on": "POST /v3/videos", "status": 402}], "job_ms": 0});
    heygen.call("POST /sandbox/misbehave", faults).await;
    let refused = create().await;
    assert_eq!(text(&refused, "/error/code"), "insufficient_credit");
    let (first, second) = (create().await, create().await);
    assert_eq!(first.body, second.body);
    assert_eq!(first.body["data"]["status"], "waiting");
    assert_eq!(heygen.get("/sandbox/state").await.body["data"]["jobs"], 1);
}
