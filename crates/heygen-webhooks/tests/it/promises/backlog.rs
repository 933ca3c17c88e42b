//! `serve` with a long backlog: it starts at once, and its memory is bounded.

use std::fs;
use std::time::SystemTime;

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{Imported, InboxAdmin as _, NewDelivery, Source};

use super::{event, get, metric, sender};
use crate::support::{Workdir, eventually};

/// Their bodies together are twice what it may take.
const PENDING: usize = 10_000;
const BODY_BYTES: usize = 12 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_backlog_is_drained_beside_new_deliveries_in_bounded_memory() {
    let workdir = Workdir::new();
    fill(&workdir).await;
    let serve = workdir.serve(&["--on", "*=ignore"]);
    let metrics = format!("{}/metrics", serve.admin());
    let before = memory(serve.process_id(), "VmRSS");
    let sender = sender(&serve);
    let pending = || metric(&get(&metrics).body, "pending").unwrap_or(f64::MAX);
    let (mut sent, mut rounds_beside) = (0, 0);
    loop {
        for _ in 0..50 {
            let probe = sender.probe().await.expect("a request");
            assert!(probe.passed(), "{:?}", probe.attempt());
            let body = event("order.new", &format!("new-{sent}"));
            let report = sender.deliver(body).await.expect("a request");
            assert!(report.accepted(), "{:?}", report.attempts());
            sent += 1;
        }
        let left = pending();
        rounds_beside += u32::from(left > 0.0);
        if left < PENDING as f64 / 10.0 {
            break;
        }
    }
    assert!(rounds_beside > 0, "it was drained before anything came in");
    eventually(|| pending() == 0.0);
    let most = memory(serve.process_id(), "VmHWM");
    assert!(most < before + (64 << 10), "{before} KiB, then {most} KiB");
}

async fn fill(workdir: &Workdir) {
    let path = workdir.path().join("heygen-inbox.db");
    let inbox = SqliteInbox::open_beside(path).expect("an inbox");
    let now = SystemTime::now();
    let numbers: Vec<_> = (0..PENDING).collect();
    for chunk in numbers.chunks(1000) {
        let deliveries: Vec<_> = chunk
            .iter()
            .map(|number| {
                let body = event("order.old", &format!("old-{number}"));
                let body = format!("{body:BODY_BYTES$}").into();
                Imported::new(NewDelivery::new(now, Source::Webhook, Vec::new(), body))
            })
            .collect();
        inbox.import(deliveries).await.expect("kept");
    }
}

/// In KiB, as Linux tells.
fn memory(process_id: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process_id}/status")).expect("a process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.expect("a number").parse().expect("a number")
}
