//! What a name tells: outcome and kind of media.

use heygen_events::{EventType, MediaKind, Outcome};

#[track_caller]
fn check(name: &str, outcome: &str, kind: Option<&str>) {
    let event_type = EventType::from(name);
    assert_eq!(event_type.outcome().as_str(), outcome, "{name}");
    assert_eq!(
        event_type.media_kind().map(MediaKind::as_str),
        kind,
        "{name}"
    );
}

#[test]
fn what_a_name_tells() {
    check("avatar_video.success", "success", Some("video"));
    check("avatar_video.fail", "failure", None);
    check("avatar_video_gif.success", "success", Some("gif"));
    check("avatar_video_gif.fail", "failure", None);
    check("avatar_video_caption.success", "success", Some("caption"));
    check("avatar_video_caption.fail", "failure", None);
    check("video_agent.success", "success", Some("video"));
    check("video_translate.success", "success", Some("video"));
    check(
        "video_translate.preflight.validation_failed",
        "failure",
        None,
    );
    check("video_translate.preflight.download_failed", "failure", None);
    check("personalized_video", "success", Some("video"));
    check("instant_avatar.success", "success", None);
    check("live_avatar.success", "success", None);
    check("hyperframes_video.success", "success", Some("video"));
    check("ai_clipping.success", "success", Some("video"));
    check("ai_clipping.fail", "failure", None);
    check("batch.finished", "other", None);
}

#[test]
fn what_an_unknown_name_tells() {
    check("podcast.success", "success", None);
    check("podcast.fail", "failure", None);
    check("podcast.upload_failed", "failure", None);
    check("podcast.failed", "failure", None);
    check("podcast.failure", "other", None);
    check("podcast.completed", "other", None);
    check("podcast_gif.success", "success", Some("gif"));
    check("podcast_gif.fail", "failure", None);
    check("video-subtitle.success", "success", Some("caption"));
    check("video.captions.success", "success", Some("caption"));
    check("gift_video.success", "success", None);
    check("success", "other", None);
    check("", "other", None);
}

#[test]
fn words_read_back_and_stand_in_maps() {
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Other] {
        assert_eq!(outcome.as_str().parse(), Ok(outcome));
        let json = serde_json::to_string(&outcome).unwrap();
        assert_eq!(json, format!("\"{outcome}\""));
        assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome);
    }
    for kind in [MediaKind::Video, MediaKind::Gif, MediaKind::Caption] {
        assert_eq!(kind.as_str().parse(), Ok(kind));
        let json = serde_json::to_string(&kind).unwrap();
        assert_eq!(serde_json::from_str::<MediaKind>(&json).unwrap(), kind);
    }
    let error = "fine".parse::<Outcome>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "not an outcome: success, failure or other"
    );
    assert!(Outcome::Success < Outcome::Failure && MediaKind::Video < MediaKind::Gif);
}
