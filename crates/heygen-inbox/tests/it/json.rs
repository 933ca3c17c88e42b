//! What an inbox returns, as JSON.

use std::time::Duration;

use heygen_inbox::sqlite::{NewRejected, RejectedFile, RejectedRing, RingOptions};
use heygen_inbox::{
    AttemptOutcome, Completion, Header, Inbox as _, InboxAdmin as _, PruneStep, Query, TrafficUnit,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::support::{append_new, at, body, claim_one, delivery, file, opened};

#[track_caller]
fn check(value: impl Serialize, expected: &Value) {
    assert_eq!(&serde_json::to_value(value).unwrap(), expected);
}

#[tokio::test]
async fn deliveries_and_counts_are_serialized() {
    let (_folder, _, inbox) = opened();
    let body = body("a").replace(r#"{"video_id""#, r#"{"mood":1,"video_id""#);
    let id = append_new(&inbox, 0, &body).await;
    inbox.append(delivery(1, &body)).await.unwrap();
    let claimed = claim_one(&inbox, 2).await;
    let result = AttemptOutcome::DeadLettered;
    let completion = Completion::new(&claimed, at(2), Duration::from_millis(1500), result);
    inbox
        .complete(completion.detail(Some("no".to_owned())))
        .await
        .unwrap();

    let summary = json!({
        "id": id.to_string(),
        "received_at": "2026-09-21T14:13:20.000000Z",
        "event_type": "avatar_video.success",
        "subject_id": "a",
        "callback_id": null,
        "outcome": "success",
        "state": "dead_lettered",
        "attempts": 1,
        "source": "webhook",
        "dead_lettered_at": "2026-09-21T14:13:23.500000Z",
    });
    check(
        inbox.list(Query::default()).await.unwrap(),
        &json!([summary]),
    );
    let mut stored = summary.clone();
    let more = json!({
        "due_at": null,
        "event_id": null,
        "headers": [["heygen-timestamp", "0"]],
        "body": body,
        "signed": null,
        "redeliveries": {
            "count": 1,
            "last_at": "2026-09-21T14:13:21.000000Z",
            "last_headers": [["heygen-timestamp", "1"]],
        },
        "attempt_list": [{
            "number": 1,
            "started_at": "2026-09-21T14:13:22.000000Z",
            "milliseconds": 1500.0,
            "result": "dead_lettered",
            "detail": "no",
        }],
    });
    for (key, value) in more.as_object().unwrap() {
        stored[key] = value.clone();
    }
    check(inbox.get(id).await.unwrap(), &stored);
    let stats = json!({
        "groups": [{
            "event_type": "avatar_video.success",
            "state": "dead_lettered",
            "source": "webhook",
            "count": 1,
        }],
        "attempts": {"dead_lettered": 1},
    });
    check(inbox.stats(at(0)).await.unwrap(), &stats);
    let drift = json!([{
        "kind": "unknown_field",
        "event_type": "avatar_video.success",
        "name": "mood",
        "count": 1,
        "first_at": "2026-09-21T14:13:20.000000Z",
        "last_at": "2026-09-21T14:13:20.000000Z",
        "example": id.to_string(),
    }]);
    check(inbox.drift().await.unwrap(), &drift);
    let traffic = |kind| {
        json!({
            "at": "2026-09-21T14:00:00.000000Z",
            "kind": kind,
            "event_type": "avatar_video.success",
            "count": 1,
        })
    };
    let traffic = json!(["accepted", "duplicate", "failed_attempt"].map(traffic));
    let counted = inbox.traffic(at(0), TrafficUnit::Hour).await.unwrap();
    check(counted, &traffic);
}

#[tokio::test]
async fn counts_and_reports_are_serialized() {
    let (_folder, _, inbox) = opened();
    let id = append_new(&inbox, 0, &body("a")).await;
    let mut counts = serde_json::to_value(inbox.counts().await.unwrap()).unwrap();
    for bytes in ["bytes", "log_bytes"] {
        assert!(counts[bytes].take().is_u64(), "{bytes}");
    }
    let expected = json!({
        "pending": 1,
        "claimed": 0,
        "dead_lettered": 0,
        "oldest_pending": "2026-09-21T14:13:20.000000Z",
        "bytes": null,
        "log_bytes": null,
    });
    check(counts, &expected);
    let replayed = inbox.replay(vec![id], at(1)).await.unwrap();
    check(replayed, &json!({"pending": 1, "claimed": 0, "missing": 0}));
    let given_up = inbox.dead_letter(vec![id], at(1)).await.unwrap();
    let expected = json!({"dead_lettered": 1, "acknowledged": 0, "claimed": 0, "missing": 0});
    check(given_up, &expected);
    let pruned = inbox
        .prune(PruneStep::before(at(9)).limit(0))
        .await
        .unwrap();
    let expected = json!({"deleted": 0, "damaged": [], "next": pruned.next, "bytes": pruned.bytes});
    check(pruned, &expected);
    let deleted = inbox.delete(vec![id]).await.unwrap();
    check(deleted, &json!({"deleted": 1, "claimed": 0, "missing": 0}));
}

#[test]
fn rejected_requests_are_serialized() {
    let (_folder, path) = file();
    let ring = RejectedRing::start(&path, RingOptions::default()).unwrap();
    let signature = Header::new("Signature", b"ab");
    ring.record(
        NewRejected::new(at(0), "signature-mismatch")
            .header_names(["Signature", "X"])
            .signatures([signature], true)
            .body(&b"\xff"[..]),
    );
    drop(ring);
    let file = RejectedFile::open(&path).unwrap().unwrap();
    let summary = json!({
        "id": 1,
        "first_at": "2026-09-21T14:13:20.000000Z",
        "last_at": "2026-09-21T14:13:20.000000Z",
        "count": 1,
        "reason": "signature-mismatch",
        "explanation": null,
        "signed": true,
        "body_bytes": 1,
    });
    check(file.list(None).unwrap(), &json!([summary]));
    let mut whole = summary;
    whole["header_names"] = json!(["Signature", "X"]);
    whole["signatures"] = json!([["signature", "ab"]]);
    whole["body"] = Value::Null;
    check(file.get(1).unwrap(), &whole);
    let counts = json!({"signed": 1, "unsigned": 0, "bytes": 4096});
    check(file.counts().unwrap(), &counts);
}
