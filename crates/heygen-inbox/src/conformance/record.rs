//! Storing, listing, claiming and completing deliveries.

use std::time::Duration;

use heygen_events::Outcome;

use super::support::{
    append_duplicate, append_new, at, attempts, body, came_at, claim_due, claim_one, claimed_ids,
    complete, completion, delivery, duplicate, get, listed, new,
};
use crate::admin::InboxAdmin;
use crate::claim::ClaimRequest;
use crate::completion::Completion;
use crate::delivery::NewDelivery;
use crate::id::DeliveryId;
use crate::record::{AttemptOutcome, Query, Redeliveries, State};
use crate::source::Source;

pub(super) async fn redeliveries_are_counted_with_their_headers(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    let stored = get(&inbox, id).await;
    assert_eq!(stored.redeliveries, Redeliveries::default());
    for seconds in [5, 7] {
        append_duplicate(&inbox, seconds, body("a")).await;
    }
    let stored = get(&inbox, id).await;
    assert_eq!(stored.headers, [came_at(0)], "the first stay");
    assert_eq!(stored.summary.received_at, at(0));
    assert_eq!(stored.redeliveries.count, 2);
    assert_eq!(stored.redeliveries.last_at, Some(at(7)));
    assert_eq!(stored.redeliveries.last_headers, [came_at(7)]);
}

pub(super) async fn backfilled_event_is_not_counted_as_redelivery(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    append_duplicate(&inbox, 5, body("a")).await;
    let logged = NewDelivery::new(at(9), Source::Backfill, Vec::new(), body("a").into());
    assert_eq!(duplicate(inbox.append(logged).await.unwrap()), id);
    let redeliveries = get(&inbox, id).await.redeliveries;
    assert_eq!((redeliveries.count, redeliveries.last_at), (1, Some(at(5))));
    assert_eq!(redeliveries.last_headers, [came_at(5)]);
}

pub(super) async fn signed_body_is_stored_byte_for_byte(inbox: impl InboxAdmin) {
    let unreadable: &[&[u8]] = &[
        b"",
        b"not json",
        b"[1,2]",
        b"\xff\xfe\x00",
        br#"{"event_data":{}}"#,
        br#"{"event_type":7,"event_data":{}}"#,
    ];
    for (seconds, body) in unreadable.iter().enumerate() {
        let id = new(inbox.append(delivery(seconds as u64, body)).await.unwrap());
        let stored = get(&inbox, id).await;
        assert_eq!(stored.body, body);
        assert_eq!(stored.summary.event_type, None, "{body:?}");
        assert_eq!(stored.summary.outcome, None);
        assert_eq!(append_duplicate(&inbox, 9, body).await, id, "{body:?}");
    }
    let odd = " {\"event_type\":\"someone.new\",\"event_data\":[null]}\r\n";
    let id = append_new(&inbox, 10, odd).await;
    let stored = get(&inbox, id).await;
    assert_eq!(stored.body, odd);
    assert_eq!(stored.summary.event_type.as_deref(), Some("someone.new"));
    let claimed = claim_due(&inbox, 100, 10).await;
    assert_eq!(claimed.len(), unreadable.len() + 1, "all are dispatched");
}

pub(super) async fn lists_are_newest_first_and_filtered(inbox: impl InboxAdmin) {
    let fail =
        r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"b","callback_id":"mine"}}"#;
    let stored = [
        append_new(&inbox, 0, &body("a")).await,
        append_new(&inbox, 10, fail).await,
        append_new(&inbox, 20, &body("c")).await,
        append_new(&inbox, 30, "not json").await,
    ];
    // The oldest is acknowledged, the next is claimed.
    for claimed in claim_due(&inbox, 2, 30).await {
        if claimed.id == stored[0] {
            complete(&inbox, &claimed, 31, AttemptOutcome::Acknowledged).await;
        }
    }
    let query = Query::default;
    let cases: &[(Query, &[usize])] = &[
        (query(), &[3, 2, 1, 0]),
        (query().limit(2), &[3, 2]),
        (query().limit(0), &[]),
        (query().event_type("avatar_video.success"), &[2, 0]),
        (query().event_type("avatar_video"), &[]),
        (query().subject_id("c"), &[2]),
        (query().outcome(Outcome::Failure), &[1]),
        (query().callback_id("mine"), &[1]),
        (query().callback_id("mine").subject_id("c"), &[]),
        (query().state(State::Pending), &[3, 2]),
        (query().state(State::Claimed), &[1]),
        (query().state(State::Acknowledged), &[0]),
        (query().state(State::DeadLettered), &[]),
        (query().since(at(10)), &[3, 2, 1]),
        (query().since(at(10) + Duration::from_micros(1)), &[3, 2]),
        (query().since(at(99)), &[]),
        (
            query()
                .event_type("avatar_video.success")
                .since(at(1))
                .state(State::Pending)
                .limit(5),
            &[2],
        ),
    ];
    for (query, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|index| stored[*index]).collect();
        assert_eq!(listed(&inbox, query.clone()).await, expected, "{query:?}");
    }
}

pub(super) async fn event_names_are_listed_by_pattern(inbox: impl InboxAdmin) {
    let names = [
        "avatar_video.success",
        "avatar_video.fail",
        "avatar_video_gif.success",
        "Avatar_video.success",
        "a?b",
        "a[b]",
        "acb",
        "a*b",
        "",
    ];
    let mut stored = Vec::new();
    for (seconds, name) in names.iter().enumerate() {
        let body = format!(r#"{{"event_type":"{name}","event_data":{{"n":{seconds}}}}}"#);
        stored.push(append_new(&inbox, seconds as u64, &body).await);
    }
    stored.push(append_new(&inbox, 20, "not json").await);
    let cases: &[(&str, &[usize])] = &[
        ("avatar_video.*", &[1, 0]),
        ("avatar_video*", &[2, 1, 0]),
        ("*.success", &[3, 2, 0]),
        ("*video*.s*", &[3, 2, 0]),
        ("avatar_video.success*", &[0]),
        ("avatar_video.success", &[0]),
        ("podcast.*", &[]),
        ("a?*", &[4]),
        ("a[*", &[5]),
        ("*[b]", &[5]),
        ("a?b", &[4]),
        ("a*b", &[7, 6, 4]),
        ("avatar_video", &[]),
        ("*", &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("**", &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
    ];
    for (pattern, expected) in cases {
        let query = Query::default().events(pattern.parse().unwrap());
        let expected: Vec<_> = expected.iter().map(|index| stored[*index]).collect();
        assert_eq!(listed(&inbox, query).await, expected, "{pattern}");
    }
    let exact = Query::default().event_type("a*b");
    assert_eq!(inbox.list(exact).await.unwrap().len(), 1, "no pattern");
    let limited = Query::default()
        .events("avatar_video*".parse().unwrap())
        .limit(2);
    assert_eq!(inbox.list(limited).await.unwrap().len(), 2);
}

pub(super) async fn get_returns_the_whole_delivery(inbox: impl InboxAdmin) {
    let body = r#"{"event_id":"e1","event_type":"avatar_video.fail","event_data":{"video_id":"v","callback_id":"c","msg":"no"}}"#;
    let id = append_new(&inbox, 3, body).await;
    let stored = get(&inbox, id).await;
    assert_eq!(stored.summary.id, id);
    assert_eq!(stored.summary.received_at, at(3));
    assert_eq!(
        stored.summary.event_type.as_deref(),
        Some("avatar_video.fail")
    );
    assert_eq!(stored.summary.subject_id.as_deref(), Some("v"));
    assert_eq!(stored.summary.callback_id.as_deref(), Some("c"));
    assert_eq!(
        stored.summary.outcome.map(|outcome| outcome.as_str()),
        Some("failure")
    );
    assert_eq!(stored.summary.state, State::Pending);
    assert_eq!(stored.summary.attempts, 0);
    assert_eq!(stored.summary.source.as_str(), "webhook");
    assert_eq!(stored.due_at, Some(at(3)));
    assert_eq!(stored.event_id.as_deref(), Some("e1"));
    assert_eq!(stored.headers, [came_at(3)]);
    assert_eq!(stored.body, body);
    assert!(stored.attempts.is_empty());
    assert_eq!(
        inbox.list(Query::default()).await.unwrap(),
        [stored.summary]
    );

    let of_another_place = DeliveryId::new(id.key() + 1, id.tag());
    let of_another_inbox = DeliveryId::new(id.key(), id.tag() ^ 1);
    assert_eq!(inbox.get(of_another_place).await.unwrap(), None);
    assert_eq!(inbox.get(of_another_inbox).await.unwrap(), None);
}

pub(super) async fn ids_increase_when_the_clock_does_not(inbox: impl InboxAdmin) {
    let mut last = append_new(&inbox, 100, &body("first")).await;
    for (index, seconds) in [100, 100, 99, 0, 101].into_iter().enumerate() {
        let id = append_new(&inbox, seconds, &body(&index.to_string())).await;
        assert!(id > last);
        let stored = get(&inbox, id).await;
        assert_eq!(
            stored.summary.received_at,
            at(seconds),
            "the time stays as it was"
        );
        last = id;
    }
    let since = inbox.list(Query::default().since(at(100))).await.unwrap();
    assert_eq!(since.len(), 4);
}

pub(super) async fn longest_due_is_claimed_first(inbox: impl InboxAdmin) {
    let late = append_new(&inbox, 20, &body("late")).await;
    let early = append_new(&inbox, 10, &body("early")).await;
    let middle = append_new(&inbox, 15, &body("middle")).await;
    let claim = async |limit, seconds| {
        let request = ClaimRequest::due(limit, at(seconds));
        let claim = inbox.claim(request).await.unwrap();
        (claimed_ids(&claim.deliveries), claim.next_due)
    };
    assert_eq!(
        claim(5, 9).await,
        (vec![], Some(at(10))),
        "nothing is due yet"
    );
    assert_eq!(claim(0, 15).await, (vec![], None), "nothing is asked for");
    assert_eq!(claim(1, 15).await, (vec![early], None), "more may be due");
    assert_eq!(claim(5, 15).await, (vec![middle], Some(at(20))));
    assert_eq!(claim(5, 20).await, (vec![late], None));
    assert_eq!(claim(5, 99).await, (vec![], None));
}

pub(super) async fn each_delivery_is_claimed_once(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    let claimed = claim_one(&inbox, 1).await;
    assert_eq!(claimed.id, id);
    assert_eq!(claimed.attempt, 1);
    assert_eq!(claimed.received_at, at(0));
    assert_eq!(claimed.headers, [came_at(0)]);
    assert_eq!(claimed.body, body("a"));
    assert!(claim_due(&inbox, 10, 99).await.is_empty());
    append_duplicate(&inbox, 5, body("a")).await;
    assert!(claim_due(&inbox, 10, 99).await.is_empty());
    let stored = get(&inbox, id).await;
    assert_eq!(
        (stored.summary.state, stored.summary.attempts),
        (State::Claimed, 1)
    );
    assert_eq!(stored.due_at, None);
}

pub(super) async fn completion_is_recorded(inbox: impl InboxAdmin) {
    for (result, state) in [
        (AttemptOutcome::Acknowledged, State::Acknowledged),
        (AttemptOutcome::DeadLettered, State::DeadLettered),
    ] {
        let id = append_new(&inbox, 0, &body(result.as_str())).await;
        let claimed = claim_one(&inbox, 1).await;
        let duration = Duration::from_millis(1500);
        let completion =
            Completion::new(&claimed, at(1), duration, result).detail(Some("said so".into()));
        inbox.complete(completion).await.unwrap();
        let stored = get(&inbox, id).await;
        assert_eq!(stored.summary.state, state);
        assert_eq!(stored.due_at, None);
        let [attempt] = stored.attempts.as_slice() else {
            panic!("one attempt, not {:?}", stored.attempts);
        };
        assert_eq!((attempt.number, attempt.result), (1, result));
        assert_eq!((attempt.started_at, attempt.duration), (at(1), duration));
        assert_eq!(attempt.detail.as_deref(), Some("said so"));
        assert!(claim_due(&inbox, 10, 999).await.is_empty());
        append_duplicate(&inbox, 5, body(result.as_str())).await;
        assert!(claim_due(&inbox, 10, 999).await.is_empty());
    }
}

pub(super) async fn retry_is_claimed_when_due(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    for (attempt, seconds) in [(1, 0), (2, 10), (3, 20)] {
        let just_before = ClaimRequest::due(10, at(seconds) - Duration::from_micros(1));
        let early = inbox.claim(just_before).await.unwrap();
        assert!(early.deliveries.is_empty());
        assert_eq!(early.next_due, Some(at(seconds)));
        let claimed = claim_one(&inbox, seconds).await;
        assert_eq!(claimed.attempt, attempt);
        let completion =
            completion(&claimed, seconds, AttemptOutcome::Retry).due_at(at(seconds + 10));
        inbox.complete(completion).await.unwrap();
        let stored = get(&inbox, id).await;
        assert_eq!(stored.summary.state, State::Pending);
        assert_eq!(stored.due_at, Some(at(seconds + 10)));
    }
    let stored = get(&inbox, id).await;
    let retries = [1, 2, 3].map(|number| (number, AttemptOutcome::Retry));
    assert_eq!(attempts(&stored), retries);
    assert_eq!(stored.summary.attempts, 3);
}

pub(super) async fn late_completion_does_not_change_the_state(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    let first = claim_one(&inbox, 0).await;
    for _ in 0..2 {
        // Twice, as after a failure that left open whether it was written.
        complete(&inbox, &first, 1, AttemptOutcome::Retry).await;
    }
    let second = claim_one(&inbox, 5).await;
    complete(&inbox, &first, 1, AttemptOutcome::Retry).await;
    complete(&inbox, &first, 1, AttemptOutcome::DeadLettered).await;
    assert!(claim_due(&inbox, 10, 9).await.is_empty(), "still in hand");

    // A late acknowledgement counts.
    complete(&inbox, &first, 1, AttemptOutcome::Acknowledged).await;
    complete(&inbox, &second, 1, AttemptOutcome::Retry).await;
    assert!(claim_due(&inbox, 10, 9).await.is_empty());
    let stored = get(&inbox, id).await;
    assert_eq!(stored.summary.state, State::Acknowledged);
    assert_eq!(
        attempts(&stored),
        [
            (1, AttemptOutcome::Acknowledged),
            (2, AttemptOutcome::Retry)
        ]
    );
}

pub(super) async fn completion_of_an_unknown_id_is_ignored(inbox: impl InboxAdmin) {
    append_new(&inbox, 0, &body("a")).await;
    let claimed = claim_one(&inbox, 0).await;
    for id in [
        DeliveryId::new(claimed.id.key() + 1, claimed.id.tag()),
        DeliveryId::new(claimed.id.key(), claimed.id.tag() ^ 1),
    ] {
        let mut stranger = claimed.clone();
        stranger.id = id;
        complete(&inbox, &stranger, 1, AttemptOutcome::Acknowledged).await;
        assert_eq!(inbox.get(id).await.unwrap(), None);
    }
    let stored = inbox.get(claimed.id).await.unwrap().unwrap();
    assert_eq!(stored.summary.state, State::Claimed);
    assert!(stored.attempts.is_empty());
}

pub(super) async fn append_ends_wait_for_append(inbox: impl InboxAdmin) {
    // Before the wait: the wait ends at once.
    append_new(&inbox, 0, &body("a")).await;
    inbox.wait_for_append().await;
    // During the wait.
    let (appended, ()) = tokio::join!(
        inbox.append(delivery(1, body("b"))),
        inbox.wait_for_append()
    );
    new(appended.unwrap());
}
