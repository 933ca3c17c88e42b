//! The vectors that verifiers in other languages are tested with, too.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use heygen_signature::{Secret, Secrets, diagnose, verify};
use serde_json::{Value, json};

#[test]
fn every_vector_gets_its_verdict_and_its_diagnosis() {
    let file = file();
    for vector in file["vectors"].as_array().unwrap() {
        check(vector);
    }
}

#[track_caller]
fn check(vector: &Value) {
    let texts = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let body = BASE64_STANDARD
        .decode(vector["body"].as_str().unwrap())
        .unwrap();
    let headers: Vec<(String, String)> = vector["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| {
            texts(pair)
                .try_into()
                .map(|[name, value]: [String; 2]| (name, value))
                .unwrap()
        })
        .collect();
    let headers = || headers.iter().map(|(name, value)| (name, value));
    let secrets = texts(&vector["secrets"])
        .into_iter()
        .map(|text| Secret::new(text).unwrap());
    let secrets = Secrets::collect(secrets).unwrap();

    let error = verify(headers(), &body, &secrets).err();
    let error =
        error.map(|error| json!({"reason": error.kind().label(), "message": error.to_string()}));
    assert_eq!(json!(error), vector["error"], "{}", vector["name"]);
    let diagnosis = diagnose(headers(), &body, &secrets);
    let expected = &vector["diagnosis"];
    assert_eq!(diagnosis.label(), expected["label"], "{}", vector["name"]);
    assert_eq!(
        diagnosis.to_string(),
        expected["message"],
        "{}",
        vector["name"]
    );
}

#[test]
fn unusable_secrets_are_errors() {
    for vector in file()["unusable_secrets"].as_array().unwrap() {
        let error = Secret::new(vector["secret"].as_str().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), vector["message"].as_str().unwrap());
    }
}

fn file() -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("fixtures/signature-vectors.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}
