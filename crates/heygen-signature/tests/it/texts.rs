//! Every text an operator can read, as a snapshot.

use std::error::Error;

use heygen_signature::{Secret, Secrets, Signature, diagnose, verify};

fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

#[test]
fn diagnoses() {
    let sign = |secret: &str, body: &str| {
        Secret::new(secret)
            .unwrap()
            .sign(body.as_bytes())
            .to_string()
    };
    let good = sign("whsec_a2V5", "[1]");
    let prefixed = format!("sha256={good}");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("signature", &good)], "whsec_a2V5"),
        (&[], "whsec_a2V5"),
        (&[("x-heygen-signature", &good)], "whsec_a2V5"),
        (&[("signature", &good), ("signature", &good)], "whsec_a2V5"),
        (&[("signature", "?")], "whsec_a2V5"),
        (&[("signature", &prefixed)], "whsec_a2V5"),
        (&[("signature", &good)], "whsec_a2V5\n"),
        (&[("signature", &sign("a2V5", "[1]"))], "whsec_a2V5"),
        (&[("signature", &good)], "a2V5"),
        (&[("signature", &sign("key", "[1]"))], "whsec_a2V5"),
        (&[("signature", &sign("whsec_a2V5", "[1]\n"))], "whsec_a2V5"),
        (&[("signature", &good)], "whsec_another"),
    ];
    let lines: Vec<_> = cases
        .iter()
        .map(|(headers, secret)| {
            let secrets = Secrets::from(Secret::new(*secret).unwrap());
            let diagnosis = diagnose(headers.iter().copied(), b"[1]", &secrets);
            format!("{}: {diagnosis}", diagnosis.label())
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn errors() {
    let secrets = Secrets::from(Secret::new("whsec_test").unwrap());
    let other = Secret::new("another").unwrap().sign(b"").to_string();
    let rejected = |headers: &[(&str, &str)]| {
        chain(&verify(headers.iter().copied(), b"", &secrets).unwrap_err())
    };
    let lines = [
        chain(&Secret::new("").unwrap_err()),
        chain(&Secrets::try_from(Vec::new()).unwrap_err()),
        chain(&"?".parse::<Signature>().unwrap_err()),
        rejected(&[]),
        rejected(&[("signature", "?")]),
        rejected(&[("signature", &other), ("signature", &other)]),
        rejected(&[("signature", &other)]),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}
