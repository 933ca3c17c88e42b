//! Standard error and standard output that fail, or that nobody reads: lines are lost, and nothing
//! else.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use heygen_testkit::EventBuilder;
use serde_json::Value;

use crate::endpoint;
use crate::http::{ask, get, post_to};
use crate::nats::World;
use crate::promises::event;
use crate::support::{Workdir, eventually, sandbox};

mod failing_streams;

use failing_streams::{Application, Process, Trouble, free_address};

fn metric(admin: &str, series: &str) -> f64 {
    let text = get(&format!("http://{admin}/metrics")).body;
    let series = format!("heygen_webhooks_{series} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&series));
    let value = line.unwrap_or_else(|| panic!("{series}in {text}"));
    value.parse().expect("a number")
}

#[track_caller]
fn post(listen: &str, body: String) {
    post_to(&format!("http://{listen}/webhooks/heygen"), body);
}

/// Fails often, and says so.
const QUICK_RETRIES: [&str; 8] = [
    "--retry-initial-delay",
    "0.05",
    "--retry-max-delay",
    "0.05",
    "--retry-max-attempts",
    "100000",
    // Enough lines that those waiting find no room either.
    "--log",
    "trace",
];

const EVENTS: usize = 10;

/// Whatever is the matter with the log: probes are answered, deliveries stored, and dispatched once
/// the application is well.
#[track_caller]
fn check_serve(trouble: Trouble, format: &str) {
    let workdir = Workdir::new();
    let (listen, admin) = (free_address(), free_address());
    let application = Application::start();
    let mut command = workdir.command(&["serve", "--listen", &listen, "--admin", &admin]);
    command.args(QUICK_RETRIES);
    command.args(["--log-format", format, "--forward", &application.url]);
    let mut serve = Process::with_stderr(command, trouble);
    serve.listens_at(&listen);
    serve.listens_at(&admin);
    for number in 0..EVENTS {
        post(&listen, event("order.new", &number.to_string()));
    }
    let dropped = || metric(&admin, "log_lines_dropped_total");
    eventually(|| application.refused() >= 10 * EVENTS);
    eventually(|| dropped() > 0.0 || !trouble.is_counted());
    let url = format!("http://{listen}/webhooks/heygen");
    assert_eq!(ask(&url, "OPTIONS", &[], b"").status, 204);
    assert_eq!(get(&format!("http://{admin}/readyz")).status, 200);

    application.become_well();
    eventually(|| metric(&admin, "attempts_total{result=\"acknowledged\"}") == EVENTS as f64);
    assert_eq!(application.taken(), EVENTS);
    if serve.reader.is_none() {
        return serve.ends_well();
    }
    let log = serve.read();
    eventually(|| log.has("standard error blocked"));
    serve.ends_well();
    check_log(&log.lines(), format);
}

/// Once it is read again, the log is whole lines, one of which says how many are missing.
#[track_caller]
fn check_log(lines: &[String], format: &str) {
    let is_summary = |line: &&String| line.contains("standard error blocked");
    let summary = lines
        .iter()
        .find(is_summary)
        .expect("a line about the others");
    assert!(summary.contains("dropped"), "{summary}");
    if format == "json" {
        for line in lines {
            serde_json::from_str::<Value>(line).expect("a line is JSON");
        }
    }
    let last = lines.last().expect("lines");
    assert!(last.contains("stopped"), "{last}");
}

#[test]
fn log_in_trouble_stops_nothing_in_serve() {
    for trouble in Trouble::ALL {
        check_serve(trouble, "text");
    }
}

#[test]
fn json_log_in_trouble_stops_nothing_in_serve() {
    for trouble in Trouble::ALL {
        check_serve(trouble, "json");
    }
}

#[test]
fn log_in_trouble_stops_nothing_in_work() {
    let world = World::new();
    let receiver = world.receive(&[]);
    let address = receiver.url.trim_start_matches("http://");
    let listen = address.split('/').next().expect("an address");
    world
        .workdir
        .file("forward-secret", "whsec_of_the_application\n");
    for (round, trouble) in Trouble::ALL.into_iter().enumerate() {
        let admin = free_address();
        let application = Application::start();
        let mut command = world.workdir.command(&["work", "--admin", &admin]);
        command.args(QUICK_RETRIES);
        command.args(["--log-format", "json", "--forward", &application.url]);
        command.args(["--forward-secret-file", "forward-secret"]);
        let mut work = Process::with_stderr(command, trouble);
        work.listens_at(&admin);
        for number in 0..EVENTS {
            post(listen, event("order.new", &format!("{round}-{number}")));
        }
        let dropped = || metric(&admin, "log_lines_dropped_total");
        eventually(|| application.refused() >= 2 * EVENTS);
        eventually(|| dropped() > 0.0 || !trouble.is_counted());
        application.become_well();
        eventually(|| application.taken() >= EVENTS);
        work.ends_well();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_in_trouble_stops_nothing_in_dev() {
    let heygen = sandbox("key").await;
    let elsewhere = endpoint::start(|_| 200);
    heygen.register(&elsewhere).await.expect("registered");
    for trouble in Trouble::ALL {
        let workdir = Workdir::new();
        let application = Application::start();
        let mut command = workdir.command(&["dev", "--interval", "0.1", "--since", "1h"]);
        command
            .args(QUICK_RETRIES)
            .args(["--forward", &application.url])
            .env("HEYGEN_API_KEY", "key")
            .env("HEYGEN_WEBHOOKS_BASE_URL", heygen.url());
        let mut dev = Process::with_stderr(command, trouble);
        let video_id = format!("{trouble:?}");
        heygen.send(EventBuilder::new("avatar_video.success").set("video_id", video_id));
        heygen.settled().await;
        eventually(|| application.refused() >= 10);
        application.become_well();
        eventually(|| application.taken() >= 1);
        dev.ends_well();
    }
}

#[track_caller]
fn check_sandbox(start: fn(Command, Trouble) -> Process, trouble: Trouble, format: &[&str]) {
    // More than a pipe has room for lines, where one waits to be read.
    let events = match trouble {
        Trouble::Stalled | Trouble::StalledNonBlocking => 400,
        _ => EVENTS,
    };
    let workdir = Workdir::new();
    let application = Application::start();
    application.become_well();
    let listen = free_address();
    let mut command = workdir.command(&["sandbox", "--listen", &listen]);
    command.args(format);
    let mut sandbox = start(command, trouble);
    sandbox.listens_at(&listen);
    let api = |path: &str, body: &str| {
        let url = format!("http://{listen}{path}");
        let headers = [("x-api-key", "any"), ("content-type", "application/json")];
        let answer = ask(&url, "POST", &headers, body.as_bytes());
        assert!(answer.is_success(), "{}", answer.body);
    };
    let endpoint = format!(r#"{{"url":"{}"}}"#, application.url);
    api("/v3/webhooks/endpoints", &endpoint);
    for _ in 0..events {
        api(
            "/sandbox/events",
            r#"{"event_type":"avatar_video.success"}"#,
        );
    }
    eventually(|| application.taken() == events);
    sandbox.ends_well();
}

#[test]
fn output_in_trouble_stops_no_sandbox() {
    for trouble in Trouble::ALL {
        check_sandbox(Process::with_stdout, trouble, &[]);
        check_sandbox(Process::with_stdout, trouble, &["--json"]);
        check_sandbox(Process::with_stderr, trouble, &[]);
    }
}

/// What could not be printed is not acknowledged, and is printed once somebody reads again.
#[track_caller]
fn check_printing(trouble: Trouble) {
    let workdir = Workdir::new();
    let (listen, admin) = (free_address(), free_address());
    let mut command = workdir.command(&["serve", "--listen", &listen, "--admin", &admin, "--json"]);
    command
        .args(["--handler-timeout", "0.2"])
        .args(QUICK_RETRIES);
    let mut serve = Process::with_stdout(command, trouble);
    serve.listens_at(&listen);
    serve.listens_at(&admin);
    for number in 0..EVENTS {
        post(&listen, event("order.new", &number.to_string()));
    }
    let attempts = |result: &str| metric(&admin, &format!("attempts_total{{result=\"{result}\"}}"));
    eventually(|| attempts("retry") >= 2.0 * EVENTS as f64);
    assert_eq!(attempts("acknowledged"), 0.0);
    assert_eq!(get(&format!("http://{admin}/readyz")).status, 200);
    let url = format!("http://{listen}/webhooks/heygen");
    assert_eq!(ask(&url, "OPTIONS", &[], b"").status, 204);
    if serve.reader.is_none() {
        serve.ends_well();
        return;
    }
    let text = serve.read();
    eventually(|| attempts("acknowledged") == EVENTS as f64);
    serve.ends_well();
    let lines = text.lines();
    let mut subjects: Vec<_> = lines
        .iter()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("a line is JSON");
            line["subject_id"].as_str().expect("a subject").to_owned()
        })
        .collect();
    // Those that were being written when their handler gave up come twice, whole.
    assert!(subjects.len() <= 2 * EVENTS, "{subjects:?}");
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), EVENTS);
}

#[test]
fn event_that_was_not_printed_is_not_acknowledged() {
    for trouble in [
        Trouble::ReaderGone,
        Trouble::TerminalClosed,
        Trouble::DiskFull,
        Trouble::Stalled,
        Trouble::StalledNonBlocking,
    ] {
        check_printing(trouble);
    }
}

/// A limit on the size of files ends no process: the log stops as on a full disk. When it has room again, half a line is ended,
/// and the log goes on.
#[test]
fn log_resumes_when_a_full_disk_has_room() {
    let workdir = Workdir::new();
    let (listen, admin) = (free_address(), free_address());
    let log = workdir.file("log", b"");
    // So long already that no other file of the process reaches the limit.
    let limit = 64 << 20;
    let file = File::options().append(true).open(&log).expect("the log");
    file.set_len(limit - 4000).expect("a long file");
    let plain = workdir.command(&["serve", "--listen", &listen, "--admin", &admin]);
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--fsize={limit}:unlimited"))
        .arg(plain.get_program())
        .args(plain.get_args())
        .args(QUICK_RETRIES)
        .args(["--log-format", "json", "--forward", "http://127.0.0.1:1/"])
        .current_dir(workdir.path())
        .stdout(Stdio::null())
        .stderr(file);
    let mut serve = Process::start(&mut command, None);
    serve.listens_at(&listen);
    serve.listens_at(&admin);
    post(&listen, event("order.new", "a"));
    let dropped = || metric(&admin, "log_lines_dropped_total");
    eventually(|| dropped() > 0.0);
    assert_eq!(length(&log), limit);
    let before = dropped();
    let lifted = Command::new("prlimit")
        .args(["--fsize=unlimited", "--pid", &serve.child.id().to_string()])
        .status();
    assert!(lifted.expect("prlimit").success());
    eventually(|| length(&log) > limit + 4000);
    serve.ends_well();
    let text = std::fs::read(&log).expect("the log");
    let after = String::from_utf8_lossy(&text[limit as usize..]).into_owned();
    let mut lines = after.lines();
    assert_eq!(lines.next(), Some(""), "the end of the half line");
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    let logged = lines
        .iter()
        .find_map(|line| line["dropped"].as_f64())
        .expect("a line that says how many were dropped");
    assert!(logged >= before, "{logged} {before}");
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).expect("a file").len()
}

/// The last word of a command that fails.
#[test]
fn last_word_in_trouble_changes_no_exit_status() {
    let workdir = Workdir::new();
    for trouble in Trouble::ALL {
        for (arguments, expected) in [
            (&["serve", "--listen", "192.0.2.1:8080"][..], 1),
            (&["serve", "--retry-max-attempts", "0"], 2),
            (&["inbox", "list", "--inbox", "missing.db"], 1),
            (&["serve", "--no-such-flag"], 2),
        ] {
            let mut process = Process::with_stderr(workdir.command(arguments), trouble);
            let mut status = None;
            eventually(|| {
                status = process.child.try_wait().expect("a child");
                status.is_some()
            });
            let status = status.expect("it has ended").code();
            assert_eq!(status, Some(expected), "{trouble:?} {arguments:?}");
        }
    }
    let ended = workdir.run(&["serve", "--listen", "192.0.2.1:8080"]);
    ended.says("error: cannot listen on 192.0.2.1:8080");
}
