//! The admin listener: alive, ready or not, and the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use heygen_inbox::{BoxInbox, Inbox, InboxAdmin, InboxErrorKind, MemoryInbox};
use heygen_receiver::{Admin, AdminPages, Delivery, Dispatcher, Observer as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::client::{Answer, Client, ask, request_of_host};
use crate::support::{Fault, Tampered, delivery, until, within_patience};

async fn start<I: InboxAdmin>(pages: AdminPages<I>) -> std::net::SocketAddr {
    let admin = Admin::bind("127.0.0.1:0").await.unwrap();
    let address = admin.local_addr().unwrap();
    tokio::spawn(admin.serve(pages, std::future::pending()));
    address
}

/// The names of tests are not those of the machine.
fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request_of_host("127.0.0.1", method, path, headers)
}

async fn get(address: std::net::SocketAddr, path: &str) -> Answer {
    ask(address, request("GET", path, &[])).await
}

#[tokio::test]
async fn admin_listener_answers_every_path_and_method() {
    let address = start(AdminPages::new(MemoryInbox::new())).await;
    let ready = r#"{"status":"ready","checks":{"inbox":"ok","shutdown":"ok"}}"#;
    for (method, path, status, says) in [
        ("GET", "/healthz", 200, r#"{"status":"ok"}"#),
        ("HEAD", "/healthz", 200, ""),
        ("GET", "/readyz", 200, ready),
        ("GET", "/readyz?verbose", 200, ready),
        ("HEAD", "/readyz", 200, ""),
        ("GET", "/metrics", 404, r#"{"error":"not found"}"#),
        ("GET", "/", 404, r#"{"error":"not found"}"#),
        ("PUT", "/nothing", 404, r#"{"error":"not found"}"#),
        ("POST", "/readyz", 405, r#"{"error":"method not allowed"}"#),
    ] {
        let answer = ask(address, request(method, path, &[])).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, says),
            "{method} {path}"
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("server"), Some("heygen-webhooks"));
        let allow = (status == 405).then_some("GET, HEAD");
        assert_eq!(answer.header("allow"), allow);
    }
}

#[tokio::test]
async fn pause_is_named_and_the_process_ready() {
    let inbox = MemoryInbox::new();
    inbox.pause(std::time::SystemTime::now()).await.unwrap();
    let address = start(AdminPages::new(inbox)).await;
    let answer = get(address, "/readyz").await;
    let checks = r#"{"inbox":"ok","dispatch":"paused","shutdown":"ok"}"#;
    let expected = format!(r#"{{"status":"ready","checks":{checks}}}"#);
    assert_eq!((answer.status, answer.body), (200, expected));
}

/// The pause is stored as a bookmark.
#[tokio::test]
async fn panic_while_the_pause_is_read_leaves_the_process_ready() {
    let times = Arc::new(Semaphore::new(1));
    let inbox = Tampered::new(Fault::Panics("bookmark", Arc::clone(&times)));
    let address = start(AdminPages::new(inbox)).await;
    assert_eq!(get(address, "/readyz").await.status, 200);
    assert_eq!(times.available_permits(), 0, "it panicked");
}

#[tokio::test]
async fn inbox_that_is_opened_is_named_and_the_process_not_ready() {
    let (inbox, opener) = BoxInbox::unopened();
    let address = start(AdminPages::new(inbox)).await;
    let answer = get(address, "/readyz").await;
    let expected = r#"{"status":"not ready","checks":{"inbox":"opening","shutdown":"ok"}}"#;
    assert_eq!((answer.status, answer.body.as_str()), (503, expected));
    assert_eq!(get(address, "/healthz").await.status, 200);
    opener.open(BoxInbox::new(MemoryInbox::new()));
    until(async || get(address, "/readyz").await.status == 200).await;
}

#[tokio::test]
async fn part_that_ended_is_named_and_the_process_not_ready() {
    let pages = AdminPages::new(MemoryInbox::new());
    let address = start(pages.clone()).await;
    assert_eq!(get(address, "/readyz").await.status, 200);
    pages.report_ended("dispatcher");
    pages.report_ended("retention");
    for shutdown in ["ok", "begun"] {
        let answer = get(address, "/readyz").await;
        let checks = format!(r#"{{"dispatcher":"ended","shutdown":"{shutdown}"}}"#);
        let expected = format!(r#"{{"status":"not ready","checks":{checks}}}"#);
        assert_eq!((answer.status, answer.body), (503, expected));
        pages.begin_shutdown();
    }
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn metrics_are_served_if_configured() {
    let metrics = heygen_receiver::Metrics::new(std::time::SystemTime::now());
    let address = start(AdminPages::new(MemoryInbox::new()).metrics(metrics)).await;
    let accept = [("Accept", "application/openmetrics-text; version=1.0.0")];
    let answer = ask(address, request("GET", "/metrics", &accept)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(answer.body.contains("\nheygen_webhooks_pending 0\n"));
    assert!(answer.body.ends_with("# EOF\n"));
    let head = ask(address, request("HEAD", "/metrics", &accept)).await;
    assert_eq!(head.header("content-type"), answer.header("content-type"));

    // Who does not ask for it gets what every program reads.
    let answer = get(address, "/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(
        answer
            .body
            .contains("# TYPE heygen_webhooks_deliveries_total counter\n")
    );
    assert!(answer.body.contains("\nheygen_webhooks_pending 0\n"));
    assert!(!answer.body.contains("# EOF") && !answer.body.contains("# UNIT"));
}

#[tokio::test]
async fn unknown_host_is_rejected() {
    let metrics = AdminPages::new(MemoryInbox::new()).hosts(["metrics.internal"]);
    let address = start(metrics).await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        for (host, expected) in [
            ("attacker.example", 421),
            ("attacker.example:9180", 421),
            ("metrics.internal:9180", 200),
            ("10.0.0.7:9180", 200),
            ("[::1]:9180", 200),
            ("localhost", 200),
        ] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let status = ask(address, request).await.status;
            let expected = match (path, expected) {
                // There are none here.
                ("/metrics", 200) => 404,
                _ => expected,
            };
            assert_eq!(status, expected, "{path} {host}");
        }
    }
}

#[tokio::test]
async fn mounted_pages_have_the_same_host_check() {
    let dashboard = Router::new().route("/dashboard/{id}", post(async |id: Path<String>| id.0));
    let address = start(AdminPages::new(MemoryInbox::new()).mount(dashboard)).await;
    let answer = ask(address, request("POST", "/dashboard/7", &[])).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "7"));
    let answer = get(address, "/dashboard/7").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert_eq!(get(address, "/dashboard").await.status, 404);
    assert_eq!(get(address, "/healthz").await.status, 200);
    let strange = request_of_host("attacker.example", "POST", "/dashboard/7", &[]);
    assert_eq!(ask(address, strange).await.status, 421);
}

#[tokio::test]
async fn readiness_follows_the_inbox_and_ends_with_shutdown() {
    let is_failing = Arc::new(AtomicBool::new(true));
    let inbox = Tampered::new(Fault::FailsWhile(Arc::clone(&is_failing)));
    let pages = AdminPages::new(inbox);
    let address = start(pages.clone()).await;
    let answer = get(address, "/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(
        answer.body,
        r#"{"status":"not ready","checks":{"inbox":"failed","shutdown":"ok"}}"#
    );
    assert_eq!(get(address, "/healthz").await.status, 200);
    is_failing.store(false, Ordering::Relaxed);
    until(async || get(address, "/readyz").await.status == 200).await;
    is_failing.store(true, Ordering::Relaxed);
    until(async || get(address, "/readyz").await.status == 503).await;

    pages.begin_shutdown();
    let answer = get(address, "/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains(r#""shutdown":"begun""#));
    assert_eq!(get(address, "/healthz").await.status, 200);
}

#[tokio::test]
async fn a_worker_that_cannot_claim_is_not_ready() {
    let pages = AdminPages::new(MemoryInbox::new());
    let address = start(pages.clone()).await;
    for (is_stalled, expected) in [
        (false, (200, r#""inbox":"ok","shutdown":"ok""#)),
        (
            true,
            (
                503,
                r#""inbox":"ok","dispatch":"cannot claim deliveries","shutdown":"ok""#,
            ),
        ),
        (false, (200, r#""inbox":"ok","shutdown":"ok""#)),
    ] {
        pages.stalled(is_stalled);
        let answer = get(address, "/readyz").await;
        assert_eq!(answer.status, expected.0);
        assert!(answer.body.contains(expected.1), "{}", answer.body);
        assert_eq!(get(address, "/healthz").await.status, 200);
    }
}

#[tokio::test]
async fn an_inbox_that_hangs_or_is_busy_is_not_ready() {
    for (fault, says) in [
        (Fault::Hangs, "timed out"),
        (Fault::Fails(InboxErrorKind::Busy), "busy"),
    ] {
        let address = start(AdminPages::new(Tampered::new(fault))).await;
        // All of them wait for the one that asks, and no longer than it does.
        let askers: Vec<_> = (0..20)
            .map(|_| tokio::spawn(async move { get(address, "/readyz").await }))
            .collect();
        for asker in askers {
            let answer = within_patience(asker).await.unwrap();
            assert_eq!(answer.status, 503);
            assert!(answer.body.contains(says), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn hanging_handlers_do_not_affect_the_admin_listener() {
    let inbox = MemoryInbox::new();
    for number in 0..50 {
        let delivery = delivery(&number.to_string());
        inbox.append(delivery).await.unwrap();
    }
    let handler = async |_: Delivery| std::future::pending::<()>().await;
    let dispatcher = Dispatcher::new(inbox.clone(), handler);
    let dispatching = tokio::spawn(dispatcher.run(std::future::pending()));
    until(async || inbox.counts().await.unwrap().claimed > 0).await;
    let address = start(AdminPages::new(inbox)).await;
    for path in ["/readyz", "/healthz"] {
        assert_eq!(get(address, path).await.status, 200);
    }
    dispatching.abort();
}

#[tokio::test]
async fn connections_of_the_admin_listener_are_limited() {
    let address = start(AdminPages::new(MemoryInbox::new())).await;
    // They send nothing, and each uses one connection.
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let one_more = Client::connect(address).await;
    assert_eq!(one_more.rest().await, b"", "closed at once");
    drop(silent);
    until(async || {
        let mut client = Client::connect(address).await;
        client.send(request("GET", "/healthz", &[])).await;
        client.rest_starts_with(b"HTTP/1.1 200").await
    })
    .await;
}

#[cfg(all(feature = "sqlite", target_os = "linux"))]
mod full_disk {
    //! A file that may not grow: a child process under a limit of the shell's, lifted from outside.

    use std::io::{BufRead as _, BufReader, Write as _};
    use std::path::Path;
    use std::process::{Command, Stdio};

    use heygen_inbox::Inbox as _;
    use heygen_inbox::sqlite::SqliteInbox;
    use heygen_receiver::AdminPages;

    use super::{get, start};
    use crate::support::{delivery, until};

    const FILE: &str = "HEYGEN_RECEIVER_TEST_FULL_DISK";

    fn say(line: &str) {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n> {line}").unwrap();
        out.flush().unwrap();
    }

    /// The child's part: does nothing in an ordinary run.
    #[tokio::test]
    async fn child() {
        let Some(path) = std::env::var_os(FILE) else {
            return;
        };
        let inbox = SqliteInbox::open(Path::new(&path)).unwrap();
        let address = start(AdminPages::new(inbox.clone())).await;
        assert_eq!(get(address, "/readyz").await.status, 200);
        let filling = "x".repeat(20_000);
        let mut number = 0;
        // Opening the file again after a failure makes some room again, though not for long.
        until(async || {
            number += 1;
            let _ = inbox.append(delivery(&format!("{number}{filling}"))).await;
            get(address, "/readyz").await.status == 503
        })
        .await;
        say("full");
        until(async || get(address, "/readyz").await.status == 200).await;
        say("ready");
    }

    #[test]
    fn an_inbox_on_a_full_disk_is_not_ready_until_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", r#"trap '' XFSZ; ulimit -S -f 512; exec "$@""#, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "admin::full_disk::child", "--nocapture"])
            .env(FILE, folder.path().join("inbox.db"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "> full" {
                let lifted = Command::new("prlimit")
                    .args(["--fsize=unlimited", "--pid", &child.id().to_string()])
                    .status();
                assert!(lifted.unwrap().success());
            }
            said.extend(line.strip_prefix("> ").map(str::to_owned));
        }
        assert!(child.wait().unwrap().success());
        assert_eq!(said, ["full", "ready"]);
    }
}
