//! Each way in which a request can fail to verify, and its diagnosis.

use heygen_signature::{Diagnosis, Secret, Secrets, diagnose, verify};

const SECRET: &str = "whsec_TS_YwqJ-HujAT0KvEMqxrg==";
const BODY: &str = r#"{"event_type":"avatar_video.success","event_data":{"video_id":"abc123","url":"https://example.com/v.mp4?a=1&b=2","folder_id":"Ünï 😀","callback_id":null}}"#;

fn sign(secret: &str, body: &str) -> String {
    Secret::new(secret)
        .unwrap()
        .sign(body.as_bytes())
        .to_string()
}

fn secrets(texts: &[&str]) -> Secrets {
    Secrets::collect(texts.iter().map(|text| Secret::new(*text).unwrap())).unwrap()
}

/// Diagnoses, and checks that `verify` agrees.
#[track_caller]
fn check(headers: &[(&str, &str)], body: &[u8], configured: &[&str], label: &str, secret: usize) {
    let secrets = secrets(configured);
    let diagnosis = diagnose(headers.iter().copied(), body, &secrets);
    assert_eq!(diagnosis.label(), label, "{diagnosis}");
    let index = match diagnosis {
        Diagnosis::Verified { secret }
        | Diagnosis::MatchesTrimmedSecret { secret }
        | Diagnosis::MatchesSecretWithoutPrefix { secret }
        | Diagnosis::MatchesSecretWithPrefix { secret }
        | Diagnosis::MatchesBase64DecodedSecret { secret }
        | Diagnosis::MatchesReserializedBody { secret } => secret,
        _ => 0,
    };
    assert_eq!(index, secret);
    let verdict = verify(headers.iter().copied(), body, &secrets);
    assert_eq!(verdict.is_ok(), diagnosis.is_verified(), "{diagnosis}");
}

/// `signed` is what the sender signed, `received` what arrived.
#[track_caller]
fn check_body(signed: &str, received: &str, label: &str) {
    let signature = sign(SECRET, signed);
    check(
        &[("Signature", &signature)],
        received.as_bytes(),
        &[SECRET],
        label,
        0,
    );
}

/// `used` is what the sender took as the key.
#[track_caller]
fn check_key(used: &str, configured: &[&str], label: &str, secret: usize) {
    let signature = sign(used, BODY);
    check(
        &[("Signature", &signature)],
        BODY.as_bytes(),
        configured,
        label,
        secret,
    );
}

#[test]
fn signed_request_verifies() {
    check_key(SECRET, &[SECRET], "verified", 0);
    check_key(SECRET, &["other", SECRET], "verified", 1);
    let signature = sign(SECRET, BODY);
    check(
        &[("heygen-signature", &signature)],
        BODY.as_bytes(),
        &[SECRET],
        "verified",
        0,
    );
}

#[test]
fn headers_without_a_usable_signature() {
    let good = sign(SECRET, BODY);
    let prefixed = format!("sha256={good}");
    let joined = format!("{good}, {good}");
    let body = BODY.as_bytes();
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "no-signature-header"),
        (
            &[("content-type", "application/json")],
            "no-signature-header",
        ),
        (&[("X-Signature", &good)], "no-signature-header"),
        (&[("X-HeyGen-Signature", &good)], "only-x-heygen-signature"),
        (
            &[("X-HeyGen-Signature", &good), ("X-HeyGen-Signature", &good)],
            "only-x-heygen-signature",
        ),
        (
            &[("X-HeyGen-Signature", &good), ("signature", "-")],
            "not-hex",
        ),
        (
            &[("Signature", &good), ("signature", &good)],
            "ambiguous-signature",
        ),
        (&[("Signature", &joined)], "ambiguous-signature"),
        (&[("Signature", "")], "not-hex"),
        (&[("Signature", &good[..63])], "not-hex"),
        (&[("Signature", "sha256")], "not-hex"),
        // The same 32 bytes in base64.
        (
            &[("Signature", "jYvNucWCPfoGL1hExAmlvHN/fgKmhbMJGUTi0a14244=")],
            "not-hex",
        ),
        (&[("Signature", &prefixed)], "sha256-prefix"),
        (
            &[("Heygen-Signature", &prefixed.to_uppercase())],
            "sha256-prefix",
        ),
    ];
    for (headers, label) in cases {
        check(headers, body, &[SECRET], label, 0);
    }
}

#[test]
fn secret_with_white_space_or_quotes_around_it() {
    for configured in [
        format!("{SECRET}\n"),
        format!(" {SECRET}"),
        format!("{SECRET}\r\n"),
        format!("\"{SECRET}\""),
        format!("'{SECRET}'\n"),
        format!("\u{feff}{SECRET}\r\n"),
        format!("{SECRET}\u{200b}"),
        format!("\u{feff}\"{SECRET}\"\n"),
    ] {
        check_key(SECRET, &[&configured], "matches-trimmed-secret", 0);
        check_key(SECRET, &["other", &configured], "matches-trimmed-secret", 1);
    }
}

#[test]
fn secret_with_and_without_its_prefix() {
    let bare = "TS_YwqJ-HujAT0KvEMqxrg==";
    check_key(bare, &[SECRET], "matches-secret-without-prefix", 0);
    check_key(
        bare,
        &["other", &format!("{SECRET}\n")],
        "matches-secret-without-prefix",
        1,
    );
    check_key(SECRET, &[bare], "matches-secret-with-prefix", 0);
    check_key(
        SECRET,
        &["whsec_other", &format!(" {bare}")],
        "matches-secret-with-prefix",
        1,
    );
}

#[test]
fn signer_that_decodes_the_secret() {
    // Base64 of the text `a key of 16 byte`, in both alphabets the same.
    let decoded = "a key of 16 byte";
    for configured in [
        "whsec_YSBrZXkgb2YgMTYgYnl0ZQ==",
        "whsec_YSBrZXkgb2YgMTYgYnl0ZQ",
        "YSBrZXkgb2YgMTYgYnl0ZQ==",
    ] {
        check_key(decoded, &[configured], "matches-base64-decoded-secret", 0);
        check_key(
            decoded,
            &["other", configured],
            "matches-base64-decoded-secret",
            1,
        );
    }
}

#[test]
fn body_that_was_serialized_again() {
    let label = "matches-reserialized-body";
    let spaced = BODY.replace("\":", "\": ").replace(",\"", ", \"");
    let escaped = BODY
        .replace('Ü', "\\u00dc")
        .replace('ï', "\\u00ef")
        .replace('😀', "\\ud83d\\ude00");
    let spaced_escaped = escaped.replace("\":", "\": ").replace(",\"", ", \"");
    let slashes = BODY.replace('/', "\\/");
    let html_escaped = BODY.replace('&', "\\u0026");
    let value: serde_json::Value = serde_json::from_str(BODY).unwrap();
    let pretty = serde_json::to_string_pretty(&value["event_data"]).unwrap();
    let compact = serde_json::to_string(&value["event_data"]).unwrap();

    check_body(BODY, &spaced, label);
    check_body(&spaced, BODY, label);
    check_body(&spaced_escaped, BODY, label);
    check_body(&escaped, &spaced, label);
    check_body(BODY, &escaped, label);
    check_body(BODY, &slashes, label);
    check_body(&slashes, BODY, label);
    check_body(BODY, &html_escaped, label);
    check_body(&spaced_escaped, &html_escaped, label);
    check_body(&compact, &pretty, label);
    check_body(BODY, &format!("{BODY}\n"), label);
    check_body(&format!("{BODY}\n"), BODY, label);
    check_body(&format!("{spaced}\n"), BODY, label);
}

#[test]
fn diagnosis_names_the_secret_that_signed_the_other_spelling() {
    let signature = sign(SECRET, BODY);
    let received = format!("{BODY}\n");
    let headers = [("Signature", signature.as_str())];
    check(
        &headers,
        received.as_bytes(),
        &["other", SECRET],
        "matches-reserialized-body",
        1,
    );
}

#[test]
fn signature_that_matches_nothing() {
    let label = "matches-no-secret";
    check_key("whsec_c29tZXRoaW5nIGVsc2U=", &[SECRET, "other"], label, 0);
    check_body(BODY, &BODY.replace("abc123", "abc124"), label);
    check_body(BODY, "", label);
    check_body(BODY, "{\"unfinished", label);
    let signature = sign(SECRET, BODY);
    check(
        &[("Signature", &signature)],
        b"\xff\xfe",
        &[SECRET],
        label,
        0,
    );
}

#[test]
fn large_body_is_not_rewritten() {
    let large = |length: usize| format!("[\"{}\"]", "x".repeat(length - 4));
    let limit = 64 * 1024;
    check_body(
        &large(limit - 1),
        &format!("{}\n", large(limit - 1)),
        "matches-reserialized-body",
    );
    check_body(
        &large(limit),
        &format!("{}\n", large(limit)),
        "matches-no-secret",
    );
}
