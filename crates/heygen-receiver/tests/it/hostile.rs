//! Connections meant to break something, or to get in.

use std::fs;
use std::path::Path;
use std::time::Duration;

use heygen_inbox::DeliveryId;
use heygen_receiver::{CallbackTokens, RetrySchedule};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

#[path = "../../../heygen-events/tests/it/bodies.rs"]
mod bodies;

use crate::invariants::{self, NEXT, TOKEN};

fn signed(body: &[u8]) -> Vec<u8> {
    let head =
        "POST /webhooks/heygen HTTP/1.1\nHost: a\nSignature: {sign}\nContent-Length: {length}\n\n";
    [head.as_bytes(), body].concat()
}

/// What HeyGen signed is stored whatever it holds, up to the limit that the invariants set.
#[test]
fn named_bodies_are_stored() {
    for named in bodies::named() {
        let expected = usize::from(named.body.len() <= 16 * 1024);
        assert_eq!(
            invariants::hold(&signed(&named.body)),
            expected,
            "{}",
            named.name
        );
    }
}

#[test]
fn fixtures_are_stored() {
    for body in bodies::fixtures() {
        assert_eq!(invariants::hold(&signed(&body)), 1);
    }
}

/// The seeds of fuzzing, and how many deliveries each of them gets in.
#[test]
fn seeds_of_fuzzing_are_stored_if_authenticated() {
    let expected = [
        ("absolute-with-a-query", 1),
        ("body-too-short", 0),
        ("callback", 1),
        ("callback-wrong-token", 0),
        ("chunked", 1),
        ("chunked-and-a-length", 1),
        ("chunked-wrongly-signed", 0),
        ("encoded", 0),
        ("expect-continue", 1),
        ("heygen-signature", 1),
        ("http-1-0", 1),
        ("http-2", 1),
        ("http-2-probe", 0),
        ("http-2-reset", 0),
        ("http-2-unsigned", 0),
        ("length-beyond-all", 0),
        ("length-over-the-limit", 0),
        ("length-twice", 1),
        ("other-method", 0),
        ("probe-options", 0),
        ("probes-one-after-the-other", 0),
        ("signature-twice", 0),
        ("signatures-joined", 0),
        ("twice", 1),
        ("unsigned", 0),
        ("upgrade", 0),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/request");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), expected.len());
    for (name, stored) in expected {
        let script = fs::read(folder.join(name)).unwrap();
        assert_eq!(invariants::hold(&script), stored, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn generated_connections_hold(requests in vec(request(), 1..4)) {
        invariants::hold(&requests.join(NEXT));
    }

    #[test]
    fn any_bytes_hold(script in vec(any::<u8>(), 0..300)) {
        invariants::hold(&script);
    }

    #[test]
    fn only_the_token_is_accepted(token in "[A-Za-z0-9_-]{20,40}", other in ".{0,40}", place: usize) {
        let tokens = CallbackTokens::new([&token]);
        prop_assert_eq!(tokens.is_ok(), token.len() >= 22);
        let Ok(tokens) = tokens else { return Ok(()); };
        prop_assert!(tokens.accepts(&token));
        prop_assert_eq!(tokens.accepts(&other), other == token);
        let place = place % token.len();
        let mut altered = token.clone().into_bytes();
        altered[place] = if altered[place] == b'x' { b'y' } else { b'x' };
        prop_assert!(!tokens.accepts(std::str::from_utf8(&altered).unwrap()));
        prop_assert!(!tokens.accepts(&token[..place]));
    }

    #[test]
    fn waits_stay_within_their_bounds(
        first in 0..u64::MAX, longest in 0..u64::MAX, attempts: u32, attempt: u32, key: u64,
    ) {
        let mut schedule = RetrySchedule::default();
        schedule.initial_delay = Duration::from_nanos(first);
        schedule.max_delay = Duration::from_nanos(longest);
        schedule.max_attempts = attempts;
        let id = DeliveryId::new(key, 0);
        let wait = schedule.wait_after(attempt, id);
        prop_assert_eq!(wait.is_none(), attempt >= attempts.max(1));
        prop_assert!(wait.is_none_or(|wait| wait <= schedule.max_delay.mul_f64(1.2501)));
        prop_assert_eq!(wait, schedule.wait_after(attempt, id), "the same each time");
    }
}

/// One request, right in most of its parts.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = (select(METHODS), select(PATHS), select(VERSIONS));
    (
        line,
        vec(select(HEADERS), 0..5),
        select(LENGTHS),
        bodies::generated(),
    )
        .prop_map(|((method, path, version), headers, length, body)| {
            let path = path.replace("{token}", TOKEN);
            let head = format!("{method} {path} {version}\n{}{length}\n", headers.concat());
            [head.as_bytes(), &body].concat()
        })
}

const METHODS: &[&str] = &[
    "POST", "POST", "POST", "OPTIONS", "GET", "HEAD", "PUT", "post", "",
];
const PATHS: &[&str] = &[
    "/webhooks/heygen",
    "/webhooks/heygen",
    "/webhooks/heygen?a=b",
    "/webhooks/heygen/",
    "/webhooks/heygen/callbacks/{token}",
    "/webhooks/heygen/callbacks/{token}x",
    "/webhooks/heygen/callbacks/",
    "//webhooks/heygen",
    "http://a/webhooks/heygen",
    "*",
];
const VERSIONS: &[&str] = &["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/3.0", ""];
const HEADERS: &[&str] = &[
    "Host: a\n",
    "Signature: {sign}\n",
    "Signature: {sign}\n",
    "Heygen-Signature: {sign}\n",
    "Signature: 00\n",
    "Signature: {sign},{sign}\r\n",
    "Content-Encoding: identity\n",
    "Content-Encoding: br\n",
    "Connection: close\n",
    "Expect: 100-continue\n",
    " folded\n",
    "A: \0\n",
];
const LENGTHS: &[&str] = &[
    "Content-Length: {length}\n",
    "Content-Length: {length}\n",
    "Content-Length: {length}\nContent-Length: {length}\n",
    "Content-Length: 1\n",
    "Content-Length: -1\n",
    "Content-Length: 99999999999999999999\n",
    "Transfer-Encoding: chunked\n",
    "Transfer-Encoding: chunked\nContent-Length: {length}\n",
    "",
];
