//! NATS servers go away and come back: nothing is answered 200 that is not stored, and nothing needs a restart.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::World;
use crate::http::{Answer, ask, ask_signed, get};
use crate::promises::{are_all, event};
use crate::sockets;
use crate::support::{SECRET, Serve, eventually, words};

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

/// HeyGen gives a probe one second, and servers that elect a leader take longer to open an inbox.
#[test]
fn probes_are_answered_and_deliveries_wait_while_the_inbox_is_opened() {
    let mut world = World::new();
    let folder = world.workdir.path().to_owned();
    let socket = |name: &str| folder.join(name);
    let begin = || {
        let arguments =
            "serve --receive-only --log-format json --listen unix:x.sock --admin unix:admin.sock";
        let command = world.workdir.command(&words(arguments));
        let serve = world
            .workdir
            .begin(command, &[("HEYGEN_WEBHOOK_SECRET", SECRET)]);
        eventually(|| socket("x.sock").exists() && socket("admin.sock").exists());
        serve
    };
    let status = |name: &str, request: &str| {
        let answer = sockets::ask(
            &socket(name),
            &format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        );
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status: u16 = status.expect("a status");
        (status, answer)
    };
    let check_opening = || {
        assert_eq!(status("x.sock", "OPTIONS /webhooks/heygen").0, 204);
        assert_eq!(status("x.sock", "GET /webhooks/heygen").0, 204);
        assert_eq!(status("admin.sock", "GET /healthz").0, 200);
        let (status, ready) = status("admin.sock", "GET /readyz");
        assert!(
            status == 503 && ready.contains(r#""inbox":"opening""#),
            "{ready}"
        );
    };
    let deliver = |number| {
        let path = socket("x.sock");
        std::thread::spawn(move || sockets::ask(&path, &sockets::delivery(number)))
    };

    world.server.pause().expect("it is paused");
    let serve = begin();
    check_opening();
    let waiting = deliver(1);
    serve.log_line("still being opened");
    assert!(!waiting.is_finished());
    serve.signal("TERM");
    let rejected = waiting.join().expect("it ends").to_lowercase();
    assert!(rejected.starts_with("http/1.1 503"), "{rejected}");
    assert!(rejected.contains("retry-after: "), "{rejected}");
    let (ended, lines, log) = serve.wait();
    assert_eq!((ended, lines.len()), (0, 0), "{log:?}");

    let serve = begin();
    check_opening();
    let waiting = deliver(2);
    serve.log_line("still being opened");
    assert!(!waiting.is_finished());
    world.server.resume().expect("it goes on");
    serve.log_line("listening");
    let answer = waiting.join().expect("it ends");
    // A machine that is slow enough has it sent again.
    let stored = match answer.starts_with("HTTP/1.1 503") {
        true => deliver(2).join().expect("it ends"),
        false => answer,
    };
    assert!(stored.starts_with("HTTP/1.1 200"), "{stored}");
    eventually(|| status("admin.sock", "GET /readyz").0 == 200);
    let videos: Vec<_> = world.workdir.by_subject().into_iter().collect();
    assert_eq!(videos, [("v2".to_owned(), 1)]);
}
