//! NATS servers go away and come back: nothing is answered 200 that is not stored, and nothing needs a restart.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::World;
use crate::http::{Answer, ask, ask_signed, get};
use crate::promises::{are_all, event};
use crate::support::{Serve, eventually};

fn send(serve: &Serve, subject: &str) -> Answer {
    ask_signed(&serve.url, event("order.new", subject))
}

fn how_often(log: &[String], text: &str) -> usize {
    log.iter().filter(|line| line.contains(text)).count()
}

#[test]
fn nats_outage_answers_503_and_recovers() {
    let mut world = World::new();
    let serve = world.workdir.serve_logging(&["--receive-only"]);
    let line = serve.log_line(r#""url":"#);
    let line: serde_json::Value = serde_json::from_str(&line).expect("a log line is JSON");
    let mut serve = serve;
    serve.url = line["url"].as_str().expect("an address").to_owned();
    let admin = serve.admin();
    let worker = world.work(&["--json"]);
    assert_eq!(send(&serve, "before").status, 200);
    assert!(worker.line().contains("before"));
    eventually(|| are_all(&world.workdir, "acknowledged"));

    world.server.kill().expect("it is killed");
    // For long enough that everybody tries again several times.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        let answer = send(&serve, "meanwhile");
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(
            answer.head.to_lowercase().contains("retry-after: "),
            "{}",
            answer.head
        );
        assert_eq!(ask(&serve.url, "OPTIONS", &[], b"").status, 204);
        assert_eq!(get(&format!("{admin}/readyz")).status, 503);
        assert_eq!(get(&format!("{admin}/healthz")).status, 200);
        std::thread::sleep(Duration::from_millis(50));
    }

    world.server.restart().expect("it is back");
    eventually(|| get(&format!("{admin}/readyz")).status == 200);
    // HeyGen sends again what was refused, and sometimes what was not.
    for subject in ["meanwhile", "meanwhile", "before"] {
        assert_eq!(send(&serve, subject).status, 200);
    }
    assert!(worker.line().contains("meanwhile"));
    let stored = world.workdir.by_subject();
    assert_eq!(
        stored.into_iter().collect::<Vec<_>>(),
        [("before".into(), 1), ("meanwhile".into(), 1)]
    );

    let of_serve = [
        "disconnected from NATS",
        "deliveries cannot be stored",
        "deliveries are stored again",
    ];
    for (process, what) in [
        (serve, &of_serve[..]),
        (worker, &["cannot claim deliveries"]),
    ] {
        process.signal("TERM");
        let (status, _, log) = process.wait();
        assert_eq!(status, 0, "{log:?}");
        for what in what {
            assert_eq!(how_often(&log, what), 1, "{what}: {log:?}");
        }
        assert_eq!(how_often(&log, r#":"connected to NATS""#), 1, "{log:?}");
        let loud = how_often(&log, r#""level":"WARN""#) + how_often(&log, r#""level":"ERROR""#);
        assert!(loud <= 6, "{log:?}");
    }
}

/// As `nats consumer pause` does, and `resume` with a time that is over.
fn pause_consumer(world: &World, until: &str) {
    let url = world.server.url();
    let address = url.strip_prefix("nats://").expect("a URL");
    let mut client = TcpStream::connect(address).expect("it listens");
    let body = format!(r#"{{"pause_until":"{until}"}}"#);
    let request = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB answers 1\r\nPUB $JS.API.CONSUMER.PAUSE.HEYGEN.workers answers {}\r\n{body}\r\n",
        body.len()
    );
    client.write_all(request.as_bytes()).expect("a connection");
    let lines = BufReader::new(client).lines();
    let mut lines = lines.map(|line| line.expect("a line"));
    let answer = lines.find(|line| line.contains("consumer_pause_response"));
    assert!(!answer.expect("an answer").contains("error"));
}

#[test]
fn consumer_paused_at_the_servers_is_logged() {
    let world = World::new();
    let serve = world.receive(&[]);
    let worker = world.work(&["--json"]);
    pause_consumer(&world, "2100-01-01T00:00:00Z");
    let line = worker.log_line("is paused at the servers");
    assert!(line.contains("HEYGEN"), "{line}");
    assert_eq!(send(&serve, "while-paused").status, 200);
    pause_consumer(&world, "2000-01-01T00:00:00Z");
    assert!(worker.line().contains("while-paused"));
    worker.log_line("is resumed at the servers");
}
