//! Calls on the inbox's files that fail: whatever fails and when, what was answered is there once, and the next try succeeds.
//!
//! `cargo xtask faults --only calls` makes every single call fail in four ways; here it is some of them, in one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::thread;

use heygen_inbox::sqlite::{CheckLevel, SqliteInbox};
use heygen_inbox::{InboxAdmin as _, InboxErrorKind, Query, State};
use heygen_signature::Secret;
use heygen_testkit::Sender;

use crate::support::{SECRET, Serve, Workdir, block_on, eventually, with_free_ports};

mod shim;

use shim::Shim;

/// A command, what must be in the inbox before and after it, what it takes in and what it deletes.
struct Case {
    prepare: fn(&Workdir),
    words: &'static [&'static str],
    stay: &'static [&'static str],
    come: &'static [&'static str],
    go: &'static [&'static str],
}

const CASES: [Case; 3] = [
    Case {
        prepare: |workdir| import_file(workdir, "in.jsonl", COME, "pending"),
        words: &["inbox", "import", "in.jsonl", "--trust", "--strict"],
        stay: &[],
        come: COME,
        go: &[],
    },
    Case {
        prepare: |workdir| {
            workdir.file("none.jsonl", "");
            workdir.file(INBOX, FIRST_SCHEMA);
        },
        words: &["inbox", "import", "none.jsonl"],
        stay: &[
            "old-1", "old-2", "old-3", "old-4", "old-5", "old-6", "old-7", "old-8", "old-9",
            "old-10", "old-11", "old-12",
        ],
        come: &[],
        go: &[],
    },
    Case {
        prepare: |workdir| {
            for (name, subjects, state) in [
                ("stay.jsonl", STAY, "pending"),
                ("go.jsonl", GO, "acknowledged"),
            ] {
                import_file(workdir, name, subjects, state);
                workdir
                    .run(&["inbox", "import", name, "--trust", "--strict"])
                    .ok();
            }
        },
        words: &["inbox", "prune", "--older-than", "1d", "--yes"],
        stay: STAY,
        come: &[],
        go: GO,
    },
];

#[test]
fn any_failing_file_call_leaves_the_inbox_sound() {
    thread::scope(|scope| {
        for case in &CASES {
            scope.spawn(|| case.run());
        }
    });
}

impl Case {
    fn run(&self) {
        let shim = Shim::build();
        for n in (1..2000).step_by(STEP) {
            let workdir = Workdir::new();
            (self.prepare)(&workdir);
            shim.plan(&format!("{n} any {n} {n} {EIO} *"));
            let tried = self.try_under(&shim, &workdir);
            let is_done = tried.status.success();
            let when = format!("{:?}, call {n}", self.words);
            if !is_done {
                assert!(!tried.stderr.is_empty(), "{when}");
            }
            if let Some(found) = contents(&workdir.path().join(INBOX), &when) {
                let counted = |subjects: &[&str]| -> usize {
                    subjects.iter().filter_map(|one| found.get(*one)).sum()
                };
                assert!(found.values().all(|count| *count == 1), "{when}: {found:?}");
                assert_eq!(counted(self.stay), self.stay.len(), "{when}: {found:?}");
                if is_done {
                    assert_eq!(counted(self.come), self.come.len(), "{when}: {found:?}");
                    assert_eq!(counted(self.go), 0, "{when}: {found:?}");
                }
            } else {
                assert!(!is_done, "{when}: done, and no inbox");
            }
            workdir.run(self.words).ok();
            let found = contents(&workdir.path().join(INBOX), &when).expect("an inbox");
            let expected = self.stay.iter().chain(self.come);
            let expected: BTreeMap<String, usize> =
                expected.map(|one| ((*one).to_owned(), 1)).collect();
            assert_eq!(found, expected, "{when}");
            if !shim.has_failed() {
                assert!(is_done, "{when}");
                assert!(n > 20, "the shim is in the process");
                return;
            }
        }
        panic!("there is no end to the calls");
    }

    fn try_under(&self, shim: &Shim, workdir: &Workdir) -> Output {
        let mut command = workdir.command(self.words);
        shim.load_into(&mut command, &workdir.path().join(INBOX));
        // Whole, as the shim looks for it.
        command.arg("--inbox").arg(workdir.path().join(INBOX));
        command.output().expect("the binary starts")
    }
}

/// How often each subject is there; `None` while the file is not of this version, or not there. Damage is a failure.
fn contents(inbox: &Path, when: &str) -> Option<BTreeMap<String, usize>> {
    let reader = match SqliteInbox::open_read_only(inbox) {
        Ok(reader) => reader,
        Err(error) if error.kind() == InboxErrorKind::Outdated || !inbox.exists() => return None,
        Err(error) => panic!("{when}: {error:?}"),
    };
    let flaws = block_on(reader.check(CheckLevel::Full)).expect("a check");
    assert!(flaws.is_empty(), "{when}: {flaws:?}");
    let mut counts = BTreeMap::new();
    for summary in block_on(reader.list(Query::default())).expect("a list") {
        *counts
            .entry(summary.subject_id.unwrap_or_default())
            .or_default() += 1;
    }
    Some(counts)
}

/// A running `serve` with the shim in it.
struct Stage {
    workdir: Workdir,
    shim: Shim,
    serve: Serve,
    sender: Sender,
    admin: String,
    accepted: Vec<String>,
    sent: usize,
}

impl Stage {
    fn new() -> Self {
        let (workdir, shim) = (Workdir::new(), Shim::build());
        let inbox = workdir.path().join(INBOX);
        let options = ["--inbox", inbox.to_str().expect("a path")];
        let mut command = workdir.command(&with_free_ports(&options));
        shim.load_into(&mut command, &inbox);
        let serve = workdir.start(command, &[("HEYGEN_WEBHOOK_SECRET", SECRET)]);
        let secret = Secret::new(SECRET).expect("a secret");
        Self {
            sender: Sender::new(&serve.url).secret(secret),
            admin: serve.admin(),
            workdir,
            shim,
            serve,
            accepted: Vec::new(),
            sent: 0,
        }
    }

    /// Sends one event, with a body of about so many bytes; whether it was taken.
    async fn send(&mut self, bytes: usize) -> bool {
        self.sent += 1;
        let subject = self.sent.to_string();
        let body = body(&subject, bytes);
        let report = self.sender.deliver(body).await.expect("a request");
        let status = report.answer().expect("an answer").status.as_u16();
        assert!(matches!(status, 200 | 503), "{status}");
        if status == 200 {
            self.accepted.push(subject);
        }
        status == 200
    }

    fn count(&self, state: State) -> usize {
        let path = self.workdir.path().join(INBOX);
        let reader = SqliteInbox::open_read_only(path).expect("an inbox");
        let list = block_on(reader.list(Query::default().state(state)));
        list.expect("a list").len()
    }

    fn readiness(&self) -> u16 {
        super::get(&format!("{}/readyz", self.admin)).status
    }

    /// Kills it, and finds everything that was answered, once.
    fn end(self) {
        self.serve.kill();
        let found = contents(&self.workdir.path().join(INBOX), "killed").expect("an inbox");
        assert!(found.values().all(|count| *count == 1), "{found:?}");
        let lost: Vec<_> = self
            .accepted
            .iter()
            .filter(|subject| !found.contains_key(*subject))
            .collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_commit_answers_503_and_serve_continues() {
    let mut stage = Stage::new();
    assert!(stage.send(0).await);
    // A commit that records what became of it is not the one that is to fail.
    eventually(|| stage.count(State::Acknowledged) == 1);
    stage.shim.plan(&format!("1 sync 1 1 {EIO} {INBOX}-wal"));
    assert!(!stage.send(0).await, "its fsync failed");
    assert!(stage.shim.has_failed());
    stage
        .serve
        .log_line("the inbox was opened again after a failure");
    assert!(stage.send(0).await);
    stage.end();
}

/// The log may be on the disk that fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_go_on_failing_are_logged_once_a_minute() {
    let mut stage = Stage::new();
    assert!(stage.send(0).await);
    stage
        .shim
        .plan(&format!("1 write 1 1000000 {EIO} {INBOX}-wal"));
    for _ in 0..20 {
        assert!(!stage.send(0).await);
    }
    stage.shim.relent();
    eventually(|| stage.readiness() == 200);
    assert!(stage.send(0).await);
    stage.serve.signal("TERM");
    let (status, _, log) = stage.serve.wait();
    assert_eq!(status, 0);
    for text in ["commit failed", "opened again after a failure"] {
        let lines = log.iter().filter(|line| line.contains(text)).count();
        assert!((1..=3).contains(&lines), "{lines} times: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_fsync_of_the_file_failed_nothing_is_answered_until_one_succeeds() {
    let mut stage = Stage::new();
    stage.shim.plan(&format!("1 sync 1 1000000 {EIO} /{INBOX}"));
    while !stage.shim.has_failed() {
        assert!(stage.sent < 60, "the log is brought into the file");
        // Those before the failure are in the log, which reached the disk.
        let is_taken = stage.send(900_000).await;
        assert!(is_taken || stage.shim.has_failed());
    }
    stage.serve.log_line("checkpoint failed");
    for _ in 0..3 {
        assert!(!stage.send(0).await);
    }
    eventually(|| stage.readiness() == 503);
    stage.serve.log_line("is not trusted after a failure");
    stage.shim.relent();
    eventually(|| stage.readiness() == 200);
    assert!(stage.send(0).await);
    stage.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_inbox_answers_503_until_it_is_writable() {
    let mut stage = Stage::new();
    assert!(stage.send(0).await);
    stage.shim.plan(&format!(
        "1 open-rw,write,sync,truncate,unlink 1 1000000 {EROFS} *"
    ));
    for _ in 0..3 {
        assert!(!stage.send(0).await);
    }
    eventually(|| stage.readiness() == 503);
    let line = stage
        .serve
        .log_line("commit failed; none of these requests were stored");
    assert!(line.contains(INBOX), "{line}");
    // A second process is told why it cannot start.
    let mut command = stage.workdir.command(&["inbox", "import", "none.jsonl"]);
    stage.workdir.file("none.jsonl", "");
    let inbox = stage.workdir.path().join(INBOX);
    command.arg("--inbox").arg(&inbox);
    stage.shim.load_into(&mut command, &inbox);
    let output = command.output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");

    stage.shim.relent();
    eventually(|| stage.readiness() == 200);
    assert!(stage.send(0).await);
    stage.end();
}

/// As lines that `inbox import` reads.
fn import_file(workdir: &Workdir, name: &str, subjects: &[&str], state: &str) {
    let line = |subject: &&str| {
        let line = serde_json::json!({
            "received_at": "2025-01-01T12:00:00Z",
            "source": "webhook",
            "state": state,
            "attempts": u8::from(state != "pending"),
            "headers": [],
            "body": body(subject, 0),
        });
        format!("{line}\n")
    };
    workdir.file(name, subjects.iter().map(line).collect::<String>());
}

fn body(subject: &str, bytes: usize) -> String {
    let filling = "x".repeat(bytes);
    format!(
        r#"{{"event_type":"avatar_video.fail","event_data":{{"video_id":"{subject}","msg":"{filling}"}}}}"#
    )
}

const COME: &[&str] = &["new-1", "new-2", "new-3"];
const STAY: &[&str] = &["stay-1", "stay-2", "stay-3"];
const GO: &[&str] = &["go-1", "go-2", "go-3", "go-4", "go-5", "go-6"];

/// Where commands look when they are not told.
const INBOX: &str = "heygen-inbox.db";

const FIRST_SCHEMA: &[u8] = include_bytes!("../../../../heygen-inbox/tests/files/schema_1.db");

/// Every so many calls one fails: enough of them in a few seconds.
const STEP: usize = 5;

const EIO: i32 = 5;
const EROFS: i32 = 30;
