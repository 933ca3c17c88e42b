//! A 2xx means stored, also when the process is killed at work.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use heygen_signature::Secret;
use heygen_testkit::{EventBuilder, Sender};
use tokio::sync::Notify;

use crate::support::{SECRET, Serve, Workdir, eventually};

const ROUNDS: usize = 6;
const CLIENTS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_delivery_survives_sigkill_and_is_dispatched() {
    let workdir = Workdir::new();
    let mut answered = BTreeSet::new();
    let mut handed_out = BTreeSet::new();
    for round in 0..ROUNDS {
        let serve = workdir.serve(&["--json"]);
        // Not a round number, so that the blow falls at another point of the batch every time.
        let enough = 61 + 37 * round;
        let (new, lines) = load_then_kill(serve, CLIENTS, round, enough).await;
        assert!(
            new.len() >= enough,
            "round {round} was under load: {} answers",
            new.len()
        );
        answered.extend(new);
        handed_out.extend(lines.iter().filter_map(|line| subject(line)));

        let stored = workdir.by_subject();
        let lost: Vec<_> = answered
            .iter()
            .filter(|id| !stored.contains_key(*id))
            .collect();
        let twice: Vec<_> = stored.iter().filter(|(_, count)| **count != 1).collect();
        assert!(
            lost.is_empty(),
            "answered and lost in round {round}: {lost:?}"
        );
        assert!(
            twice.is_empty(),
            "stored more than once in round {round}: {twice:?}"
        );
    }
    dispatch_the_rest(&workdir, &answered, handed_out);
}

/// Names that SQLite takes for a database in memory, or for an address.
#[test]
fn an_inbox_is_in_the_file_of_its_name() {
    for name in [":memory:", "file:inbox.db", "file:inbox.db?mode=memory"] {
        let workdir = Workdir::new();
        let serve = workdir.serve(&["--inbox", name]);
        serve.trigger(&workdir, &["avatar_video.success"]).ok();
        serve.kill();
        let listed = workdir
            .run(&["inbox", "list", "--json", "--inbox", name])
            .ok();
        assert_eq!(listed.json().as_array().map(Vec::len), Some(1), "{name}");
        assert!(workdir.path().join(name).is_file(), "{name}");
    }
}

/// Everything that was answered comes out in the end, also what was in a handler's hands when the process died.
fn dispatch_the_rest(
    workdir: &Workdir,
    answered: &BTreeSet<String>,
    mut handed_out: BTreeSet<String>,
) {
    let serve = workdir.serve(&["--json"]);
    while !answered.is_subset(&handed_out) {
        let line = serve.line();
        handed_out.extend(subject(&line));
    }
    // Stored deliveries whose answer never arrived may still be pending.
    let pending = [
        "inbox", "list", "--json", "--limit", "0", "--state", "pending",
    ];
    eventually(|| workdir.json(&pending) == serde_json::json!([]));
    serve.signal("TERM");
    let (status, ..) = serve.wait();
    assert_eq!(status, 0);
}

/// Delivers distinct events from many connections at once; kills the server once `enough` were answered. Gives the subjects of
/// those, and the lines of the server.
pub(crate) async fn load_then_kill(
    serve: Serve,
    clients: usize,
    round: usize,
    enough: usize,
) -> (BTreeSet<String>, Vec<String>) {
    let answered = Arc::new(Mutex::new(BTreeSet::new()));
    let count = Arc::new(AtomicUsize::new(0));
    let is_enough = Arc::new(Notify::new());
    let secret = Secret::new(SECRET).expect("a secret");
    let clients: Vec<_> = (0..clients)
        .map(|client| {
            let sender = Sender::new(&serve.url).secret(secret.clone());
            let (answered, count, is_enough) = (answered.clone(), count.clone(), is_enough.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    let video_id = format!("{round}-{client}-{number}");
                    let body = EventBuilder::new("avatar_video.success")
                        .set("video_id", video_id.as_str())
                        .body();
                    let report = sender.deliver(body).await.expect("a request");
                    if !report.accepted() {
                        return;
                    }
                    answered.lock().expect("no panic").insert(video_id);
                    if count.fetch_add(1, Ordering::SeqCst) + 1 == enough {
                        is_enough.notify_one();
                    }
                }
            })
        })
        .collect();
    is_enough.notified().await;
    let lines = tokio::task::spawn_blocking(|| serve.kill())
        .await
        .expect("killed");
    for client in clients {
        client.await.expect("a client ends when the server is gone");
    }
    let answered = std::mem::take(&mut *answered.lock().expect("no panic"));
    (answered, lines)
}

/// `None` for the line that was being written when the process died.
fn subject(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    Some(line["subject_id"].as_str()?.to_owned())
}
