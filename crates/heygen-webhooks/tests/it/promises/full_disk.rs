//! `serve` on a full disk: a soft limit on the size of its files, lifted from outside.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex};

use heygen_testkit::Sender;

use super::{are_all, get, sender};
use crate::support::{SECRET, Serve, Workdir, eventually, with_free_ports};

/// `serve` whose files may have so many blocks of half a KiB or one, as the shell counts.
fn start(workdir: &Workdir, blocks: u32) -> Serve {
    let plain = workdir.command(&with_free_ports(&["--json"]));
    let mut command = Command::new("sh");
    let limit = format!(r#"trap '' XFSZ; ulimit -S -f {blocks}; exec "$@""#);
    command
        .args(["-c", &limit, "sh"])
        .arg(plain.get_program())
        .args(plain.get_args());
    for (name, _) in plain.get_envs() {
        command.env_remove(name);
    }
    workdir.start(command, &[("HEYGEN_WEBHOOK_SECRET", SECRET)])
}

fn lift(serve: &Serve) {
    let process_id = serve.process_id().to_string();
    let lifted = Command::new("prlimit")
        .args(["--fsize=unlimited", "--pid", &process_id])
        .status();
    assert!(lifted.expect("prlimit").success());
}

fn body(subject: &str) -> String {
    let filling = "x".repeat(20_000);
    format!(
        r#"{{"event_type":"order.large","event_data":{{"video_id":"{subject}","filling":"{filling}"}}}}"#
    )
}

#[derive(Default)]
struct Outcome {
    answered: BTreeSet<String>,
    refused: BTreeSet<String>,
}

/// Delivers until everybody was refused several times.
async fn fill(sender: &Sender) -> Outcome {
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (sender, outcome) = (sender.clone(), outcome.clone());
            tokio::spawn(async move {
                let mut refusals = 0;
                for number in 0.. {
                    let subject = format!("{client}-{number}");
                    let report = sender.deliver(body(&subject)).await.expect("a request");
                    let answer = report.answer().expect("an answer");
                    let mut outcome = outcome.lock().expect("no panic");
                    match answer.status.as_u16() {
                        // Opened anew, the inbox may have found room once more.
                        200 => {
                            refusals = 0;
                            outcome.answered.insert(subject)
                        }
                        503 => {
                            assert!(answer.headers.contains_key("retry-after"));
                            refusals += 1;
                            outcome.refused.insert(subject)
                        }
                        status => panic!("{status}"),
                    };
                    if refusals == 5 {
                        return;
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client ends");
    }
    std::mem::take(&mut *outcome.lock().expect("no panic"))
}

/// Room for less than the log that goes before the file, and for several times as much.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_answers_503_until_there_is_room_and_loses_nothing() {
    for blocks in [512, 10_240] {
        check(blocks).await;
    }
}

async fn check(blocks: u32) {
    let workdir = Workdir::new();
    let serve = start(&workdir, blocks);
    let admin = serve.admin();
    let readiness = || get(&format!("{admin}/readyz")).status;
    assert_eq!(readiness(), 200);
    let sender = sender(&serve);
    let Outcome { answered, refused } = fill(&sender).await;
    assert!(!answered.is_empty());

    eventually(|| readiness() == 503);
    assert_eq!(get(&format!("{admin}/healthz")).status, 200);
    for _ in 0..5 {
        let probe = sender.probe().await.expect("a request");
        assert!(probe.passed(), "{:?}", probe.attempt());
    }
    let stored = workdir.by_subject();
    assert!(stored.values().all(|count| *count == 1), "{stored:?}");
    assert_eq!(stored.keys().cloned().collect::<BTreeSet<_>>(), answered);

    lift(&serve);
    eventually(|| readiness() == 200);
    for subject in &refused {
        let report = sender.deliver(body(subject)).await.expect("a request");
        let answer = report.answer().expect("an answer").text();
        assert!(answer.contains(r#""status":"accepted""#), "{answer}");
    }
    for subject in &answered {
        let report = sender.deliver(body(subject)).await.expect("a request");
        let answer = report.answer().expect("an answer").text();
        assert!(answer.contains(r#""status":"duplicate""#), "{answer}");
    }
    eventually(|| are_all(&workdir, "acknowledged"));
    let all: BTreeSet<_> = answered.union(&refused).cloned().collect();
    assert_eq!(workdir.list().len(), all.len());
    serve.signal("TERM");
    let (status, lines, log) = serve.wait();
    assert_eq!(status, 0);
    let failures = log.iter().filter(|line| line.contains("commit failed"));
    let failures = failures.count();
    assert!(
        (1..=3).contains(&failures),
        "{failures} log lines: one a minute"
    );
    let handed_out: BTreeSet<_> = lines
        .iter()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            line["subject_id"].as_str().expect("a subject").to_owned()
        })
        .collect();
    assert_eq!(handed_out, all);
    workdir.run(&["inbox", "check", "--full"]).ok();
}
