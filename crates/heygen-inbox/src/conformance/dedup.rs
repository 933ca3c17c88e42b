//! When deliveries are the same event, on every inbox: longer stories than the pairs.

use heygen_events::EventType;

use super::pairs::{
    C, I, JOB, JOB_AND_MORE, JOB_E1, JOB_RECORD, P, R, WORDS, WORDS_RECORD, delivery,
};
use super::support::{all_ids, at, duplicate, get, new};
use crate::admin::InboxAdmin;
use crate::delivery::Header;
use crate::id::DeliveryId;
use crate::source::Source;

async fn append_new(
    inbox: &impl InboxAdmin,
    minutes: u64,
    source: Source,
    body: &str,
) -> DeliveryId {
    new(inbox.append(delivery(minutes, source, body)).await.unwrap())
}

/// It is a duplicate of this one.
async fn check_duplicate(
    inbox: &impl InboxAdmin,
    minutes: u64,
    source: Source,
    body: &str,
    of: DeliveryId,
) {
    let appended = inbox.append(delivery(minutes, source, body)).await;
    assert_eq!(duplicate(appended.unwrap()), of, "{minutes} {body}");
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
        ids.push(append_new(&inbox, 0, P, body).await);
    }
    for (body, id) in bodies.iter().zip(&ids) {
        check_duplicate(&inbox, 1, P, body, *id).await;
    }
    assert_eq!(all_ids(&inbox).await.len(), bodies.len());
}

/// Every event without any data names no job.
pub(super) async fn events_without_data_are_duplicates_for_an_hour(inbox: impl InboxAdmin) {
    for event_type in EventType::KNOWN {
        let body = format!(r#"{{"event_type":"{event_type}","event_data":{{}}}}"#);
        let first = append_new(&inbox, 0, P, &body).await;
        check_duplicate(&inbox, 59, P, &body, first).await;
        let later = append_new(&inbox, 61, P, &body).await;
        check_duplicate(&inbox, 62, P, &body, later).await;
    }
}

pub(super) async fn equal_bodies_without_job_are_new_after_an_hour(inbox: impl InboxAdmin) {
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
        let stored = get(&inbox, ids[1]).await;
        assert_eq!(stored.redeliveries.count, 4);
    }
    assert_eq!(all_ids(&inbox).await.len(), 10);
}

pub(super) async fn event_of_a_job_is_always_a_duplicate(inbox: impl InboxAdmin) {
    let body = JOB.replace('@', "");
    let id = append_new(&inbox, 0, P, &body).await;
    for days in [1, 2, 30, 365] {
        check_duplicate(&inbox, days * 24 * 60, P, &body, id).await;
    }
}

pub(super) async fn one_post_matches_one_record(inbox: impl InboxAdmin) {
    let record = |id: &str| WORDS_RECORD.replace("e1", id);
    let post = append_new(&inbox, 0, P, WORDS).await;
    assert_eq!(get(&inbox, post).await.event_id, None);
    for _ in 0..2 {
        check_duplicate(&inbox, 5, R, &record("e1"), post).await;
    }
    let stored = get(&inbox, post).await;
    assert_eq!(stored.event_id.as_deref(), Some("e1"), "of its record");
    assert_eq!((stored.redeliveries.count, stored.signed), (0, None));
    let other = append_new(&inbox, 5, R, &record("e2")).await;
    for (id, expected) in [("e1", post), ("e2", other)] {
        check_duplicate(&inbox, 6, R, &record(id), expected).await;
    }
    // Records without an id differ if their bodies do.
    let bare = |at: &str| {
        format!(
            r#"{{"event_id":"","event_type":"y.fail","event_data":{{"a":1}},"created_at":"{at}"}}"#
        )
    };
    let post = r#"{"event_type":"y.fail","event_data":{"a":1}}"#;
    let post = append_new(&inbox, 0, P, post).await;
    for _ in 0..2 {
        check_duplicate(&inbox, 5, R, &bare("1"), post).await;
    }
    append_new(&inbox, 5, R, &bare("2")).await;
}

pub(super) async fn two_posts_and_their_records_are_two_events(inbox: impl InboxAdmin) {
    let posts = [
        append_new(&inbox, 0, P, WORDS).await,
        append_new(&inbox, 300, P, WORDS).await,
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

pub(super) async fn post_after_its_record_stores_its_signed_bytes(inbox: impl InboxAdmin) {
    let record = append_new(&inbox, 0, R, JOB_RECORD).await;
    assert_eq!(get(&inbox, record).await.signed, None);
    let odd = format!(" {JOB}\n");
    check_duplicate(&inbox, 7, P, &odd, record).await;
    for (minutes, body) in [(9, odd.as_str()), (5000, JOB)] {
        check_duplicate(&inbox, minutes, P, body, record).await;
    }
    let stored = get(&inbox, record).await;
    assert_eq!(stored.body, JOB_RECORD);
    assert_eq!(stored.summary.source, R);
    assert_eq!(stored.redeliveries.count, 3);
    let signed = stored.signed.unwrap();
    assert_eq!(signed.body, odd, "byte for byte");
    assert_eq!(signed.received_at, at(7 * 60));
    assert_eq!(signed.headers, [Header::new("Minutes", b"7")]);
    // Read again, it is the same still.
    check_duplicate(&inbox, 10, R, JOB_RECORD, record).await;
    check_duplicate(&inbox, 10, I, JOB, record).await;
}

/// A second POST that fits, and is another, is another event.
pub(super) async fn record_matches_one_post(inbox: impl InboxAdmin) {
    let record = append_new(&inbox, 0, R, JOB_RECORD).await;
    check_duplicate(&inbox, 1, P, JOB, record).await;
    let other = append_new(&inbox, 2, P, JOB_E1).await;
    check_duplicate(&inbox, 3, P, JOB_E1, other).await;
    check_duplicate(&inbox, 3, P, JOB, record).await;
    // Without a job only within the hour of the record.
    let record = append_new(&inbox, 0, R, WORDS_RECORD).await;
    check_duplicate(&inbox, 50, P, WORDS, record).await;
    append_new(&inbox, 70, P, WORDS).await;
}

/// A POST that says more than a record is an event of its own; the record goes on being known as itself.
pub(super) async fn record_read_again_matches_the_same_delivery(inbox: impl InboxAdmin) {
    let record = append_new(&inbox, 0, R, JOB_RECORD).await;
    let post = append_new(&inbox, 1, P, JOB_AND_MORE).await;
    for minutes in [2, 3] {
        check_duplicate(&inbox, minutes, R, JOB_RECORD, record).await;
    }
    assert_eq!(get(&inbox, post).await.event_id, None);
    let other = delivery(4, R, &JOB_RECORD.replace("e1", "e2"));
    assert_eq!(duplicate(inbox.append(other).await.unwrap()), post);
}

pub(super) async fn second_import_changes_nothing(inbox: impl InboxAdmin) {
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
        ids.push(append_new(&inbox, minutes, I, body).await);
    }
    for _ in 0..2 {
        for ((minutes, body), id) in lines.iter().zip(&ids) {
            check_duplicate(&inbox, *minutes, I, body, *id).await;
        }
    }
    let stored = get(&inbox, ids[0]).await;
    assert_eq!(
        stored.redeliveries.count, 0,
        "read again is not received again"
    );
}

pub(super) async fn unsigned_delivery_never_suppresses_a_signed_one(inbox: impl InboxAdmin) {
    for source in [I, C] {
        append_new(&inbox, 0, source, JOB_E1).await;
        append_new(&inbox, 0, source, JOB_RECORD).await;
    }
    let post = append_new(&inbox, 1, P, JOB_E1).await;
    check_duplicate(&inbox, 1, R, JOB_RECORD, post).await;
    let stored = get(&inbox, post).await;
    assert_eq!((stored.summary.source, stored.redeliveries.count), (P, 0));
}
