//! Hostile requests: named ones, generated ones, any bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::invariants;

#[test]
fn invariants_hold_for_named_requests() {
    let long = "a".repeat(1 << 20);
    let many = "Signature: {first}\n".repeat(10_000);
    for request in [
        "",
        "\n\n",
        "Signature: {first}\n\n{}",
        "Signature: {second}\n\n",
        "SIGNATURE:\t {first} \t\n\n{}",
        "Signature: {first}\nHeygen-Signature: {other}\n\n{}",
        "Signature:\nHeygen-Signature: {first}\n\n{}",
        "Signature: {first}\0\n\n{}",
        "Signature: {first},\n\n{}",
        "Signature: ,{first}\n\n{}",
        "Signature: sha256={first}\n\n{}",
        "Signature: {other}\n\n{\"a\": \"\\ud800\"}",
        "Signature: {other}\n\n{\"a\":1e999,\"a\":-0.0}",
        &format!("Signature: {long}\n\n{{}}"),
        &format!("Signature: {{other}}\n\n\"{long}\""),
        &format!("Signature: {{other}}\n\n{}", "[".repeat(60_000)),
        &format!(
            "Signature: {{other}}\n\n{}{}",
            "[".repeat(30_000),
            "]".repeat(30_000)
        ),
        &format!("{many}\n{{}}"),
    ] {
        invariants::hold(request.as_bytes());
    }
    for body in [&b"\xff\xfe"[..], b"\0", b"{\"a\":\"\xed\xa0\x80\"}"] {
        invariants::hold(&[b"Signature: {first}\n\n", body].concat());
        invariants::hold(&[b"Signature: {other}\n\n", body].concat());
        invariants::hold(&[b"Signature: {first}", body, b"\n\n{}"].concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn invariants_hold_for_generated_requests(
        headers in vec((select(NAMES), vec(select(PIECES), 0..4)), 0..4),
        body in vec(any::<u8>(), 0..100),
    ) {
        let lines: String = headers
            .iter()
            .map(|(name, pieces)| format!("{name}:{}\n", pieces.concat()))
            .collect();
        invariants::hold(&[lines.as_bytes(), b"\n", &body].concat());
    }

    #[test]
    fn invariants_hold_for_any_bytes(request in vec(any::<u8>(), 0..300)) {
        invariants::hold(&request);
    }
}

const NAMES: &[&str] = &[
    "Signature",
    "signature",
    "SIGNATURE",
    "Heygen-Signature",
    "X-HeyGen-Signature",
    "Host",
    "",
];

const PIECES: &[&str] = &[
    "{first}", "{second}", "{other}", " ", "\t", ",", "0", "sha256=", "\"", "\u{a0}", "é",
];
