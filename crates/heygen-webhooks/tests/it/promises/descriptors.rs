//! Few file descriptors and many slow clients: probes and deliveries are answered all the same.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ask, event, post, script};
use crate::http::ask_signed;
use crate::support::{SECRET, Serve, Workdir, eventually, with_free_ports};

/// Starts `serve` under limits of the shell's.
fn serve_under(workdir: &Workdir, limits: &str, arguments: &[&str]) -> Serve {
    let binary = workdir.command(&with_free_ports(arguments));
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limits} && exec \"$@\""), "sh"])
        .arg(binary.get_program())
        .args(binary.get_args());
    for (name, value) in binary.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    workdir.begin(command, &[("HEYGEN_WEBHOOK_SECRET", SECRET)])
}

/// The soft and the hard limit of open files of a process.
fn limits(process: &str) -> (String, String) {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).expect("it lives");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let columns: Vec<_> = line.expect("a line").split_whitespace().collect();
    (columns[3].to_owned(), columns[4].to_owned())
}

/// Where it says that it listens.
fn url(serve: &Serve) -> String {
    let line = serve.log_line(r#""url":"http"#);
    let line: serde_json::Value = serde_json::from_str(&line).expect("a log line is JSON");
    line["url"].as_str().expect("an address").to_owned()
}

fn address(url: &str) -> &str {
    let rest = url.strip_prefix("http://").expect("an address");
    rest.split('/').next().unwrap_or_default()
}

/// So many clients that send half a header, wait, and come again when they are closed.
fn slow_clients(runtime: &tokio::runtime::Runtime, address: &str, clients: usize) {
    for _ in 0..clients {
        let address = address.to_owned();
        runtime.spawn(async move {
            loop {
                if let Ok(mut stream) = tokio::net::TcpStream::connect(&address).await {
                    let half = b"POST /webhooks/heygen HTTP/1.1\r\nHost: x\r\n";
                    let _ = stream.write_all(half).await;
                    let _ = stream.read(&mut [0; 64]).await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
}

#[track_caller]
fn answers_beside_slow_clients(limits: &str, expected: (&str, &str)) {
    let workdir = Workdir::new();
    let mut serve = serve_under(&workdir, limits, &[]);
    serve.url = url(&serve);
    let (soft, hard) = self::limits(&serve.process_id().to_string());
    assert_eq!((soft.as_str(), hard.as_str()), expected);

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    slow_clients(&runtime, address(&serve.url), 1100);
    let descriptors = format!("/proc/{}/fd", serve.process_id());
    // Full, as far as it may be.
    eventually(|| std::fs::read_dir(&descriptors).expect("it lives").count() > 700);
    let mut times = Vec::new();
    let mut answered = 0;
    for number in 0..12 {
        let began = Instant::now();
        assert_eq!(ask(&serve.url, "OPTIONS", &[], b"").status, 204);
        times.push(began.elapsed());
        let body = event("order.new", &number.to_string());
        let answer = ask_signed(&serve.url, body);
        assert!([200, 503].contains(&answer.status), "{}", answer.status);
        answered += u32::from(answer.status == 200);
    }
    times.sort_unstable();
    assert!(times[6] < Duration::from_secs(1), "{times:?}");
    assert!(answered > 0, "some are stored");
    runtime.shutdown_background();
    serve.signal("TERM");
    let (status, _, log) = serve.wait();
    assert_eq!(status, 0);
    let failures = log.iter().filter(|line| line.contains("cannot accept"));
    assert!(failures.count() <= 2, "{log:#?}");
}

#[test]
fn with_a_low_soft_limit() {
    // The hard one of this machine, as long as it is enough for all of them.
    answers_beside_slow_clients("ulimit -Sn 1024 && ulimit -Hn 8192", ("8192", "8192"));
}

#[test]
fn with_a_low_hard_limit() {
    answers_beside_slow_clients("ulimit -n 1024", ("1024", "1024"));
}

#[test]
fn connection_limit_is_lowered_to_the_descriptors() {
    let workdir = Workdir::new();
    let serve = serve_under(&workdir, "ulimit -n 1024", &[]);
    let warning = serve.log_line("too few file descriptors");
    assert!(
        warning.contains("\"max_connections\":669") && warning.contains("LimitNOFILE"),
        "{warning}"
    );
    let few = serve_under(
        &workdir,
        "ulimit -n 1024",
        &["--inbox", "b.db", "--max-connections", "600"],
    );
    few.log_line("listening");
    few.signal("TERM");
    let (_, _, log) = few.wait();
    assert!(
        !log.iter().any(|line| line.contains("descriptors")),
        "{log:#?}"
    );
}

#[test]
fn exhausted_descriptors_close_the_slowest_connections() {
    let workdir = Workdir::new();
    let mut serve = serve_under(&workdir, "ulimit -n 40", &[]);
    serve.url = url(&serve);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    slow_clients(&runtime, address(&serve.url), 100);
    serve.log_line("cannot accept connections");
    for _ in 0..5 {
        let began = Instant::now();
        // A connection may have to go before it was read.
        eventually(|| probe(&serve.url).is_some());
        assert!(began.elapsed() < Duration::from_secs(30));
    }
    runtime.shutdown_background();
    serve.signal("TERM");
    let (status, _, log) = serve.wait();
    assert_eq!(status, 0);
    let lines = log.iter().filter(|line| line.contains("cannot accept"));
    assert!(lines.count() <= 1, "{log:#?}");
}

/// The beginning of the answer to a probe, if there is one.
fn probe(url: &str) -> Option<()> {
    let mut stream = TcpStream::connect(address(url)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    stream
        .write_all(b"OPTIONS /webhooks/heygen HTTP/1.1\r\nHost: x\r\n\r\n")
        .ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    (&head == b"HTTP/1.1 204").then_some(())
}

#[test]
fn programs_have_the_limit_that_was() {
    let workdir = Workdir::new();
    let program = script(
        &workdir,
        "handle",
        "cat >/dev/null; ulimit -Sn >soft; ulimit -Hn >hard",
    );
    let program = program.to_str().expect("a path");
    let mut serve = serve_under(
        &workdir,
        "ulimit -Sn 1000 && ulimit -Hn 4096",
        &["--exec", program],
    );
    serve.url = url(&serve);
    post(&serve, event("order.new", "a"));
    let read = |name| std::fs::read_to_string(workdir.path().join(name)).unwrap_or_default();
    eventually(|| read("hard").ends_with('\n'));
    assert_eq!((read("soft").trim(), read("hard").trim()), ("1000", "4096"));
    assert_eq!(limits(&serve.process_id().to_string()).0, "4096");
    // It is enough for us.
    let held: Vec<_> = (0..1100)
        .map(|_| TcpStream::connect(address(&serve.url)))
        .collect();
    post(&serve, event("order.new", "b"));
    drop(held);
}
