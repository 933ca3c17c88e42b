//! When two deliveries are the same event, on every inbox: the rule, pair by pair, and longer stories.

use std::time::Duration;

use super::support::{all_ids, at, duplicate, new};
use crate::admin::InboxAdmin;
use crate::delivery::{Header, NewDelivery};
use crate::id::DeliveryId;
use crate::inbox::Appended;
use crate::source::Source;

const P: Source = Source::Webhook;
const R: Source = Source::Backfill;
const C: Source = Source::Callback;
const I: Source = Source::Import;

/// The first delivery, the second, how many minutes lie between them, and whether the second repeats the first. `@` stands for
/// a number of each pair's own.
type Pair = ((Source, &'static str), (Source, &'static str), u64, bool);

const JOB: &str = r#"{"event_type":"x@.success","event_data":{"video_id":"a","url":"u"}}"#;
const JOB_E1: &str =
    r#"{"event_id":"e1","event_type":"x@.success","event_data":{"video_id":"a","url":"u"}}"#;
const JOB_E2: &str =
    r#"{"event_id":"e2","event_type":"x@.success","event_data":{"video_id":"a","url":"u"}}"#;
const JOB_RECORD: &str = r#"{"event_id":"e1","event_type":"x@.success","event_data":{"url":"u","video_id":"a"},"created_at":"2026-11-27T00:00:00Z"}"#;
const JOB_EMPTY_ID: &str =
    r#"{"event_id":"","event_type":"x@.success","event_data":{"video_id":"a","url":"u"}}"#;
const JOB_AND_MORE: &str =
    r#"{"event_type":"x@.success","event_data":{"video_id":"a","url":"u"},"callback_id":"o1"}"#;
const WORDS: &str = r#"{"event_type":"x@.fail","event_data":{"reason":"quota"}}"#;
const WORDS_E1: &str =
    r#"{"event_id":"e1","event_type":"x@.fail","event_data":{"reason":"quota"}}"#;
const WORDS_RECORD: &str = r#"{"event_id":"e1","event_type":"x@.fail","event_data":{"reason":"quota"},"created_at":"2026-11-27T00:00:00Z"}"#;

const PAIRS: &[Pair] = &[
    // The same bytes, and the same JSON.
    ((P, JOB), (P, JOB), 0, true),
    (
        (P, JOB),
        (
            P,
            r#" { "event_data" : {"url":"\u0075", "video_id":"a"} , "event_type":"x@.success"}"#,
        ),
        0,
        true,
    ),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"a","n":1}}"#,
        ),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"a","n":1.0}}"#,
        ),
        0,
        true,
    ),
    (
        (P, r#"{"event_type":"x@.y","event_data":{"n":100}}"#),
        (P, r#"{"event_type":"x@.y","event_data":{"n":1e2}}"#),
        0,
        true,
    ),
    // Anything in the body that differs.
    ((P, JOB), (P, JOB_AND_MORE), 0, false),
    ((P, JOB_AND_MORE), (P, JOB), 0, false),
    ((P, JOB), (P, JOB_E1), 0, false),
    ((P, JOB_E1), (P, JOB_E1), 1000, true),
    ((P, JOB_E1), (P, JOB_E2), 0, false),
    ((P, JOB), (P, JOB_EMPTY_ID), 0, false),
    (
        (P, JOB),
        (
            P,
            r#"{"event_type":"x@.success","event_data":{"video_id":"a","url":"v"}}"#,
        ),
        0,
        false,
    ),
    (
        (P, JOB),
        (
            P,
            r#"{"event":"x@.success","event_data":{"video_id":"a","url":"u"}}"#,
        ),
        0,
        false,
    ),
    (
        (P, JOB),
        (
            P,
            r#"{"event_type":"x@.fail","event_data":{"video_id":"a","url":"u"}}"#,
        ),
        0,
        false,
    ),
    (
        (P, r#"{"event_type":"x@.y","event_data":{"a":[1,2]}}"#),
        (P, r#"{"event_type":"x@.y","event_data":{"a":[2,1]}}"#),
        0,
        false,
    ),
    (
        (P, r#"{"event_type":"x@.y","event_data":{"a":"1"}}"#),
        (P, r#"{"event_type":"x@.y","event_data":{"a":1}}"#),
        0,
        false,
    ),
    (
        (P, r#"{"event_type":"x@.y","event_data":{"a":null}}"#),
        (P, r#"{"event_type":"x@.y","event_data":{}}"#),
        0,
        false,
    ),
    // What another reader may take for something else is compared byte for byte.
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"a","video_id":"b"}}"#,
        ),
        (P, r#"{"event_type":"x@.y","event_data":{"video_id":"b"}}"#),
        0,
        false,
    ),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"a","video_id":"b"}}"#,
        ),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"c","video_id":"b"}}"#,
        ),
        0,
        false,
    ),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"a","video_id":"b"}}"#,
        ),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"a","video_id":"b"}}"#,
        ),
        0,
        true,
    ),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"l":[{"k":1,"k":1}]}}"#,
        ),
        (P, r#"{"event_type":"x@.y","event_data":{"l":[{"k":1}]}}"#),
        0,
        false,
    ),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_type":"x@.y","event_data":{"video_id":"a"}}"#,
        ),
        (P, r#"{"event_type":"x@.y","event_data":{"video_id":"a"}}"#),
        0,
        false,
    ),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"a","t":"\ud800"}}"#,
        ),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"a","t":"\ud801"}}"#,
        ),
        0,
        false,
    ),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"a","t":"\ud800"}}"#,
        ),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"t":"\ud800","video_id":"a"}}"#,
        ),
        0,
        false,
    ),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"a","t":"\ud800"}}"#,
        ),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"a","t":"\ud800"}}"#,
        ),
        600,
        true,
    ),
    (
        (P, r#"{"event_type":"x@.y","event_data":{"n":0.1}}"#),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"n":0.1000000000000000055511151231257827}}"#,
        ),
        0,
        false,
    ),
    (
        (P, r#"{"event_type":"x@.y","event_data":{"n":1}}"#),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"n":1.0000000000000000001}}"#,
        ),
        0,
        false,
    ),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"n":123456789012345678901234567890}}"#,
        ),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"n":123456789012345678901234567891}}"#,
        ),
        0,
        false,
    ),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"n":9007199254740992}}"#,
        ),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"n":9007199254740993}}"#,
        ),
        0,
        false,
    ),
    (
        (P, r#"{"event_type":"x@.y","event_data":{"n":1e400}}"#),
        (P, r#"{"event_type":"x@.y","event_data":{"n":2e400}}"#),
        0,
        false,
    ),
    ((P, "not json @"), (P, "not json @"), 59, true),
    ((P, "not json @"), (P, "not json @ "), 0, false),
    ((P, "\u{feff}{\"@\":1}"), (P, "{\"@\":1}"), 0, false),
    ((P, "[\"@\",1]"), (P, "[\"@\", 1.0]"), 0, true),
    // Nothing but equal ids.
    (
        (
            P,
            r#"{"event_id":0,"event_type":"x@.success","event_data":{"video_id":"a"}}"#,
        ),
        (
            P,
            r#"{"event_id":0,"event_type":"x@.fail","event_data":{"video_id":"b"}}"#,
        ),
        0,
        false,
    ),
    (
        (
            P,
            r#"{"event_id":"job-7","event_type":"x@.success","event_data":{"video_id":"a"}}"#,
        ),
        (
            P,
            r#"{"event_id":"job-7","event_type":"x@_gif.success","event_data":{"video_id":"a"}}"#,
        ),
        0,
        false,
    ),
    // Without a job: for an hour.
    ((P, WORDS), (P, WORDS), 59, true),
    ((P, WORDS), (P, WORDS), 60, true),
    ((P, WORDS), (P, WORDS), 61, false),
    ((P, WORDS_E1), (P, WORDS_E1), 61, false),
    ((P, "not json @"), (P, "not json @"), 61, false),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"session_id":"s","callback_id":"c","group_id":"g","avatar_id":"a"}}"#,
        ),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"session_id":"s","callback_id":"c","group_id":"g","avatar_id":"a"}}"#,
        ),
        61,
        false,
    ),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":" ","render_id":null,"batch_id":["b"]}}"#,
        ),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":" ","render_id":null,"batch_id":["b"]}}"#,
        ),
        61,
        false,
    ),
    (
        (P, r#"{"event_type":"x@.y","video_id":"flat"}"#),
        (P, r#"{"event_type":"x@.y","video_id":"flat"}"#),
        61,
        false,
    ),
    // With one: for ever.
    ((P, JOB), (P, JOB), 61, true),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_translate_id":"t"}}"#,
        ),
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_translate_id":"t"}}"#,
        ),
        10_000,
        true,
    ),
    (
        (P, r#"{"event_type":"x@.y","event_data":{"render_id":7}}"#),
        (P, r#"{"event_type":"x@.y","event_data":{"render_id":7}}"#),
        10_000,
        true,
    ),
    (
        (P, r#"{"event_type":"x@.y","event_data":{"batch_id":"b"}}"#),
        (P, r#"{"event_type":"x@.y","event_data":{"batch_id":"b"}}"#),
        10_000,
        true,
    ),
    (
        (
            P,
            r#"{"event_type":"ai_clipping.success","event_data":{"id":"c@"}}"#,
        ),
        (
            P,
            r#"{"event_type":"ai_clipping.success","event_data":{"id":"c@"}}"#,
        ),
        10_000,
        true,
    ),
    (
        (P, r#"{"event_type":"x@.y","event_data":{"id":"c"}}"#),
        (P, r#"{"event_type":"x@.y","event_data":{"id":"c"}}"#),
        61,
        false,
    ),
    // A POST, then a record of the log.
    ((P, JOB), (R, JOB_RECORD), 9000, true),
    ((P, JOB_AND_MORE), (R, JOB_RECORD), 0, true),
    ((P, JOB_E1), (R, JOB_RECORD), 0, true),
    ((P, JOB_E2), (R, JOB_RECORD), 0, false),
    ((P, JOB_EMPTY_ID), (R, JOB_RECORD), 0, true),
    ((P, WORDS), (R, WORDS_RECORD), 9000, true),
    (
        (P, JOB),
        (
            R,
            r#"{"event_id":"e1","event_type":"x@.success","event_data":{"video_id":"a","url":"signed anew"}}"#,
        ),
        0,
        false,
    ),
    (
        (P, JOB),
        (
            R,
            r#"{"event_id":"e1","event_type":"x@.fail","event_data":{"video_id":"a","url":"u"}}"#,
        ),
        0,
        false,
    ),
    (
        (
            P,
            r#"{"event_type":"x@.y","event_data":{"video_id":"a","n":1e400}}"#,
        ),
        (
            R,
            r#"{"event_id":"e1","event_type":"x@.y","event_data":{"video_id":"a","n":1e400}}"#,
        ),
        0,
        true,
    ),
    (
        (P, r#"{"event_type":"x@.y","video_id":"a"}"#),
        (R, r#"{"event_id":"e1","event_type":"x@.y"}"#),
        0,
        false,
    ),
    // A record, then a POST.
    ((R, JOB_RECORD), (P, JOB), 9000, true),
    ((R, JOB_RECORD), (P, JOB_E1), 0, true),
    ((R, JOB_RECORD), (P, JOB_E2), 0, false),
    ((R, JOB_RECORD), (P, JOB_EMPTY_ID), 0, true),
    ((R, JOB_RECORD), (P, JOB_RECORD), 0, true),
    ((R, JOB_RECORD), (P, JOB_AND_MORE), 0, false),
    (
        (R, r#"{"event_type":"x@.y","event_data":{"video_id":"a"}}"#),
        (P, r#"{"event":"x@.y","event_data":{"video_id":"a"}}"#),
        0,
        true,
    ),
    (
        (R, r#"{"event_type":"x@.y","event_data":{"video_id":"a"}}"#),
        (
            P,
            r#"{"event_type":"x@.y","event":"x@.y","event_data":{"video_id":"a"}}"#,
        ),
        0,
        false,
    ),
    ((R, WORDS_RECORD), (P, WORDS), 59, true),
    ((R, WORDS_RECORD), (P, WORDS), 61, false),
    // Two records.
    ((R, JOB_RECORD), (R, JOB_RECORD), 9000, true),
    ((R, JOB_RECORD), (R, JOB_E1), 9000, true),
    ((R, JOB_RECORD), (R, JOB_E2), 0, false),
    ((R, WORDS_RECORD), (R, WORDS_RECORD), 9000, true),
    (
        (
            R,
            r#"{"event_id":"e1","event_type":"x@.y","event_data":{"a":1}}"#,
        ),
        (
            R,
            r#"{"event_id":"e1","event_type":"x@.y","event_data":{"a":2}}"#,
        ),
        0,
        false,
    ),
    ((R, WORDS), (R, WORDS), 9000, true),
    (
        (R, WORDS),
        (
            R,
            r#"{"event_type":"x@.fail","event_data":{"reason":"quota"},"created_at":"1"}"#,
        ),
        0,
        false,
    ),
    ((R, "not a record @"), (R, "not a record @"), 9000, true),
    // Callbacks among themselves.
    ((C, JOB), (C, JOB), 9000, true),
    ((C, WORDS), (C, WORDS), 59, true),
    ((C, WORDS), (C, WORDS), 61, false),
    ((C, JOB), (C, JOB_AND_MORE), 0, false),
    ((C, JOB), (P, JOB), 0, false),
    ((P, JOB), (C, JOB), 0, false),
    ((C, JOB_RECORD), (R, JOB_RECORD), 0, false),
    ((R, JOB_RECORD), (C, JOB_RECORD), 0, false),
    // What is imported is known, and never stands in the way.
    ((I, JOB), (P, JOB), 0, false),
    ((I, JOB_RECORD), (R, JOB_RECORD), 0, false),
    ((I, JOB), (C, JOB), 0, false),
    ((P, JOB), (I, JOB), 9000, true),
    ((C, JOB), (I, JOB), 0, true),
    ((R, WORDS_RECORD), (I, WORDS_RECORD), 9000, true),
    ((I, JOB), (I, JOB), 9000, true),
    ((P, WORDS), (I, WORDS), 0, true),
    ((P, WORDS), (I, WORDS), 61, false),
    ((I, WORDS), (I, WORDS), 61, false),
    ((I, "not json @"), (I, "not json @"), 0, true),
];

fn delivery(minutes: u64, source: Source, body: &str) -> NewDelivery {
    let header = Header::new("Minutes", minutes.to_string().as_bytes());
    let received_at = at(0) + Duration::from_secs(60 * minutes);
    NewDelivery::new(received_at, source, vec![header], body.to_owned().into())
}

pub(super) async fn pairs_are_the_same_or_different(inbox: impl InboxAdmin) {
    assert!(PAIRS.len() >= 80);
    for (number, (first, second, minutes, is_same)) in PAIRS.iter().enumerate() {
        let one = |minutes, (source, body): &(Source, &str)| {
            assert!(body.contains('@'), "{body}: of this pair alone");
            delivery(minutes, *source, &body.replace('@', &number.to_string()))
        };
        let (first, second) = (one(0, first), one(*minutes, second));
        let id = new(inbox.append(first.clone()).await.unwrap());
        let found = inbox.append(second.clone()).await.unwrap();
        let expected = match is_same {
            true => Appended::Duplicate(id),
            false => Appended::New(found.id()),
        };
        assert_eq!(found, expected, "pair {number}: {first:?} {second:?}");
        assert_eq!(second.is_duplicate_of(&first), *is_same, "pair {number}");
        let kept = inbox.get(id).await.unwrap().unwrap();
        assert_eq!(kept.body, first.body(), "byte for byte");
        let is_counted = *is_same && matches!(second.source(), P | C);
        assert_eq!(kept.repeats.count, u64::from(is_counted), "pair {number}");
    }
}

/// What was answered `duplicate` once, of two events that differ.
pub(super) async fn different_bodies_of_one_event_are_stored(inbox: impl InboxAdmin) {
    let bodies = [
        r#"{"event_type":"podcast.success","data":{"podcast_id":"a"}}"#,
        r#"{"event_type":"podcast.success","data":{"podcast_id":"b"}}"#,
        r#"{"event_type":"scene.success","scene_id":"a"}"#,
        r#"{"event_type":"scene.success","scene_id":"b"}"#,
        r#"{"event":"avatar_video.success","payload":{"video_id":"a"}}"#,
        r#"{"event":"avatar_video.success","payload":{"video_id":"b"}}"#,
        r#"{"event_type":"video_agent.fail","callback_id":"order-1"}"#,
        r#"{"event_type":"video_agent.fail","callback_id":"order-2"}"#,
        r#"{"event_type":"video_agent.success","callback_id":"order-1","event_data":{}}"#,
        r#"{"event_type":"video_agent.success","callback_id":"order-2","event_data":{}}"#,
        r#"{"event_type":"batch.finished","created_at":"2026-11-27T00:00:00Z","event_data":{"status":"finished"}}"#,
        r#"{"event_type":"batch.finished","created_at":"2026-11-28T00:00:00Z","event_data":{"status":"finished"}}"#,
        r#"{"event_id":0,"event_type":"avatar_video.success","event_data":{"video_id":"a"}}"#,
        r#"{"event_id":0,"event_type":"avatar_video.fail","event_data":{"video_id":"b"}}"#,
        r#"{"event_id":"job-7","event_type":"avatar_video.success","event_data":{"video_id":"j"}}"#,
        r#"{"event_id":"job-7","event_type":"avatar_video_gif.success","event_data":{"video_id":"j"}}"#,
        r#"{"event_type":"live_avatar.fail","event_data":{"reason":"quota"}}"#,
        r#"{"event_id":"e1","event_type":"live_avatar.fail","event_data":{"reason":"quota"}}"#,
        r#"{"event_id":"e2","event_type":"live_avatar.fail","event_data":{"reason":"quota"}}"#,
    ];
    let mut ids = Vec::new();
    for body in bodies {
        ids.push(new(inbox.append(delivery(0, P, body)).await.unwrap()));
    }
    for (body, id) in bodies.iter().zip(&ids) {
        let again = inbox.append(delivery(1, P, body)).await.unwrap();
        assert_eq!(duplicate(again), *id, "{body}");
    }
    assert_eq!(all_ids(&inbox).await.len(), bodies.len());
}

/// Each kind of event with nothing in it that has to be there: whoever gave no `callback_id` gets no other data.
pub(super) async fn minimal_events_are_the_same_for_an_hour(inbox: impl InboxAdmin) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/events");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().join("invented-minimal.json");
        if entry.file_name() == "batch.finished" || !path.exists() {
            continue;
        }
        count += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let mut body: serde_json::Value = serde_json::from_str(&text).unwrap();
        body["event_data"]
            .as_object_mut()
            .unwrap()
            .remove("callback_id");
        let body = body.to_string();
        let first = new(inbox.append(delivery(0, P, &body)).await.unwrap());
        let again = inbox.append(delivery(59, P, &body)).await.unwrap();
        assert_eq!(duplicate(again), first, "{body}");
        let later = new(inbox.append(delivery(61, P, &body)).await.unwrap());
        let again = inbox.append(delivery(62, P, &body)).await.unwrap();
        assert_eq!(duplicate(again), later, "{body}");
    }
    assert_eq!(count, 15);
}

pub(super) async fn equal_words_are_new_every_hour(inbox: impl InboxAdmin) {
    for source in [P, C] {
        let post = |minutes| {
            delivery(
                minutes,
                source,
                r#"{"event_type":"photo_avatar_train.fail","event_data":{"group_id":"g"}}"#,
            )
        };
        let mut ids: Vec<DeliveryId> = Vec::new();
        // What repeats one does not prolong its hour. The last two were late on their way.
        for (minutes, same) in [
            (0, None),
            (50, Some(0)),
            (70, None),
            (100, Some(1)),
            (129, Some(1)),
            (131, None),
            (195, None),
            (300, None),
            (20, Some(1)),
            (5, Some(0)),
            (65, Some(1)),
        ] {
            let appended = inbox.append(post(minutes)).await.unwrap();
            match same {
                None => ids.push(new(appended)),
                Some(same) => assert_eq!(duplicate(appended), ids[same], "{minutes}"),
            }
        }
        let kept = inbox.get(ids[1]).await.unwrap().unwrap();
        assert_eq!(kept.repeats.count, 4);
    }
    assert_eq!(all_ids(&inbox).await.len(), 10);
}

pub(super) async fn a_job_is_known_whenever_it_comes_again(inbox: impl InboxAdmin) {
    let body = JOB.replace('@', "");
    let id = new(inbox.append(delivery(0, P, &body)).await.unwrap());
    for days in [1, 2, 30, 365] {
        let again = inbox
            .append(delivery(days * 24 * 60, P, &body))
            .await
            .unwrap();
        assert_eq!(duplicate(again), id);
    }
}

pub(super) async fn one_post_matches_one_record(inbox: impl InboxAdmin) {
    let record = |id: &str| WORDS_RECORD.replace("e1", id);
    let post = new(inbox.append(delivery(0, P, WORDS)).await.unwrap());
    assert_eq!(inbox.get(post).await.unwrap().unwrap().event_id, None);
    for _ in 0..2 {
        let found = inbox.append(delivery(5, R, &record("e1"))).await.unwrap();
        assert_eq!(duplicate(found), post);
    }
    let kept = inbox.get(post).await.unwrap().unwrap();
    assert_eq!(kept.event_id.as_deref(), Some("e1"), "of its record");
    assert_eq!((kept.repeats.count, kept.signed), (0, None));
    let other = new(inbox.append(delivery(5, R, &record("e2"))).await.unwrap());
    for (id, expected) in [("e1", post), ("e2", other)] {
        let found = inbox.append(delivery(6, R, &record(id))).await.unwrap();
        assert_eq!(duplicate(found), expected);
    }
    // Records that have no id are told apart by all they hold.
    let bare = |at: &str| {
        format!(
            r#"{{"event_id":"","event_type":"y.fail","event_data":{{"a":1}},"created_at":"{at}"}}"#
        )
    };
    let post = r#"{"event_type":"y.fail","event_data":{"a":1}}"#;
    let post = new(inbox.append(delivery(0, P, post)).await.unwrap());
    for _ in 0..2 {
        let found = inbox.append(delivery(5, R, &bare("1"))).await.unwrap();
        assert_eq!(duplicate(found), post);
    }
    new(inbox.append(delivery(5, R, &bare("2"))).await.unwrap());
}

pub(super) async fn two_posts_and_their_records_are_two_events(inbox: impl InboxAdmin) {
    let posts = [
        new(inbox.append(delivery(0, P, WORDS)).await.unwrap()),
        new(inbox.append(delivery(300, P, WORDS)).await.unwrap()),
    ];
    for _ in 0..2 {
        let mut found = Vec::new();
        for id in ["e1", "e2"] {
            let record = delivery(400, R, &WORDS_RECORD.replace("e1", id));
            found.push(duplicate(inbox.append(record).await.unwrap()));
        }
        found.sort();
        assert_eq!(found, posts);
    }
    let third = delivery(400, R, &WORDS_RECORD.replace("e1", "e3"));
    new(inbox.append(third).await.unwrap());
    assert_eq!(all_ids(&inbox).await.len(), 3);
}

pub(super) async fn a_post_after_its_record_leaves_its_signed_bytes(inbox: impl InboxAdmin) {
    let record = new(inbox.append(delivery(0, R, JOB_RECORD)).await.unwrap());
    assert_eq!(inbox.get(record).await.unwrap().unwrap().signed, None);
    let odd = format!(" {JOB}\n");
    let post = inbox.append(delivery(7, P, &odd)).await.unwrap();
    assert_eq!(duplicate(post), record);
    for (minutes, body) in [(9, odd.as_str()), (5000, JOB)] {
        let again = inbox.append(delivery(minutes, P, body)).await.unwrap();
        assert_eq!(duplicate(again), record);
    }
    let kept = inbox.get(record).await.unwrap().unwrap();
    assert_eq!(kept.body, JOB_RECORD);
    assert_eq!(kept.summary.source, R);
    assert_eq!(kept.repeats.count, 3);
    let signed = kept.signed.unwrap();
    assert_eq!(signed.body, odd, "byte for byte");
    assert_eq!(signed.received_at, at(7 * 60));
    assert_eq!(signed.headers, [Header::new("Minutes", b"7")]);
    // Read again, it is the same still.
    let found = inbox.append(delivery(10, R, JOB_RECORD)).await.unwrap();
    assert_eq!(duplicate(found), record);
    let found = inbox.append(delivery(10, I, JOB)).await.unwrap();
    assert_eq!(duplicate(found), record);
}

/// A second POST that fits, and is another, is another event.
pub(super) async fn a_record_takes_one_post(inbox: impl InboxAdmin) {
    let record = new(inbox.append(delivery(0, R, JOB_RECORD)).await.unwrap());
    let post = inbox.append(delivery(1, P, JOB)).await.unwrap();
    assert_eq!(duplicate(post), record);
    let other = new(inbox.append(delivery(2, P, JOB_E1)).await.unwrap());
    let again = inbox.append(delivery(3, P, JOB_E1)).await.unwrap();
    assert_eq!(duplicate(again), other);
    let again = inbox.append(delivery(3, P, JOB)).await.unwrap();
    assert_eq!(duplicate(again), record);
    // Without a job only within the hour of the record.
    let record = new(inbox.append(delivery(0, R, WORDS_RECORD)).await.unwrap());
    let post = inbox.append(delivery(50, P, WORDS)).await.unwrap();
    assert_eq!(duplicate(post), record);
    new(inbox.append(delivery(70, P, WORDS)).await.unwrap());
}

/// A POST that says more than a record is an event of its own; the record goes on being known as itself.
pub(super) async fn a_record_read_again_stays_with_its_own(inbox: impl InboxAdmin) {
    let record = new(inbox.append(delivery(0, R, JOB_RECORD)).await.unwrap());
    let post = new(inbox.append(delivery(1, P, JOB_AND_MORE)).await.unwrap());
    for minutes in [2, 3] {
        let found = inbox
            .append(delivery(minutes, R, JOB_RECORD))
            .await
            .unwrap();
        assert_eq!(duplicate(found), record);
    }
    assert_eq!(inbox.get(post).await.unwrap().unwrap().event_id, None);
    let other = delivery(4, R, &JOB_RECORD.replace("e1", "e2"));
    assert_eq!(duplicate(inbox.append(other).await.unwrap()), post);
}

pub(super) async fn imported_twice_changes_nothing(inbox: impl InboxAdmin) {
    let lines = [
        (0, JOB),
        (0, WORDS),
        (70, WORDS),
        (140, WORDS),
        (200, JOB_RECORD),
        (200, "not json"),
    ];
    let mut ids = Vec::new();
    for (minutes, body) in lines {
        ids.push(new(inbox.append(delivery(minutes, I, body)).await.unwrap()));
    }
    for _ in 0..2 {
        for ((minutes, body), id) in lines.iter().zip(&ids) {
            let again = inbox.append(delivery(*minutes, I, body)).await.unwrap();
            assert_eq!(duplicate(again), *id, "{minutes} {body}");
        }
    }
    let kept = inbox.get(ids[0]).await.unwrap().unwrap();
    assert_eq!(kept.repeats.count, 0, "read again is not received again");
}

pub(super) async fn nothing_unsigned_stands_before_what_is_signed(inbox: impl InboxAdmin) {
    for source in [I, C] {
        new(inbox.append(delivery(0, source, JOB_E1)).await.unwrap());
        new(inbox.append(delivery(0, source, JOB_RECORD)).await.unwrap());
    }
    let post = new(inbox.append(delivery(1, P, JOB_E1)).await.unwrap());
    let found = inbox.append(delivery(1, R, JOB_RECORD)).await.unwrap();
    assert_eq!(duplicate(found), post);
    let kept = inbox.get(post).await.unwrap().unwrap();
    assert_eq!((kept.summary.source, kept.repeats.count), (P, 0));
}
