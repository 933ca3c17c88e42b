//! A handler for a function platform: headers and a body in, a status and a text out.
//!
//! `cargo run --example function` calls it as a platform would, without a network. AWS Lambda,
//! Cloudflare Workers and others differ only in the types that `handle` converts from.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::collections::HashMap;

use heygen_signature::{Secret, Secrets, diagnose, verify};

/// What a platform passes in. Header names come in any case.
struct Request {
    method: String,
    headers: HashMap<String, String>,
    /// The raw body. If your platform encodes it in base64, decode it first.
    body: Vec<u8>,
}

struct Response {
    status: u16,
    body: String,
}

fn handle(request: &Request, secrets: Option<&Secrets>) -> Response {
    let answer = |status, body: &str| Response {
        status,
        body: body.to_owned(),
    };
    match request.method.as_str() {
        // HeyGen probes the address before it registers it and gives you the secret.
        "OPTIONS" | "GET" | "HEAD" => return answer(204, ""),
        "POST" => {}
        _ => return answer(405, "method not allowed"),
    }
    let Some(secrets) = secrets else {
        // HeyGen sends a delivery again that was answered 503.
        return answer(503, "not ready yet");
    };
    if verify(&request.headers, &request.body, secrets).is_err() {
        // For the log alone: it would help an attacker.
        eprintln!(
            "rejected: {}",
            diagnose(&request.headers, &request.body, secrets)
        );
        return answer(401, "not authorized");
    }
    match serde_json::from_slice::<serde_json::Value>(&request.body) {
        // Store it before you answer: HeyGen does not send it again after a 2xx.
        Ok(event) => answer(200, &format!("stored {}", event["event_type"])),
        Err(error) => answer(200, &format!("signed, but not JSON: {error}")),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = Secret::new("whsec_test")?;
    let body = br#"{"event_type":"avatar_video.fail","event_data":{"video_id":"1"}}"#;
    let signature = secret.sign(body).to_string();
    let secrets = Secrets::from(secret);

    let request = |method: &str, signature: &str| Request {
        method: method.to_owned(),
        headers: HashMap::from([("signature".to_owned(), signature.to_owned())]),
        body: body.to_vec(),
    };
    for (name, request, secrets) in [
        ("probe", request("OPTIONS", ""), None),
        (
            "before there is a secret",
            request("POST", &signature),
            None,
        ),
        ("signed", request("POST", &signature), Some(&secrets)),
        ("unsigned", request("POST", ""), Some(&secrets)),
    ] {
        let response = handle(&request, secrets);
        println!("{name}: {} {}", response.status, response.body);
    }
    Ok(())
}
