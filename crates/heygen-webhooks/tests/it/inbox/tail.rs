//! `inbox tail`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::{post, three_events};
use crate::support::Workdir;

struct Tail {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Tail {
    fn start(workdir: &Workdir, arguments: &[&str]) -> Self {
        let mut child = workdir
            .command(&[&["inbox", "tail"], arguments].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line
    }

    fn id(&mut self) -> Value {
        let line: Value = serde_json::from_str(&self.line()).expect("a line is JSON");
        line["id"].clone()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn event(name: &str, number: u32) -> String {
    format!(r#"{{"event_type":"{name}","event_data":{{"n":{number}}}}}"#)
}

#[test]
fn begins_with_the_newest_and_follows_in_order() {
    let workdir = Workdir::new();
    let (serve, sent) = three_events(&workdir);
    let mut tail = Tail::start(&workdir, &["--json", "-n", "2"]);
    assert_eq!([tail.id(), tail.id()], [sent[1].as_str(), sent[2].as_str()]);
    for number in 0..5 {
        let id = post(&serve, event("a.b", number))["id"].clone();
        assert_eq!(tail.id(), id);
    }
}

#[test]
fn drill_runs_only_the_chosen_checks() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--json"]);
    let mut tail = Tail::start(&workdir, &["--event-type", "wanted.x"]);
    for number in 0..3 {
        post(&serve, event("other.x", number));
        let id = post(&serve, event("wanted.x", number))["id"].clone();
        let line = tail.line();
        assert!(
            line.contains(id.as_str().expect("an id")) && line.contains("wanted.x"),
            "{line}"
        );
    }
}

#[cfg(unix)]
#[test]
fn tail_ends_on_a_signal_and_on_a_closed_pipe() {
    let workdir = Workdir::new();
    let (serve, sent) = three_events(&workdir);
    let mut tail = Tail::start(&workdir, &["--json", "-n", "1"]);
    assert_eq!(tail.id(), sent[2].as_str());
    let kill = format!("kill -INT {}", tail.child.id());
    let asked = Command::new("sh").args(["-c", &kill]).status();
    assert!(asked.expect("a shell").success());
    assert_eq!(tail.child.wait().expect("it ends").code(), Some(0));

    let mut child = workdir
        .command(&["inbox", "tail", "-n", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    // Something to say, whether it has begun by now or not.
    post(&serve, event("a.b", 1));
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
