//! Destinations beside each other, live deliveries beside a replay, pauses, how long a delivery is tried, and what programs leave
//! behind.

use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::endpoint;
use crate::http::post;
use crate::inbox::history::{delivery, import};
use crate::promises::{event, newest_once, results};
use crate::support::{SECRET, Workdir, eventually};

/// An application that answers each request with what it is told to, and remembers the bodies in their order. It ends with the test.
struct Application {
    url: String,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Application {
    fn start(answer: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        let bodies = Arc::<Mutex<Vec<String>>>::default();
        let received = Arc::clone(&bodies);
        let url = endpoint::answering(move |request| {
            let number = {
                let mut received = received.lock().expect("no panic");
                received.push(String::from_utf8_lossy(&request.body).into_owned());
                received.len() - 1
            };
            answer(number)
        });
        Self { url, bodies }
    }

    fn bodies(&self) -> Vec<String> {
        self.bodies.lock().expect("no panic").clone()
    }
}

fn answer(status: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n")
}

#[test]
fn hanging_destination_holds_up_no_other() {
    let workdir = Workdir::new();
    // It accepts and never answers.
    let hanging = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = hanging.local_addr().expect("an address");
    let rule = format!("avatar_video.fail=forward:http://{address}/");
    let serve = workdir.serve(&["--on", &rule, "--print", "--json"]);
    let begun_at = Instant::now();
    for number in 0..40 {
        post(&serve, event("avatar_video.fail", &format!("v{number}")));
    }
    post(&serve, event("avatar_video.success", "other"));
    let line: Value = serde_json::from_str(&serve.line()).expect("JSON");
    assert_eq!(line["event_type"], "avatar_video.success");
    // Only after a minute are those given up that hang.
    assert!(
        begun_at.elapsed() < Duration::from_secs(50),
        "{:?}",
        begun_at.elapsed()
    );
}

#[test]
fn live_delivery_does_not_wait_for_a_replay() {
    const REPLAYED: usize = 600;
    let workdir = Workdir::new();
    let application = Application::start(|_| {
        thread::sleep(Duration::from_millis(50));
        answer("204 No Content", "")
    });
    let lines: Vec<_> = (0..REPLAYED)
        .map(|number| delivery(&format!("old-{number}"), "acknowledged", 1))
        .collect();
    import(&workdir, &lines);
    let serve = workdir.serve(&["--forward", &application.url]);
    let replay = ["inbox", "replay", "--all", "--yes", "--json"];
    assert_eq!(workdir.json(&replay)["replayed"], REPLAYED);
    eventually(|| application.bodies().len() > 20);
    let before = application.bodies().len();
    let live = ["avatar_video.success", "--set", "video_id=live"];
    serve.trigger(&workdir, &live).ok();
    let at = || {
        let bodies = application.bodies();
        bodies.iter().position(|body| body.contains("live"))
    };
    eventually(|| at().is_some());
    let at = at().expect("it came");
    assert!(at < REPLAYED - 1, "all of the replay went first");
    assert!(
        at - before < REPLAYED / 2,
        "{} of the replay went first",
        at - before
    );
}

#[test]
fn application_that_asks_for_pauses_loses_nothing() {
    let workdir = Workdir::new();
    let application = Application::start(|number| match number {
        0..4 => answer("503 Service Unavailable", "Retry-After: 1\r\n"),
        _ => answer("200 OK", ""),
    });
    let begun_at = Instant::now();
    let serve = workdir.serve(&["--forward", &application.url, "--retry-max-attempts", "2"]);
    serve.trigger(&workdir, &["avatar_video.success"]).ok();
    serve.log_line("attempt failed, retry in 1 s (this attempt does not count)");
    let delivery = newest_once(&workdir, "acknowledged");
    assert!(begun_at.elapsed() >= Duration::from_secs(4));
    assert_eq!(
        results(&delivery),
        ["retry", "retry", "retry", "retry", "acknowledged"]
    );
    assert_eq!(application.bodies().len(), 5);
}

#[test]
fn retry_max_elapsed_is_read_from_flag_variable_and_file() {
    let workdir = Workdir::new();
    let config = workdir.file(
        "short.toml",
        "retry-max-elapsed = \"1s\"\nretry-initial-delay = 0.2\n",
    );
    let config = config.to_str().expect("a path");
    let by_flag = ["--retry-max-elapsed", "1s", "--retry-initial-delay", "0.2"];
    let by_variable = [
        ("HEYGEN_WEBHOOKS_RETRY_MAX_ELAPSED", "1s"),
        ("HEYGEN_WEBHOOKS_RETRY_INITIAL_DELAY", "0.2"),
    ];
    for (arguments, variables) in [
        (&by_flag[..], &[][..]),
        (&[], &by_variable[..]),
        (&["--config", config], &[]),
    ] {
        let workdir = Workdir::new();
        let environment = [&[("HEYGEN_WEBHOOK_SECRET", SECRET)], variables].concat();
        let arguments = [arguments, &["--exec", "false"]].concat();
        let serve = workdir.serve_with(&arguments, &environment);
        serve.trigger(&workdir, &["avatar_video.success"]).ok();
        let dead = newest_once(&workdir, "dead_lettered");
        let attempts = dead["attempt_list"].as_array().expect("attempts");
        let last = attempts.last().expect("one").clone();
        let detail = last["detail"].as_str().expect("a reason");
        let expected = format!(
            " s and {} attempts; last: false exited with status 1",
            attempts.len()
        );
        assert!(detail.starts_with("gave up after 1"), "{detail}");
        assert!(detail.ends_with(&expected), "{detail}");
        assert!(attempts.len() > 2);
        let id = dead["id"].as_str().expect("an id");
        let text = workdir.run(&["inbox", "show", id]).ok().stdout;
        assert!(text.contains("state           dead_lettered 20"), "{text}");
        let text = workdir.run(&["inbox", "list"]).ok().stdout;
        assert!(text.contains("dead_lettered 20"), "{text}");
        let json = workdir.json(&["inbox", "attempts", id, "--json"]);
        assert_eq!(json["dead_lettered_at"], dead["dead_lettered_at"]);
        assert!(dead["dead_lettered_at"].is_string());
    }
    let wrong = workdir.run(&["serve", "--retry-max-elapsed", "soon"]);
    assert!(
        wrong.status == 2 && wrong.stderr.contains("span of time"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn crashes_use_up_no_attempts() {
    let workdir = Workdir::new();
    for _ in 0..3 {
        let serve = workdir.serve(&["--exec", "sleep", "600"]);
        if workdir.list().is_empty() {
            serve.trigger(&workdir, &["avatar_video.success"]).ok();
        }
        newest_once(&workdir, "claimed");
        serve.kill();
    }
    let program = ["--exec", "sh", "-c", "test $HEYGEN_ATTEMPT -ge 7"];
    let options = ["--retry-max-attempts", "4", "--retry-initial-delay", "0.05"];
    let serve = workdir.serve(&[&options[..], &program].concat());
    serve.log_line("(attempt 2 of 4)");
    let delivery = newest_once(&workdir, "acknowledged");
    let expected = [["interrupted"; 3], ["retry"; 3]].concat();
    assert_eq!(
        results(&delivery),
        [&expected[..], &["acknowledged"]].concat()
    );
}

/// Zombies and others that have this process as their parent.
#[cfg(target_os = "linux")]
fn children(parent: u32) -> Vec<(u32, char)> {
    let found = std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // `7 (name) S 1 …`
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            let state = fields.next()?.chars().next()?;
            (fields.next()?.parse() == Ok(parent)).then_some((id, state))
        });
    found.collect()
}

#[cfg(target_os = "linux")]
#[test]
fn process_1_leaves_no_zombies_and_passes_signals_on() {
    let workdir = Workdir::new();
    // What it starts outlives it, once in its process group and once in a session of its own.
    let text =
        "#!/bin/sh\n(sleep 0.3; echo >> orphans) &\nsetsid sh -c 'sleep 0.3; echo >> orphans' &\n";
    let program = workdir.file("handle", text);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("an executable file");
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--kill-child",
    ]);
    command.arg(env!("CARGO_BIN_EXE_heygen-webhooks"));
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "off",
        "--log-format",
        "json",
    ]);
    command.arg("--exec").arg(&program);
    let serve = workdir.start(command, &[("HEYGEN_WEBHOOK_SECRET", SECRET)]);
    let [(process_1, _)] = children(serve.process_id())[..] else {
        panic!("one process in the namespace");
    };
    for number in 0..3 {
        let video = format!("video_id=v{number}");
        serve
            .trigger(&workdir, &["avatar_video.success", "--set", &video])
            .ok();
    }
    let orphans = || std::fs::read_to_string(workdir.path().join("orphans"));
    eventually(|| orphans().is_ok_and(|lines| lines.lines().count() == 6));
    // No zombies.
    eventually(|| {
        let of_1 = children(process_1);
        let of_server = of_1.iter().flat_map(|(id, _)| children(*id)).count();
        of_1.len() == 1 && of_1[0].1 != 'Z' && of_server == 0
    });
    let status = Command::new("kill")
        .args(["-TERM", &process_1.to_string()])
        .status();
    assert!(status.expect("kill").success());
    let (status, _, log) = serve.wait();
    assert_eq!(status, 0, "{log:?}");
    assert!(log.iter().any(|line| line.contains("stopped")), "{log:?}");
}
