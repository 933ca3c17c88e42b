//! What `serve` promises to whoever runs it for months, proved from outside: by requests, signals, limits of the system, and
//! what stands in the inbox afterwards.

use std::path::PathBuf;

use heygen_signature::Secret;
use heygen_testkit::Sender;
use serde_json::Value;

use crate::http::{Answer, ask, get, post, sign};
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

/// All of it, and every attempt.
pub(crate) fn show(workdir: &Workdir, delivery: &Value) -> Value {
    let id = delivery["id"].as_str().expect("an id");
    workdir.json(&["inbox", "show", id, "--json"])
}

/// The newest delivery, whole, once it is in this state.
pub(crate) fn newest_once(workdir: &Workdir, state: &str) -> Value {
    let mut newest = None;
    eventually(|| {
        newest = workdir.list().into_iter().next();
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
    workdir
        .list()
        .iter()
        .all(|delivery| delivery["state"] == state)
}
