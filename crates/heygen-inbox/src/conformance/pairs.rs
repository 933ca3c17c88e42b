//! When two deliveries are the same event: the rule, pair by pair.

use std::time::Duration;

use super::support::{at, get, new};
use crate::admin::InboxAdmin;
use crate::delivery::{Header, NewDelivery};
use crate::inbox::Appended;
use crate::record::State;
use crate::source::Source;

pub(super) const P: Source = Source::Webhook;
pub(super) const R: Source = Source::Backfill;
pub(super) const C: Source = Source::Callback;
pub(super) const I: Source = Source::Import;

/// The first delivery, the second, how many minutes lie between them, and whether the second is a
/// duplicate of the first. `@` is replaced by the number of the pair.
type Pair = ((Source, &'static str), (Source, &'static str), u64, bool);

pub(super) const JOB: &str =
    r#"{"event_type":"x@.success","event_data":{"video_id":"a","url":"u"}}"#;
pub(super) const JOB_E1: &str =
    r#"{"event_id":"e1","event_type":"x@.success","event_data":{"video_id":"a","url":"u"}}"#;
pub(super) const JOB_E2: &str =
    r#"{"event_id":"e2","event_type":"x@.success","event_data":{"video_id":"a","url":"u"}}"#;
pub(super) const JOB_RECORD: &str = r#"{"event_id":"e1","event_type":"x@.success","event_data":{"url":"u","video_id":"a"},"created_at":"2026-11-27T00:00:00Z"}"#;
pub(super) const JOB_EMPTY_ID: &str =
    r#"{"event_id":"","event_type":"x@.success","event_data":{"video_id":"a","url":"u"}}"#;
pub(super) const JOB_AND_MORE: &str =
    r#"{"event_type":"x@.success","event_data":{"video_id":"a","url":"u"},"callback_id":"o1"}"#;
pub(super) const WORDS: &str = r#"{"event_type":"x@.fail","event_data":{"reason":"quota"}}"#;
pub(super) const WORDS_E1: &str =
    r#"{"event_id":"e1","event_type":"x@.fail","event_data":{"reason":"quota"}}"#;
pub(super) const WORDS_RECORD: &str = r#"{"event_id":"e1","event_type":"x@.fail","event_data":{"reason":"quota"},"created_at":"2026-11-27T00:00:00Z"}"#;

/// An event of the type `x@.y` with this data.
macro_rules! y {
    ($data:literal) => {
        concat!(r#"{"event_type":"x@.y","event_data":"#, $data, "}")
    };
}

/// Rows instead of tuples, so that a pair is a line.
macro_rules! pairs {
    ($($one:ident $first:expr, $other:ident $second:expr, $minutes:literal, $is_same:literal;)*) => {
        &[$((($one, $first), ($other, $second), $minutes, $is_same)),*]
    };
}

const PAIRS: &[Pair] = pairs! {
    // The same bytes, and the same JSON.
    P JOB, P JOB, 0, true;
    P JOB,
        P r#" { "event_data" : {"url":"\u0075", "video_id":"a"} , "event_type":"x@.success"}"#, 0, true;
    P y!(r#"{"video_id":"a","n":1}"#), P y!(r#"{"video_id":"a","n":1.0}"#), 0, true;
    P y!(r#"{"n":100}"#), P y!(r#"{"n":1e2}"#), 0, true;
    P y!(r#"{"n":0.25}"#), P y!(r#"{"n":25e-2}"#), 0, true;
    P y!(r#"{"t":"é/"}"#), P y!(r#"{"t":"\u00e9\/"}"#), 0, true;
    // Anything in the body that differs.
    P JOB, P JOB_AND_MORE, 0, false;
    P JOB_AND_MORE, P JOB, 0, false;
    P JOB, P JOB_E1, 0, false;
    P JOB_E1, P JOB_E1, 1000, true;
    P JOB_E1, P JOB_E2, 0, false;
    P JOB, P JOB_EMPTY_ID, 0, false;
    P JOB, P r#"{"event_type":"x@.success","event_data":{"video_id":"a","url":"v"}}"#, 0, false;
    P JOB, P r#"{"event":"x@.success","event_data":{"video_id":"a","url":"u"}}"#, 0, false;
    P JOB, P r#"{"event_type":"x@.fail","event_data":{"video_id":"a","url":"u"}}"#, 0, false;
    P JOB,
        P r#"{"event_type":"x@.success","event_data":{"video_id":"a","url":"u"},"callback_id":null}"#, 0, false;
    P JOB,
        P r#"{"event_type":"x@.success","event_data":{"video_id":"a","url":"u"},"created_at":"1"}"#, 0, false;
    P JOB, P r#"{"event_type":"x@.success","payload":{"video_id":"a","url":"u"}}"#, 0, false;
    P JOB, P r#"{"event_type":"x@.success"}"#, 0, false;
    P y!(r#"{"a":[1,2]}"#), P y!(r#"{"a":[2,1]}"#), 0, false;
    P y!(r#"{"a":"1"}"#), P y!(r#"{"a":1}"#), 0, false;
    P y!(r#"{"a":null}"#), P y!(r#"{}"#), 0, false;
    // What another reader may take for something else is compared byte for byte.
    P y!(r#"{"video_id":"a","video_id":"b"}"#), P y!(r#"{"video_id":"b"}"#), 0, false;
    P y!(r#"{"video_id":"a","video_id":"b"}"#),
        P y!(r#"{"video_id":"c","video_id":"b"}"#), 0, false;
    P y!(r#"{"video_id":"a","video_id":"b"}"#), P y!(r#"{"video_id":"a","video_id":"b"}"#), 0, true;
    P y!(r#"{"l":[{"k":1,"k":1}]}"#), P y!(r#"{"l":[{"k":1}]}"#), 0, false;
    P r#"{"event_type":"x@.y","event_type":"x@.y","event_data":{"video_id":"a"}}"#,
        P y!(r#"{"video_id":"a"}"#), 0, false;
    P y!(r#"{"video_id":"a","t":"\ud800"}"#), P y!(r#"{"video_id":"a","t":"\ud801"}"#), 0, false;
    P y!(r#"{"video_id":"a","t":"\ud800"}"#), P y!(r#"{"t":"\ud800","video_id":"a"}"#), 0, false;
    P y!(r#"{"video_id":"a","t":"\ud800"}"#), P y!(r#"{"video_id":"a","t":"\ud800"}"#), 600, true;
    P y!(r#"{"n":0.1}"#), P y!(r#"{"n":0.1000000000000000055511151231257827}"#), 0, false;
    P y!(r#"{"n":1}"#), P y!(r#"{"n":1.0000000000000000001}"#), 0, false;
    P y!(r#"{"n":123456789012345678901234567890}"#),
        P y!(r#"{"n":123456789012345678901234567891}"#), 0, false;
    P y!(r#"{"n":9007199254740992}"#), P y!(r#"{"n":9007199254740993}"#), 0, false;
    P y!(r#"{"n":1e400}"#), P y!(r#"{"n":2e400}"#), 0, false;
    P y!(r#"{"n":1e-400}"#), P y!(r#"{"n":2e-400}"#), 0, false;
    P y!(r#"{"n":9007199254740993.0}"#), P y!(r#"{"n":9007199254740992.0}"#), 0, false;
    P y!(r#"{"n":9007199254740993}"#), P y!(r#"{ "n":9007199254740993}"#), 0, true;
    P y!("1e999"), P y!(" 1e999"), 0, false;
    // Digits in a string are no number.
    P y!(r#"{"t":"\"1e999"}"#), P y!(r#"{ "t":"\"1e999"}"#), 0, true;
    P "not json @", P "not json @", 59, true;
    P "not json @", P "not json @ ", 0, false;
    P "\u{feff}{\"@\":1}", P "{\"@\":1}", 0, false;
    P "[\"@\",1]", P "[\"@\", 1.0]", 0, true;
    // Nothing but equal ids.
    P r#"{"event_id":0,"event_type":"x@.success","event_data":{"video_id":"a"}}"#,
        P r#"{"event_id":0,"event_type":"x@.fail","event_data":{"video_id":"b"}}"#, 0, false;
    P r#"{"event_id":"job-7","event_type":"x@.success","event_data":{"video_id":"a"}}"#,
        P r#"{"event_id":"job-7","event_type":"x@_gif.success","event_data":{"video_id":"a"}}"#, 0, false;
    // Without a job: for an hour.
    P WORDS, P WORDS, 59, true;
    P WORDS, P WORDS, 60, true;
    P WORDS, P WORDS, 61, false;
    P WORDS_E1, P WORDS_E1, 61, false;
    P "not json @", P "not json @", 61, false;
    P y!(r#"{"session_id":"s","callback_id":"c","group_id":"g","avatar_id":"a"}"#),
        P y!(r#"{"session_id":"s","callback_id":"c","group_id":"g","avatar_id":"a"}"#), 61, false;
    P y!(r#"{"video_id":" ","render_id":null,"batch_id":["b"]}"#),
        P y!(r#"{"video_id":" ","render_id":null,"batch_id":["b"]}"#), 61, false;
    P r#"{"event_type":"x@.y","video_id":"flat"}"#,
        P r#"{"event_type":"x@.y","video_id":"flat"}"#, 61, false;
    // With one: for ever.
    P JOB, P JOB, 61, true;
    P y!(r#"{"video_translate_id":"t"}"#), P y!(r#"{"video_translate_id":"t"}"#), 10_000, true;
    P y!(r#"{"render_id":7}"#), P y!(r#"{"render_id":7}"#), 10_000, true;
    P y!(r#"{"batch_id":"b"}"#), P y!(r#"{"batch_id":"b"}"#), 10_000, true;
    P r#"{"event_type":"ai_clipping.success","event_data":{"id":"c@"}}"#,
        P r#"{"event_type":"ai_clipping.success","event_data":{"id":"c@"}}"#, 10_000, true;
    P y!(r#"{"id":"c"}"#), P y!(r#"{"id":"c"}"#), 61, false;
    // A POST, then a record of the log.
    P JOB, R JOB_RECORD, 9000, true;
    P JOB_AND_MORE, R JOB_RECORD, 0, true;
    P JOB_E1, R JOB_RECORD, 0, true;
    P JOB_E2, R JOB_RECORD, 0, false;
    P JOB_EMPTY_ID, R JOB_RECORD, 0, true;
    P WORDS, R WORDS_RECORD, 9000, true;
    P JOB,
        R r#"{"event_id":"e1","event_type":"x@.success","event_data":{"video_id":"a","url":"signed again"}}"#, 0, false;
    P JOB,
        R r#"{"event_id":"e1","event_type":"x@.fail","event_data":{"video_id":"a","url":"u"}}"#, 0, false;
    P y!(r#"{"video_id":"a","n":1e400}"#),
        R r#"{"event_id":"e1","event_type":"x@.y","event_data":{"video_id":"a","n":1e400}}"#, 0, true;
    P r#"{"event_type":"x@.y","video_id":"a"}"#,
        R r#"{"event_id":"e1","event_type":"x@.y"}"#, 0, false;
    // A record, then a POST.
    R JOB_RECORD, P JOB, 9000, true;
    R JOB_RECORD, P JOB_E1, 0, true;
    R JOB_RECORD, P JOB_E2, 0, false;
    R JOB_RECORD, P JOB_EMPTY_ID, 0, true;
    R JOB_RECORD, P JOB_RECORD, 0, true;
    R JOB_RECORD, P JOB_AND_MORE, 0, false;
    R y!(r#"{"video_id":"a"}"#), P r#"{"event":"x@.y","event_data":{"video_id":"a"}}"#, 0, true;
    R y!(r#"{"video_id":"a"}"#),
        P r#"{"event_type":"x@.y","event":"x@.y","event_data":{"video_id":"a"}}"#, 0, false;
    R WORDS_RECORD, P WORDS, 59, true;
    R WORDS_RECORD, P WORDS, 61, false;
    // Two records.
    R JOB_RECORD, R JOB_RECORD, 9000, true;
    R JOB_RECORD, R JOB_E1, 9000, true;
    R JOB_RECORD, R JOB_E2, 0, false;
    R WORDS_RECORD, R WORDS_RECORD, 9000, true;
    R r#"{"event_id":"e1","event_type":"x@.y","event_data":{"a":1}}"#,
        R r#"{"event_id":"e1","event_type":"x@.y","event_data":{"a":2}}"#, 0, false;
    R WORDS, R WORDS, 9000, true;
    R WORDS,
        R r#"{"event_type":"x@.fail","event_data":{"reason":"quota"},"created_at":"1"}"#, 0, false;
    R "not a record @", R "not a record @", 9000, true;
    // Callbacks among themselves.
    C JOB, C JOB, 9000, true;
    C WORDS, C WORDS, 59, true;
    C WORDS, C WORDS, 61, false;
    C JOB, C JOB_AND_MORE, 0, false;
    C JOB, P JOB, 0, false;
    P JOB, C JOB, 0, false;
    C JOB_RECORD, R JOB_RECORD, 0, false;
    R JOB_RECORD, C JOB_RECORD, 0, false;
    // An import is a duplicate of what is stored, and never suppresses anything.
    I JOB, P JOB, 0, false;
    I JOB_RECORD, R JOB_RECORD, 0, false;
    I JOB, C JOB, 0, false;
    P JOB, I JOB, 9000, true;
    C JOB, I JOB, 0, true;
    R WORDS_RECORD, I WORDS_RECORD, 9000, true;
    I JOB, I JOB, 9000, true;
    P WORDS, I WORDS, 0, true;
    P WORDS, I WORDS, 61, false;
    I WORDS, I WORDS, 61, false;
    I "not json @", I "not json @", 0, true;
};

pub(super) fn delivery(minutes: u64, source: Source, body: &str) -> NewDelivery {
    let header = Header::new("Minutes", minutes.to_string().as_bytes());
    let received_at = at(0) + Duration::from_secs(60 * minutes);
    NewDelivery::new(received_at, source, vec![header], body.to_owned().into())
}

pub(super) async fn pairs_are_duplicates_or_not(inbox: impl InboxAdmin) {
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
        let stored = get(&inbox, id).await;
        assert_eq!(stored.body, first.body(), "byte for byte");
        assert_eq!(stored.summary.source, first.source(), "pair {number}");
        assert_eq!(stored.summary.state, State::Pending, "pair {number}");
        let is_counted = *is_same && matches!(second.source(), P | C);
        assert_eq!(
            stored.redeliveries.count,
            u64::from(is_counted),
            "pair {number}"
        );
    }
}
