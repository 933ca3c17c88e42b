//! `sandbox`: HeyGen in a box, as a process.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::endpoint;
use crate::http::{Answer, ask};
use crate::support::Workdir;

/// A running `sandbox`. Dropped, it is killed.
struct Sandbox {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Sandbox {
    fn start(workdir: &Workdir, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command =
            workdir.command(&[&["sandbox", "--listen", "127.0.0.1:0"], arguments].concat());
        command.envs(environment.iter().copied());
        Self::of(command.stdin(Stdio::null()))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("a pipe");
        Self {
            child,
            lines: BufReader::new(stdout).lines(),
        }
    }

    fn line(&mut self) -> String {
        let line = self.lines.next().expect("another line");
        line.expect("it is text")
    }

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.line()).expect("a line is JSON")
    }

    /// The exit status after a signal, and the lines that were left.
    fn end(mut self, signal: &str) -> (Option<i32>, Vec<String>) {
        let kill = format!("kill -{signal} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.expect("a shell").success(), "{kill}");
        let lines = self.lines.by_ref().map_while(Result::ok).collect();
        (self.child.wait().expect("it ends").code(), lines)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One POST to the sandbox, with a key.
fn post(url: &str, key: &str, body: &Value) -> Answer {
    let body = body.to_string();
    ask(url, "POST", &[("x-api-key", key)], body.as_bytes())
}

/// It may be the secret of an account, which the control routes show.
#[test]
fn first_lines_say_that_endpoints_get_the_secret_of_the_environment() {
    let workdir = Workdir::new();
    for (environment, is_said) in [(&[][..], false), (&[("HEYGEN_WEBHOOK_SECRET", "s")], true)] {
        let mut sandbox = Sandbox::start(&workdir, &[], environment);
        let first = sandbox.line();
        assert!(first.starts_with("sandbox listening on http://"), "{first}");
        assert_eq!(sandbox.line(), "");
        let next = sandbox.line();
        assert_eq!(next.contains("HEYGEN_WEBHOOK_SECRET"), is_said, "{next}");
    }
}

#[test]
fn attempts_are_lines_of_json() {
    let workdir = Workdir::new();
    let to = endpoint::start(|request| match request.method.as_str() {
        "OPTIONS" => 204,
        _ => 503,
    });
    // A day of retries takes no time, and ends.
    let mut sandbox = Sandbox::start(&workdir, &["--json", "--time-scale", "0"], &[]);
    let listening = sandbox.json();
    assert_eq!(listening["type"], "listening");
    let url = listening["url"].as_str().expect("an address").to_owned();

    let created = post(
        &format!("{url}/v3/webhooks/endpoints"),
        "any",
        &json!({"url": to}),
    );
    assert!(created.is_success(), "{}", created.body);
    let sent = post(
        &format!("{url}/sandbox/events"),
        "any",
        &json!({"event_type": "avatar_video.fail", "event_id": "evt_1"}),
    );
    assert_eq!(sent.status, 202, "{}", sent.body);
    for number in [1, 2] {
        let line = sandbox.json();
        assert_eq!(line["type"], "attempt", "{line}");
        assert_eq!(line["event_type"], "avatar_video.fail", "{line}");
        assert_eq!(line["event_id"], "evt_1", "{line}");
        assert_eq!(line["url"], to, "{line}");
        assert_eq!(line["attempt"], number, "{line}");
        assert_eq!(line["status"], 503, "{line}");
        assert_eq!(line["accepted"], false, "{line}");
        assert_eq!(line["duplicate"], false, "{line}");
        assert!(line["milliseconds"].is_number(), "{line}");
    }
    let (status, _) = sandbox.end("TERM");
    assert_eq!(status, Some(0));
}

#[test]
fn people_get_examples_and_a_line_an_attempt() {
    let workdir = Workdir::new();
    let mut sandbox = Sandbox::start(&workdir, &[], &[]);
    let first = sandbox.line();
    let url = first.split(' ').next_back().expect("an address").to_owned();
    assert!(url.starts_with("http://127.0.0.1:"), "{first}");
    let mut examples = Vec::new();
    loop {
        let line = sandbox.line();
        if line.contains("Ctrl-C") {
            break;
        }
        examples.push(line);
    }
    let curls = examples
        .iter()
        .filter(|line| line.trim().starts_with("curl "));
    assert_eq!(
        curls.filter(|line| line.contains(&url)).count(),
        6,
        "{examples:#?}"
    );

    let to = format!("{}?token=hidden", endpoint::start(|_| 200));
    post(
        &format!("{url}/v3/webhooks/endpoints"),
        "any",
        &json!({"url": to}),
    );
    post(
        &format!("{url}/sandbox/events"),
        "any",
        &json!({"event_type": "new\u{1b}.event"}),
    );
    assert_eq!(sandbox.line(), "");
    let line = sandbox.line();
    for expected in ["  200  ", "new\u{fffd}.event", "attempt 1", "/webhook?…"] {
        assert!(line.contains(expected), "{expected}: {line}");
    }
    assert!(!line.contains("hidden"), "{line}");
    let (status, rest) = sandbox.end("INT");
    assert_eq!((status, rest), (Some(0), Vec::new()));
}

#[test]
fn one_key_can_be_made_the_only_one() {
    let workdir = Workdir::new();
    let mut sandbox = Sandbox::start(
        &workdir,
        &["--json"],
        &[("HEYGEN_WEBHOOKS_SANDBOX_KEY", "right")],
    );
    let listening = sandbox.json();
    let url = format!(
        "{}/v3/webhooks/endpoints",
        listening["url"].as_str().expect("an address")
    );
    let new = json!({"url": endpoint::start(|_| 200)});
    assert_eq!(post(&url, "wrong", &new).status, 401);
    assert!(post(&url, "right", &new).is_success());
}

/// Registers an address, and gives its secret.
fn secret_of(url: &str, path: &str, body: &Value) -> String {
    let created = post(&format!("{url}{path}"), "any", body);
    assert!(created.is_success(), "{}", created.body);
    let created: Value = serde_json::from_str(&created.body).expect("JSON");
    let secret = created["data"]["secret"].as_str();
    secret.expect("a secret").to_owned()
}

#[test]
fn secret_can_be_known_before_the_registration() {
    let workdir = Workdir::new();
    let file = workdir.file("secret", "whsec_of_a_file\nwhsec_second\n");
    let file = file.to_str().expect("UTF-8");
    let to = endpoint::start(|_| 200);
    let registered = |environment: &[(&str, &str)], arguments: &[&str], path, body: Value| {
        let mut sandbox = Sandbox::start(&workdir, &[&["--json"], arguments].concat(), environment);
        let listening = sandbox.json();
        secret_of(listening["url"].as_str().expect("a URL"), path, &body)
    };
    let (v3, control) = ("/v3/webhooks/endpoints", "/sandbox/endpoints");
    let variable = [("HEYGEN_WEBHOOK_SECRET", "whsec_of_a_variable")];
    for (environment, arguments, path, body, expected) in [
        (
            &variable[..],
            &[][..],
            v3,
            json!({"url": to}),
            "whsec_of_a_variable",
        ),
        (
            &[],
            &["--secret-file", file],
            v3,
            json!({"url": to}),
            "whsec_of_a_file",
        ),
        (
            &[],
            &[],
            control,
            json!({"url": to, "secret": "whsec_given"}),
            "whsec_given",
        ),
        (
            &variable,
            &[],
            control,
            json!({"url": to}),
            "whsec_of_a_variable",
        ),
    ] {
        let secret = registered(environment, arguments, path, body);
        assert_eq!(secret, expected, "{path}");
    }
    let own = registered(&[], &[], v3, json!({"url": to}));
    assert_eq!(own.len(), "whsec_".len() + 24, "{own}");
}

const UNTIL_STDIN_CLOSES: [&str; 5] = [
    "sandbox",
    "--listen",
    "127.0.0.1:0",
    "--json",
    "--until-stdin-closes",
];

#[test]
fn sandbox_ends_with_its_standard_input() {
    let workdir = Workdir::new();
    let mut command = workdir.command(&UNTIL_STDIN_CLOSES);
    let mut sandbox = Sandbox::of(command.stdin(Stdio::piped()));
    assert_eq!(sandbox.json()["type"], "listening");
    let mut input = sandbox.child.stdin.take().expect("a pipe");
    input
        .write_all(b"what is written has no meaning\n")
        .expect("it reads");
    assert!(sandbox.child.try_wait().expect("a child").is_none());
    drop(input);
    assert!(sandbox.lines.next().is_none());
    assert_eq!(sandbox.child.wait().expect("it ends").code(), Some(0));
}

#[cfg(unix)]
#[test]
fn sandbox_ends_with_its_parent_though_its_input_stays_open() {
    let workdir = Workdir::new();
    let plain = workdir.command(&UNTIL_STDIN_CLOSES);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", r#"exec 3<&0; "$@" <&3 & wait"#, "sh"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(workdir.path());
    let mut parent = Sandbox::of(shell.stdin(Stdio::piped()));
    let input = parent.child.stdin.take().expect("a pipe");
    assert_eq!(parent.json()["type"], "listening");
    parent.child.kill().expect("it runs");
    assert!(parent.lines.next().is_none(), "it ends, and its output too");
    drop(input);
}

#[test]
fn mistakes_are_told() {
    let workdir = Workdir::new();
    for (arguments, status) in [
        (["sandbox", "--time-scale=-1"], 2),
        (["sandbox", "--time-scale=NaN"], 2),
        (["sandbox", "--time-scale=soon"], 2),
        (["sandbox", "--listen=nowhere"], 2),
    ] {
        let ended = workdir.run(&arguments);
        assert_eq!(ended.status, status, "{arguments:?}: {}", ended.stderr);
    }
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ended = workdir.run(&["sandbox", "--listen", &address]);
    ended.fails(1, &format!("cannot listen on {address}"));
}
