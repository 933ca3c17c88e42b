//! What `serve` promises to whoever runs it for months, proved from outside: by requests, signals, limits of the system, and
//! what stands in the inbox afterwards.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use heygen_signature::Secret;
use heygen_testkit::Sender;
use serde_json::Value;

use crate::support::{SECRET, Serve, Workdir, eventually};

mod admin;
#[cfg(target_os = "linux")]
mod backlog;
mod callbacks;
mod clock;
mod crashes;
#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(target_os = "linux")]
mod disk_errors;
#[cfg(target_os = "linux")]
mod full_disk;
#[cfg(target_os = "linux")]
mod memory;
mod ordered;
mod rejected;
mod retention;
mod under_load;

/// An answer, read to the end of its connection.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One request on a connection of its own.
pub(crate) fn ask(url: &str, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let rest = url.strip_prefix("http://").expect("an address");
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let fields = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let length = match method {
        "POST" => format!("Content-Length: {}\r\n", body.len()),
        _ => String::new(),
    };
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{}{length}\r\n",
        fields.collect::<String>()
    );
    let mut stream = TcpStream::connect(address).expect("a connection");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("a socket");
    let request = [head.as_bytes(), body].concat();
    stream.write_all(&request).expect("it is taken");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a header");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) fn get(url: &str) -> Answer {
    ask(url, "GET", &[], b"")
}

pub(crate) fn sign(body: &str) -> String {
    let secret = Secret::new(SECRET).expect("a secret");
    secret.sign(body.as_bytes()).to_string()
}

/// Posts a signed body; it is taken.
#[track_caller]
pub(crate) fn post(serve: &Serve, body: &str) -> Value {
    let signature = sign(body);
    let answer = ask(
        &serve.url,
        "POST",
        &[("Signature", &signature)],
        body.as_bytes(),
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}

/// An event of this name about this subject.
pub(crate) fn event(name: &str, subject: &str) -> String {
    format!(r#"{{"event_type":"{name}","event_data":{{"video_id":"{subject}"}}}}"#)
}

fn sender(serve: &Serve) -> Sender {
    Sender::new(&serve.url).secret(Secret::new(SECRET).expect("a secret"))
}

/// A program in the place's folder.
pub(crate) fn script(workdir: &Workdir, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = workdir.file(name, format!("#!/bin/sh\n{text}\n"));
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("an executable file");
    path
}

/// Starts `serve` with a program as its handler.
pub(crate) fn serve_with_program(workdir: &Workdir, options: &[&str], text: &str) -> Serve {
    let program = script(workdir, "handle", text);
    let program = program.to_str().expect("a path");
    workdir.serve(&[options, &["--exec", program]].concat())
}

pub(crate) fn list(workdir: &Workdir) -> Vec<Value> {
    let arguments = ["inbox", "list", "--json", "--limit", "0"];
    let list = workdir.json(&arguments);
    list.as_array().expect("an array").clone()
}

/// How often each subject is in the inbox.
pub(crate) fn by_subject(workdir: &Workdir) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for delivery in list(workdir) {
        let subject = delivery["subject_id"].as_str().expect("a subject");
        *counts.entry(subject.to_owned()).or_default() += 1;
    }
    counts
}

/// All of it, and every attempt.
pub(crate) fn show(workdir: &Workdir, delivery: &Value) -> Value {
    let id = delivery["id"].as_str().expect("an id");
    workdir.json(&["inbox", "show", id, "--json"])
}

/// The newest delivery, whole, once it is in this state.
pub(crate) fn newest_once(workdir: &Workdir, state: &str) -> Value {
    let mut newest = None;
    eventually(|| {
        newest = list(workdir).into_iter().next();
        newest
            .as_ref()
            .is_some_and(|newest| newest["state"] == state)
    });
    show(workdir, &newest.expect("it is there"))
}

pub(crate) fn results(delivery: &Value) -> Vec<&str> {
    let attempts = delivery["attempt_list"].as_array().expect("attempts");
    attempts
        .iter()
        .map(|attempt| attempt["result"].as_str().expect("a word"))
        .collect()
}

/// The value of a series of `/metrics`, named without its common prefix.
fn metric(metrics: &str, series: &str) -> Option<f64> {
    let series = format!("heygen_webhooks_{series} ");
    let line = metrics.lines().find(|line| line.starts_with(&series))?;
    line[series.len()..].parse().ok()
}

/// A delivery so many days old, as a line of an export. What is finished was handed out once.
pub(crate) fn old(subject: &str, state: &str, days: i64, filling: usize) -> Value {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
    let filling = "x".repeat(filling);
    let body = format!(
        r#"{{"event_type":"order.old","event_data":{{"video_id":"{subject}","filling":"{filling}"}}}}"#
    );
    serde_json::json!({
        "received_at": at.to_string(),
        "source": "webhook",
        "state": state,
        "attempts": u32::from(state != "pending"),
        "headers": [],
        "body": body,
    })
}

/// Takes such lines into the inbox of this workdir.
pub(crate) fn import(workdir: &Workdir, lines: impl IntoIterator<Item = Value>) {
    let text: String = lines.into_iter().map(|line| format!("{line}\n")).collect();
    let arguments = ["inbox", "import", "-", "--trust", "--strict"];
    workdir.run_with(&arguments, text.as_bytes(), &[]).ok();
}

/// Whether every delivery is in this state.
pub(crate) fn are_all(workdir: &Workdir, state: &str) -> bool {
    list(workdir)
        .iter()
        .all(|delivery| delivery["state"] == state)
}
