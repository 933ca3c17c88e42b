//! What observers see, and what the ring of rejected requests records.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use heygen_inbox::{Appended, AttemptOutcome, MemoryInbox};
use heygen_receiver::{
    DispatchOptions, Dispatcher, Disposition, ObservedAttempt, ObservedDelivery, ObservedRejection,
    Observer, Receiver, ReceiverOptions,
};

use crate::client::{ask, post, probe, request, sign, signed};
use crate::support::{PATH, Running, body, body_of_len, delivery, secret, until};

/// A line for each call.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Notes {
    fn stored(&self, stored: &ObservedDelivery<'_>) {
        assert!(stored.commit_time < Duration::from_secs(60));
        let is_new = matches!(stored.appended, Appended::New(_));
        let drift: Vec<_> = stored
            .drift
            .iter()
            .map(|drift| drift.kind.as_str())
            .collect();
        self.note(format!("stored {} new={is_new} {drift:?}", stored.source));
    }

    fn rejected(&self, rejected: &ObservedRejection<'_>) {
        let post = rejected.post.as_ref();
        let body = post.and_then(|post| post.body).map(bytes::Bytes::len);
        let signed = post.map(|post| (post.signatures().count(), post.is_signed()));
        self.note(format!("{} {signed:?} {body:?}", rejected.reason));
    }

    fn attempted(&self, attempt: &ObservedAttempt<'_>) {
        self.note(format!("{:?} {}", attempt.event_type, attempt.result));
    }
}

fn options(observer: impl Observer) -> ReceiverOptions {
    let mut options = ReceiverOptions::default();
    options.limits.max_body_bytes = 100;
    options.observers.add(observer);
    options
}

#[tokio::test]
async fn stored_and_rejected_requests_are_observed() {
    let notes = Notes::default();
    let mut options = options(notes.clone());
    let others = Notes::default();
    options.observers.add(others.clone());
    let receiver = Receiver::with(secret(), MemoryInbox::new(), options);
    let server = Running::start(receiver).await;
    let body = body("a");
    let strange = r#"{"event_type":"somebody.new","event_data":7}"#;
    let requests = [
        probe(),
        signed(&body),
        signed(&body),
        signed(strange),
        post(&body, &[]),
        post(&body, &[("Signature", "?")]),
        post(&body, &[("Signature", &sign(b"{}")), ("Cookie", "a")]),
        signed(body_of_len(101)),
        post(&body, &[("Content-Encoding", "gzip")]),
        request("PUT", PATH, &[]),
        request("GET", "/", &[]),
        post(
            &body,
            &[("Content-Encoding", "gzip"), ("Signature", &sign(b"{}"))],
        ),
        [b"POST /x".as_slice(), &signed(&body)[5 + PATH.len()..]].concat(),
        [b"POST /x".as_slice(), &post(&body, &[])[5 + PATH.len()..]].concat(),
        post(
            &body,
            &[[("X", "y"); 99].as_slice(), &[("Signature", &sign(b"{}"))]].concat(),
        ),
    ];
    for request in requests {
        ask(server.address, request).await;
    }
    let observed = notes.take();
    assert_eq!(
        observed,
        [
            "stored webhook new=true []",
            "stored webhook new=false []",
            "stored webhook new=true [\"unknown_event\"]",
            "missing-signature Some((0, false)) Some(67)",
            "malformed-signature Some((1, false)) Some(67)",
            "signature-mismatch Some((1, true)) Some(67)",
            "body-too-large Some((1, true)) None",
            "encoded-body Some((0, false)) None",
            "method-not-allowed None None",
            "not-found None None",
            "encoded-body Some((1, true)) Some(67)",
            "not-found Some((1, true)) Some(67)",
            "not-found None None",
            "headers-too-large Some((1, true)) None",
        ]
    );
    assert_eq!(others.take(), observed);
}

#[tokio::test]
async fn how_attempts_end() {
    let notes = Notes::default();
    let inbox = MemoryInbox::new();
    let mut options = DispatchOptions::default();
    options.observers.add(notes.clone());
    let handler = async |delivery: heygen_receiver::Delivery| match delivery.attempt() {
        1 => Disposition::Retry {
            after: Some(Duration::ZERO),
            reason: "once more".to_owned(),
        },
        _ => Disposition::Ack,
    };
    let dispatcher = Dispatcher::with(inbox.clone(), handler, options);
    let dispatching = tokio::spawn(dispatcher.run(std::future::pending()));
    heygen_inbox::Inbox::append(&inbox, delivery("a"))
        .await
        .unwrap();
    let mut observed = Vec::new();
    until(async || {
        observed.extend(notes.take());
        observed.len() >= 2
    })
    .await;
    let name = "Some(\"avatar_video.success\")";
    assert_eq!(
        observed,
        [format!("{name} retry"), format!("{name} acknowledged")]
    );
    assert_eq!(AttemptOutcome::Retry.as_str(), "retry");
    dispatching.abort();
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn ring_records_rejections_worth_a_second_look() {
    use heygen_inbox::sqlite::{RejectedFile, RejectedRing, RingOptions};
    use heygen_signature::{Secrets, verify};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inbox.db.rejected");
    let ring = RejectedRing::start(&path, RingOptions::default()).unwrap();
    let secrets = heygen_receiver::ActiveSecrets::none();
    let receiver = Receiver::with(secrets.clone(), MemoryInbox::new(), options(ring));
    let server = Running::start(receiver).await;
    let later = signed(body("a"));
    ask(server.address, &later).await;
    secrets.set(heygen_receiver::Secret::new("another").unwrap().into());
    for request in [
        later.clone(),
        later,
        signed(body_of_len(101)),
        request("GET", "/", &[]),
        request("PUT", PATH, &[]),
        post(body("b"), &[("Authorization", "hidden")]),
    ] {
        ask(server.address, request).await;
    }
    drop(server);

    let file = async || {
        let mut found = None;
        until(async || {
            found = RejectedFile::open(&path).unwrap();
            let len = found.as_ref().map(|file| file.list(None).unwrap().len());
            len == Some(4)
        })
        .await;
        found.unwrap()
    };
    let file = file().await;
    let list = file.list(None).unwrap();
    let lines: Vec<_> = list
        .iter()
        .map(|line| (line.reason.as_str(), line.count, line.is_signed))
        .collect();
    assert_eq!(
        lines,
        [
            ("missing-signature", 1, false),
            ("body-too-large", 1, true),
            // The first of these was looked at closely.
            ("matches-no-secret", 2, true),
            ("no-secret", 1, true),
        ]
    );
    let whole = file.get(list[0].id).unwrap().unwrap();
    assert!(whole.header_names.contains(&"authorization".to_owned()));
    let whole = file.get(list[2].id).unwrap().unwrap();
    let pairs = whole.signatures.iter();
    let pairs = pairs.map(|header| (header.name.as_str(), header.value.as_bytes()));
    let body = whole.body.unwrap();
    assert!(verify(pairs, &body, &Secrets::from(secret())).is_ok());
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn flood_of_unsigned_requests_hides_and_delays_nothing() {
    use heygen_inbox::sqlite::{RejectedFile, RejectedRing, RingOptions, SqliteInbox};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inbox.db.rejected");
    let inbox = SqliteInbox::open(folder.path().join("inbox.db")).unwrap();
    let ring = RejectedRing::start(&path, RingOptions::default()).unwrap();
    let dropped = {
        let ring = ring.clone();
        move || ring.dropped()
    };
    let receiver = Receiver::with(secret(), inbox.clone(), options(ring));
    let server = Running::start(receiver).await;
    let mut client = crate::client::Client::connect(server.address).await;
    let mut stored = 0;
    for number in 0..5000 {
        let answer = client.ask(post(body(&number.to_string()), &[])).await;
        assert_eq!(answer.status, 401);
        if number == 2500 {
            let of_other_secret = sign(b"another body");
            let request = post(body("a"), &[("Signature", &of_other_secret)]);
            assert_eq!(client.ask(request).await.status, 401);
        }
        if number % 100 == 0 {
            let answer = client.ask(signed(body(&format!("stored {number}")))).await;
            assert_eq!(answer.verdict(), "accepted");
            stored += 1;
        }
    }
    assert_eq!(crate::support::count(&inbox).await, stored);
    let unsigned = 5000;
    // The last of them is written soon.
    until(async || {
        let Some(file) = RejectedFile::open(&path).unwrap() else {
            return false;
        };
        let counts = file.counts().unwrap();
        counts.signed == 1 && counts.unsigned == 250.min(unsigned - dropped())
    })
    .await;
    let file = RejectedFile::open(&path).unwrap().unwrap();
    let list = file.list(None).unwrap();
    assert_eq!(list.iter().filter(|line| line.is_signed).count(), 1);
}
