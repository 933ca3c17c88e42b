//! The texts of errors, read by a person when they change.

use std::error::Error;
use std::fmt::Write;

use heygen_events::{Event, ParseError};

#[test]
fn texts() {
    let mut report = String::new();
    for body in [
        "",
        "not JSON",
        r#"{"event_type":"avatar_video.fail""#,
        r#"{"event_type":"avatar_video.fail"} again"#,
        r#"["hush"]"#,
        r#""hush""#,
        r#"{"event_data":{"video_id":"hush"}}"#,
        r#"{"event_type":["hush"]}"#,
        r#"{"event_type":"avatar_video.fail"}"#,
        r#"{"event_type":"avatar_video.fail","event_data":"hush"}"#,
        r#"{"event_type":"avatar_video.fail","event_data":["hush"]}"#,
        r#"{"event_type":"avatar_video.fail","event_data":{"msg":"hush"}}"#,
        r#"{"event_type":"avatar_video.fail","event_data":{"video_id":null}}"#,
        r#"{"event_type":"avatar_video.fail","event_data":{"video_id":1.5}}"#,
        r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"hush","msg":["hush"]}}"#,
        r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"\ud800hush"}}"#,
        r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"hush","hush":1e999}}"#,
        r#"{"event_type":"ai_clipping.success","event_data":{"id":"hush","progress":"hush"}}"#,
        r#"{"event_type":"ai_clipping.success","event_data":{"id":"hush","clips":[{},"hush"]}}"#,
        r#"{"event_type":"ai_clipping.success","event_data":{"id":"hush","clips":[{},{"video_url":true}]}}"#,
        r#"{"event_type":"batch.finished","event_data":"hush"}"#,
        r#"{"event_type":"new\nline","event_data":{"n":1e999}}"#,
    ] {
        writeln!(report, "{body}\n  {}", shown(body.as_bytes())).unwrap();
    }
    writeln!(
        report,
        "bytes that are not UTF-8\n  {}",
        shown(b"{\"event_type\":\"\xff\"}")
    )
    .unwrap();
    insta::assert_snapshot!(report);
}

/// The error as `kind: text: cause`, after checking that no value of the body is in it.
#[track_caller]
fn shown(body: &[u8]) -> String {
    let error = match Event::from_slice(body) {
        Ok(event) => event.payload_error().cloned().unwrap(),
        Err(error) => error,
    };
    let cause = error.source().unwrap();
    let shown = format!("{:?}: {error}: {cause}", error.kind());
    assert!(
        !shown.contains("hush") && !format!("{error:?}").contains("hush"),
        "{shown}"
    );
    shown
}

#[test]
fn malformed_payload_names_its_event() {
    let event =
        Event::from_slice(br#"{"event_type":"podcast.success","event_data":1e999}"#).unwrap();
    let named = event
        .payload_error()
        .and_then(ParseError::event_type)
        .unwrap();
    assert_eq!(named.as_str(), "podcast.success");
}

#[test]
fn errors_cross_threads() {
    fn check<T: Error + Send + Sync + 'static>() {}
    check::<ParseError>();
}
