//! `inbox export` into `inbox import`, whatever an inbox holds.

use std::path::Path;
use std::time::{Duration, SystemTime};

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    Attempt, AttemptOutcome, Header, Imported, InboxAdmin as _, NewDelivery, Query, Source, State,
    StoredDelivery,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::{Workdir, block_on};

proptest! {
    // Each case starts two processes.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn what_is_exported_comes_in_equal(deliveries in vec(imported(), 1..24)) {
        let (workdir, other) = (Workdir::new(), Workdir::new());
        let path = workdir.path().join("heygen-inbox.db");
        block_on(SqliteInbox::open_beside(&path).unwrap().import(deliveries)).unwrap();
        let lines = workdir.run(&["inbox", "export"]).ok().stdout;
        let imported = other.run_with(&["inbox", "import", "-", "--trust", "--json"], lines.as_bytes(), &[]);
        prop_assert_eq!(&imported.ok().json()["bad"], 0);
        let (sent, received) = (everything(&path), everything(&other.path().join("heygen-inbox.db")));
        prop_assert!(!sent.is_empty());
        prop_assert_eq!(received.len(), sent.len());
        for (received, mut sent) in received.into_iter().zip(sent) {
            // An inbox gives its own ids, and hands out by its own clock.
            sent.summary.id = received.summary.id;
            sent.due_at = received.due_at;
            prop_assert_eq!(received, sent);
        }
    }
}

/// Every delivery, oldest first.
fn everything(path: &Path) -> Vec<StoredDelivery> {
    let reader = SqliteInbox::open_read_only(path).expect("an inbox");
    let mut query = Query::default();
    query.oldest_first = true;
    let list = block_on(reader.list(query)).expect("a list");
    list.iter()
        .map(|summary| block_on(reader.get(summary.id)).expect("it is read"))
        .map(|kept| kept.expect("it is there"))
        .collect()
}

fn imported() -> impl Strategy<Value = Imported> {
    let body = prop_oneof![
        vec(any::<u8>(), 0..60),
        ".{0,40}".prop_map(String::into_bytes),
        "[a-c]".prop_map(|id| {
            format!(r#"{{"event_type":"batch.finished","event_data":{{"id":"{id}"}}}}"#)
                .into_bytes()
        }),
    ];
    let attempts = vec(
        (
            time(),
            0..1_u64 << 40,
            select(&AttemptOutcome::ALL[..]),
            prop::option::of(".{0,9}"),
        ),
        0..3,
    );
    let redeliveries = prop::option::of((1..9_u64, time(), headers()));
    let source = select(&Source::ALL[..]);
    let state = select(&State::ALL[..]);
    (
        time(),
        source,
        state,
        headers(),
        body,
        attempts,
        redeliveries,
    )
        .prop_map(
            |(received_at, source, state, headers, body, attempts, redeliveries)| {
                let delivery = NewDelivery::new(received_at, source, headers, body.into());
                let mut imported = Imported::new(delivery);
                imported.state = state;
                imported.attempt_count = attempts.len() as u32;
                imported.attempts = (1..)
                    .zip(attempts)
                    .map(|(number, (started_at, micros, result, detail))| {
                        let duration = Duration::from_micros(micros);
                        let mut attempt = Attempt::new(number, started_at, duration, result);
                        attempt.detail = detail;
                        attempt
                    })
                    .collect();
                if let Some((count, last_at, last_headers)) = redeliveries {
                    imported.redeliveries.count = count;
                    imported.redeliveries.last_at = Some(last_at);
                    imported.redeliveries.last_headers = last_headers;
                }
                imported
            },
        )
}

fn headers() -> impl Strategy<Value = Vec<Header>> {
    vec(("[A-Za-z-]{1,9}", vec(any::<u8>(), 0..9)), 0..3).prop_map(|headers| {
        let headers = headers.iter();
        headers
            .map(|(name, value)| Header::new(name, value))
            .collect()
    })
}

/// In the past, to the microsecond.
fn time() -> impl Strategy<Value = SystemTime> {
    (0..1_700_000_000_000_000_u64)
        .prop_map(|micros| SystemTime::UNIX_EPOCH + Duration::from_micros(micros))
}
