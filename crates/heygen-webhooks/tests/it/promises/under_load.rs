//! The `inbox` commands beside a `serve` under load: each works, and every delivery is answered.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{are_all, event, import, old, sender};
use crate::support::{Workdir, eventually};

/// Follows until it is dropped.
struct Tail(Child);

impl Tail {
    fn start(workdir: &Workdir) -> Self {
        let mut tail = workdir.command(&["inbox", "tail", "--json"]);
        tail.stdin(Stdio::null()).stdout(Stdio::null());
        Self(tail.spawn().expect("the binary starts"))
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_works_and_every_delivery_is_answered() {
    let workdir = Workdir::new();
    import(
        &workdir,
        (0..500).map(|number| old(&format!("old-{number}"), "acknowledged", 40, 0)),
    );
    let serve = workdir.serve(&["--on", "*=ignore"]);
    let mut tail = Tail::start(&workdir);
    let (sent, is_over) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let sender = sender(&serve);
            let (sent, is_over) = (sent.clone(), is_over.clone());
            tokio::spawn(async move {
                let mut number = 0;
                while !is_over.load(Ordering::SeqCst) {
                    let body = event("order.new", &format!("new-{client}-{number}"));
                    let report = sender.deliver(body).await.expect("a request");
                    assert!(report.accepted(), "{:?}", report.attempts());
                    let probe = sender.probe().await.expect("a request");
                    assert!(probe.passed(), "{:?}", probe.attempt());
                    number += 1;
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for round in 0..3 {
        // Each round has deliveries of its own.
        let before = sent.load(Ordering::SeqCst);
        eventually(|| sent.load(Ordering::SeqCst) > before + 20);
        let copy = format!("copy-{round}.db");
        for arguments in [
            &["stats", "--json"][..],
            &["list", "--json", "--limit", "0"],
            &["replay", "--all", "--yes", "--json"],
            &["export", "--output", "out.jsonl", "--force"],
            &["prune", "--older-than", "30d", "--yes", "--json"],
            &["import", "out.jsonl", "--trust"],
            &["check", "--full"],
            &["backup", &copy],
        ] {
            workdir.run(&[&["inbox"], arguments].concat()).ok();
        }
    }
    is_over.store(true, Ordering::SeqCst);
    for client in clients {
        client
            .await
            .expect("every delivery and every probe was answered");
    }
    let ended = tail.0.try_wait().expect("it can be asked");
    assert!(ended.is_none(), "tail goes on: {ended:?}");
    eventually(|| are_all(&workdir, "acknowledged"));
    let stored = workdir.by_subject();
    assert!(stored.values().all(|count| *count == 1), "{stored:?}");
    let new = stored.keys().filter(|subject| subject.starts_with("new-"));
    assert_eq!(new.count(), sent.load(Ordering::SeqCst));
}
