//! The one-shape questions, on every kind of event.

use heygen_events::Event;
use serde_json::{Value, json};

/// Compares the answers to all questions with `answers`; what it does not name must be absent
/// (`outcome`: `other`).
#[track_caller]
fn check(name: &str, data: Value, answers: Value) {
    check_body(&json!({"event_type": name, "event_data": data}), &answers);
}

#[track_caller]
fn check_body(body: &Value, answers: &Value) {
    let event = Event::from_value(body).unwrap();
    let mut expected = json!({
        "outcome": "other", "subject_id": null, "callback_id": null, "callback_url": null, "media_url": null,
        "media_kind": null, "failure_message": null, "is_missing_media": false, "is_missing_reason": false,
    });
    for (question, answer) in answers.as_object().unwrap() {
        expected[question] = answer.clone();
    }
    let found = json!({
        "outcome": event.outcome(),
        "subject_id": event.subject_id(),
        "callback_id": event.callback_id(),
        "callback_url": event.callback_url(),
        "media_url": event.media_url(),
        "media_kind": event.media_kind(),
        "failure_message": event.failure_message(),
        "is_missing_media": event.is_missing_media(),
        "is_missing_reason": event.is_missing_reason(),
    });
    assert_eq!(found, expected, "{body}");
}

#[test]
fn videos() {
    check(
        "avatar_video.success",
        json!({"video_id": "v", "url": "https://h/v.mp4", "gif_download_url": "https://h/v.gif", "callback_id": "c", "callback_url": "https://me"}),
        json!({"outcome": "success", "subject_id": "v", "callback_id": "c", "callback_url": "https://me", "media_url": "https://h/v.mp4", "media_kind": "video"}),
    );
    check(
        "video_agent.success",
        json!({"session_id": "s", "video_id": "v", "url": "", "video_url": "https://h/v"}),
        json!({"outcome": "success", "subject_id": "v", "media_url": "https://h/v", "media_kind": "video"}),
    );
    check(
        "video_translate.success",
        json!({"video_translate_id": "t", "video_id": "v", "url": "https://h/t"}),
        json!({"outcome": "success", "subject_id": "t", "media_url": "https://h/t", "media_kind": "video"}),
    );
    check(
        "personalized_video",
        json!({"project_id": "p", "video_id": "v", "video_url": "https://h/v", "gif_url": "https://h/g"}),
        json!({"outcome": "success", "subject_id": "v", "media_url": "https://h/v", "media_kind": "video"}),
    );
    check(
        "personalized_video",
        json!({"video_id": "v", "video_url": null}),
        json!({"outcome": "success", "subject_id": "v", "media_kind": "video", "is_missing_media": true}),
    );
    check(
        "hyperframes_video.success",
        json!({"render_id": "r", "video_id": "v", "video_download_url": "https://h/v"}),
        json!({"outcome": "success", "subject_id": "r", "media_url": "https://h/v", "media_kind": "video"}),
    );
    check(
        "hyperframes_video.success",
        json!({"video_id": "v", "url": "u"}),
        json!({"outcome": "success", "subject_id": "v", "media_url": "u", "media_kind": "video"}),
    );
}

#[test]
fn previews_and_captions_are_never_the_video() {
    check(
        "avatar_video_gif.success",
        json!({"video_id": "v", "url": "https://h/v.mp4", "gif_download_url": "https://h/v.gif"}),
        json!({"outcome": "success", "subject_id": "v", "media_url": "https://h/v.gif", "media_kind": "gif"}),
    );
    check(
        "avatar_video_gif.success",
        json!({"video_id": "v", "url": "https://h/v.mp4", "gif_download_url": null}),
        json!({"outcome": "success", "subject_id": "v", "media_url": "https://h/v.mp4", "media_kind": "gif"}),
    );
    check(
        "avatar_video_caption.success",
        json!({"caption_url": "https://h/c.srt", "callback_id": "c"}),
        json!({"outcome": "success", "callback_id": "c", "media_url": "https://h/c.srt", "media_kind": "caption"}),
    );
    check(
        "avatar_video_caption.success",
        json!({"video_id": 7, "caption_url": "", "subtitle_url": "https://h/c.vtt"}),
        json!({"outcome": "success", "subject_id": "7", "media_url": "https://h/c.vtt", "media_kind": "caption"}),
    );
    check(
        "podcast_gif.success",
        json!({"video_url": "https://h/v.mp4", "gif_url": "https://h/g"}),
        json!({"outcome": "success", "media_url": "https://h/g", "media_kind": "gif"}),
    );
    check(
        "podcast.subtitle.success",
        json!({"url": "https://h/s.mp4"}),
        json!({"outcome": "success", "media_url": "https://h/s.mp4", "media_kind": "caption"}),
    );
}

#[test]
fn clips() {
    let clips = json!([
        {"id": "a", "status": "failed", "video_url": "https://h/a"},
        {"id": "b", "status": "completed", "video_url": ""},
        {"id": "c", "status": "completed", "video_url": "https://h/c"},
        {"id": "d", "status": "completed", "video_url": "https://h/d"},
    ]);
    let found = json!({"outcome": "success", "subject_id": "j", "media_url": "https://h/c", "media_kind": "video"});
    check(
        "ai_clipping.success",
        json!({"id": "j", "clips": clips}),
        found.clone(),
    );
    check(
        "ai_clipping.success",
        json!({"id": "j", "clips": clips, "progress": "malformed"}),
        found.clone(),
    );
    check(
        "ai_clipping.success",
        json!({"id": "j", "clips": [{"video_url": "https://h/c"}]}),
        found,
    );
    check(
        "ai_clipping.success",
        json!({"id": "j", "clips": [{"status": "pending", "video_url": "https://h/c"}]}),
        json!({"outcome": "success", "subject_id": "j", "media_kind": "video", "is_missing_media": true}),
    );
    check(
        "ai_clipping.fail",
        json!({"id": "j", "clips": clips, "failure_message": "why"}),
        json!({"outcome": "failure", "subject_id": "j", "failure_message": "why"}),
    );
}

#[test]
fn failures() {
    let expected = json!({"outcome": "failure", "subject_id": "v", "failure_message": "why"});
    for data in [
        json!({"video_id": "v", "msg": "why"}),
        json!({"video_id": "v", "msg": "", "message": "why"}),
        json!({"video_id": "v", "failure_message": "why", "error": "not this"}),
        json!({"video_id": "v", "error_message": "why"}),
        json!({"video_id": "v", "error": "why"}),
        json!({"video_id": "v", "error": {"code": 7, "message": "why"}}),
        json!({"video_id": "v", "msg": "why", "url": "https://h/v.mp4"}),
        json!({"video_id": "v", "msg": "why", "callback_id": ["does not fit"]}),
    ] {
        for name in [
            "avatar_video.fail",
            "video_agent.fail",
            "live_avatar.fail",
            "video_translate.preflight.download_failed",
            "podcast.fail",
        ] {
            check(name, data.clone(), expected.clone());
        }
    }
    check(
        "avatar_video.fail",
        json!({"video_id": "v", "msg": 404}),
        json!({"outcome": "failure", "subject_id": "v", "failure_message": "404"}),
    );
    check(
        "podcast.finished",
        json!({"message": "two items failed"}),
        json!({"failure_message": "two items failed"}),
    );
    check(
        "live_avatar.success",
        json!({"message": "done"}),
        json!({"outcome": "success"}),
    );
}

#[test]
fn what_is_missing_is_visible() {
    check(
        "avatar_video.success",
        json!({"video_id": "v", "url": null}),
        json!({"outcome": "success", "subject_id": "v", "media_kind": "video", "is_missing_media": true}),
    );
    check(
        "avatar_video.success",
        json!({"video_id": "v", "url": ""}),
        json!({"outcome": "success", "subject_id": "v", "media_kind": "video", "is_missing_media": true}),
    );
    check(
        "avatar_video_gif.success",
        json!({"video_id": "v"}),
        json!({"outcome": "success", "subject_id": "v", "media_kind": "gif", "is_missing_media": true}),
    );
    check(
        "avatar_video_caption.success",
        json!({}),
        json!({"outcome": "success", "media_kind": "caption", "is_missing_media": true}),
    );
    check(
        "avatar_video.success",
        json!([]),
        json!({"outcome": "success", "media_kind": "video", "is_missing_media": true}),
    );
    check(
        "instant_avatar.success",
        json!({}),
        json!({"outcome": "success"}),
    );
    check("podcast.success", json!({}), json!({"outcome": "success"}));
    check(
        "avatar_video.fail",
        json!({"video_id": "v", "msg": ""}),
        json!({"outcome": "failure", "subject_id": "v", "is_missing_reason": true}),
    );
    check(
        "avatar_video.fail",
        json!(null),
        json!({"outcome": "failure", "is_missing_reason": true}),
    );
    check(
        "podcast.upload_failed",
        json!({"error": {"code": 1}}),
        json!({"outcome": "failure", "is_missing_reason": true}),
    );
}

#[test]
fn events_without_a_type_of_their_own() {
    check(
        "batch.finished",
        json!({"id": "x", "batch_id": "b"}),
        json!({"subject_id": "b"}),
    );
    check(
        "proofread_creation.success",
        json!({"proofread_creation_id": 9}),
        json!({"outcome": "success", "subject_id": "9"}),
    );
    check(
        "live_avatar.success",
        json!({"session_id": "s", "url": "https://h/x"}),
        json!({"outcome": "success", "subject_id": "s", "media_url": "https://h/x"}),
    );
    check(
        "video_translate.preflight.validation_failed",
        json!({"video_translation_id": "t"}),
        json!({"outcome": "failure", "subject_id": "t", "is_missing_reason": true}),
    );
    check(
        "podcast.success",
        json!({"podcast_id": "p", "url": "https://h/p.MP4?sig=a.b/c"}),
        json!({"outcome": "success", "subject_id": "p", "media_url": "https://h/p.MP4?sig=a.b/c", "media_kind": "video"}),
    );
    check(
        "podcast.success",
        json!({"id": "p", "url": "https://h/p.mp3?as=v.mp4"}),
        json!({"outcome": "success", "subject_id": "p", "media_url": "https://h/p.mp3?as=v.mp4"}),
    );
    check(
        "podcast.success",
        json!({"video_url": "https://h/p"}),
        json!({"outcome": "success", "media_url": "https://h/p", "media_kind": "video"}),
    );
}

#[test]
fn ids_of_the_caller() {
    check(
        "batch.finished",
        json!({"callback_id": 12}),
        json!({"callback_id": "12"}),
    );
    check_body(
        &json!({"event_type": "video_agent.fail", "callback_id": "top", "callback_url": "https://top", "event_data": {"video_id": "v", "msg": "why", "callback_id": ""}}),
        &json!({"outcome": "failure", "subject_id": "v", "callback_id": "top", "callback_url": "https://top", "failure_message": "why"}),
    );
    check_body(
        &json!({"event_type": "batch.finished", "callback_id": "top", "event_data": {"callback_id": "inner"}}),
        &json!({"callback_id": "inner"}),
    );
    check_body(
        &json!({"event_type": "batch.finished", "callback_id": ""}),
        &json!({}),
    );
}

#[test]
fn data_beyond_any_value_still_answers() {
    let body = r#"{"event_type":"avatar_video.success","event_data":{"video_id":123456789012345678901234567890,
        "url":"https:\/\/h\/v.mp4","callback_id":"a","callback_id":"b","title":"\ud800","n":1e999}}"#;
    let event: Event = body.parse().unwrap();
    assert!(!event.is_well_formed());
    assert_eq!(event.subject_id(), Some("123456789012345678901234567890"));
    assert_eq!(event.media_url(), Some("https://h/v.mp4"));
    assert_eq!(event.callback_id(), Some("b"));
}

#[track_caller]
fn check_unknown_fields(body: Value, names: &[&str]) {
    let event = Event::from_value(&body).unwrap();
    let found: Vec<_> = event.unknown_fields().keys().collect();
    assert_eq!(found, names, "{body}");
}

#[test]
fn fields_our_types_do_not_know() {
    check_unknown_fields(
        json!({"event_type": "avatar_video.fail", "event_data": {"video_id": "v"}, "event_id": null, "callback_id": "c"}),
        &[],
    );
    check_unknown_fields(
        json!({"event_type": "avatar_video.fail", "event_data": {"video_id": "v", "zeta": 1, "alpha": 2}, "mid": 3}),
        &["alpha", "mid", "zeta"],
    );
    check_unknown_fields(
        json!({"event_type": "ai_clipping.success", "event_data": {"id": "j", "x": 1, "clips": [{"y": 1}, {"y": 2, "id": "c"}]}}),
        &["clips[].y", "x"],
    );
    check_unknown_fields(
        json!({"event_type": "batch.finished", "event_data": {"anything": 1}, "top": 1}),
        &[],
    );
    check_unknown_fields(
        json!({"event_type": "podcast.success", "event_data": {"anything": 1}, "top": 1}),
        &[],
    );
    check_unknown_fields(
        json!({"event_type": "avatar_video.fail", "event_data": [1], "top": 1}),
        &[],
    );
}

#[test]
fn unknown_fields_have_their_values() {
    let body = r#"{"event_type":"ai_clipping.success","event_data":{"id":"j","x":{"a":[1.5]},"clips":[{"y":1},{"y":"b"}]},"top":"\ud800","deep":{"n":["\udc00"]}}"#;
    let event: Event = body.parse().unwrap();
    let expected = json!({"x": {"a": [1.5]}, "clips[].y": "b", "top": "\"\\ud800\"", "deep": {"n": ["\"\\udc00\""]}});
    assert_eq!(json!(event.unknown_fields()), expected);
}

/// Where the resource of a job is all that is documented, its event is asked for the same names,
/// after all others.
#[test]
fn ids_and_reasons_of_job_resources() {
    let success = |subject: &str| json!({"outcome": "success", "subject_id": subject});
    for name in ["avatar_id", "generation_id", "group_id", "proofread_id"] {
        for event in [
            "instant_avatar.success",
            "photo_avatar_train.success",
            "proofread_creation.success",
            "podcast.success",
        ] {
            check(event, json!({name: "a"}), success("a"));
            check(event, json!({name: 7}), success("7"));
            for earlier in [
                "video_id",
                "video_translate_id",
                "render_id",
                "session_id",
                "project_id",
                "id",
            ] {
                check(event, json!({name: "a", earlier: "e"}), success("e"));
            }
        }
    }
    check(
        "instant_avatar.success",
        json!({"group_id": "g", "generation_id": "n", "avatar_id": "a", "instant_avatar_id": "i"}),
        success("i"),
    );
    check(
        "instant_avatar.success",
        json!({"group_id": "g", "generation_id": "n", "avatar_id": "a", "avatar_group_id": "ag"}),
        success("a"),
    );
    // Data that does not fit its type is asked in the same way.
    check(
        "avatar_video.success",
        json!({"avatar_id": "a", "url": "u"}),
        json!({"outcome": "success", "subject_id": "a", "media_url": "u", "media_kind": "video"}),
    );

    let failure = |reason: &str| json!({"outcome": "failure", "failure_message": reason});
    for event in [
        "photo_avatar_train.fail",
        "podcast.fail",
        "avatar_video.fail",
    ] {
        check(event, json!({"error_msg": "why"}), failure("why"));
        check(
            event,
            json!({"error_msg": "why", "msg": "", "error": {"message": ""}}),
            failure("why"),
        );
        check(
            event,
            json!({"error_msg": "not this", "error": {"message": "why"}}),
            failure("why"),
        );
        for earlier in [
            "msg",
            "message",
            "failure_message",
            "error_message",
            "error",
        ] {
            check(
                event,
                json!({"error_msg": "not this", earlier: "why"}),
                failure("why"),
            );
        }
    }
    check(
        "photo_avatar_train.fail",
        json!({"status": "failed", "error_msg": null}),
        json!({"outcome": "failure", "is_missing_reason": true}),
    );
}
