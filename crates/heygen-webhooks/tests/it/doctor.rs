//! `doctor`: its findings and their advice.

use heygen_testkit::sandbox::{Fault, Misbehaviour, Operation, Sandbox};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Ended, SECRET, Workdir};

mod account;
mod address;
mod local;
mod rejected;
mod secrets;
pub(crate) mod servers;

use servers::certificates;

/// HeyGen, played in this process.
struct HeyGen {
    runtime: Runtime,
    sandbox: Sandbox,
}

impl HeyGen {
    fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let sandbox = Sandbox::builder().api_key(KEY).probe(false).start();
        let sandbox = runtime.block_on(sandbox).expect("a port");
        Self { runtime, sandbox }
    }

    /// Registers an address and returns its id and secret.
    fn register(&self, url: &str) -> (String, String) {
        let endpoint = self
            .runtime
            .block_on(self.sandbox.register(url))
            .expect("registered");
        (endpoint.endpoint_id, endpoint.secret.expose().to_owned())
    }

    /// Runs `doctor` against it.
    fn examine(&self, workdir: &Workdir, arguments: &[&str], secret: Option<&str>) -> Seen {
        let base_url = ["--base-url", self.sandbox.url()];
        let mut environment = vec![("HEYGEN_API_KEY", KEY)];
        environment.extend(secret.map(|secret| ("HEYGEN_WEBHOOK_SECRET", secret)));
        examine(workdir, &[&base_url, arguments].concat(), &environment)
    }

    fn without_v1(&self) {
        let fault = Fault::refuse(404).on(Operation::V1List).times(100);
        self.sandbox.misbehave(Misbehaviour::default().fault(fault));
    }
}

/// What `doctor --json` said.
struct Seen {
    ended: Ended,
    report: Value,
}

fn examine(workdir: &Workdir, arguments: &[&str], environment: &[(&str, &str)]) -> Seen {
    let arguments = [&["doctor", "--json"], arguments].concat();
    let ended = workdir.run_with(&arguments, b"", environment);
    let Ok(report) = serde_json::from_str(&ended.stdout) else {
        panic!("{}\n{}", ended.stdout, ended.stderr);
    };
    Seen { ended, report }
}

impl Seen {
    #[track_caller]
    fn finding(&self, id: &str) -> &Value {
        let findings = self.report["findings"].as_array().expect("a list");
        findings
            .iter()
            .find(|finding| finding["id"] == id)
            .unwrap_or_else(|| panic!("no {id} in {:#}", self.report))
    }

    #[track_caller]
    fn is(&self, id: &str, level: &str, text: &str) -> &Self {
        let finding = self.finding(id);
        assert_eq!(finding["level"], level, "{finding:#}");
        assert!(finding.to_string().contains(text), "{finding:#}");
        self
    }

    /// The exit status, what the report says of it, and whether the problems are these and no others.
    #[track_caller]
    fn problems(&self, expected: &[&str]) -> &Self {
        let findings = self.report["findings"].as_array().expect("a list");
        let problems: Vec<_> = findings
            .iter()
            .filter(|finding| finding["level"] == "problem")
            .collect();
        let ids: Vec<_> = problems.iter().map(|finding| &finding["id"]).collect();
        assert_eq!(ids, expected, "{:#}", self.report);
        assert!(
            problems.iter().all(|finding| finding["fix"].is_string()),
            "each says what to do: {:#}",
            self.report
        );
        assert_eq!(self.ended.status, i32::from(!expected.is_empty()));
        assert_eq!(self.report["healthy"], expected.is_empty());
        self
    }
}

#[test]
fn doctor_shows_rejected_deliveries_with_their_reason() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let refused = serve.trigger(&workdir, &["avatar_video.fail", "--tamper"]);
    assert_eq!(refused.status, 1);
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    heygen.examine(&workdir, &["--no-sample"], Some(SECRET)).is(
        "rejected",
        "warn",
        "matches-no-secret",
    );
}

#[test]
fn doctor_finds_no_problem_in_a_working_setup() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let serve = workdir.serve_with(
        &[
            "--public-url",
            "http://127.0.0.1:1/webhooks/heygen",
            "--base-url",
            heygen.sandbox.url(),
        ],
        &[("HEYGEN_API_KEY", KEY)],
    );
    serve.log_line("registered at HeyGen");
    // The server's port is known only now: HeyGen is told the real address afterwards.
    let (id, _) = registered(&heygen, &serve.url);

    let seen = heygen.examine(&workdir, &["--public-url", &serve.url], None);
    seen.problems(&[])
        .is("key", "ok", "accepted")
        .is("endpoints", "ok", &id)
        .is("endpoints.v1", "ok", "lists 1")
        .is("endpoints.registered", "ok", "")
        .is("endpoints.duplicates", "ok", "")
        .is("endpoints.disabled", "ok", "")
        .is("endpoints.plain-http", "ok", "sandbox")
        .is("endpoints.private", "ok", "sandbox")
        .is("endpoints.foreign", "ok", "no endpoint")
        .is("events.known", "ok", "30")
        .is("events.offered", "ok", "")
        .is("events.subscribed", "ok", "all events")
        .is("secrets", "ok", "identical to the one HeyGen shows")
        .is("address", "ok", "sandbox")
        .is("address.options", "ok", "5 probes passed")
        .is("address.get", "ok", "204")
        .is("address.tls", "skipped", "plain http")
        .is("sample.signed", "ok", "accepted")
        .is("sample.unsigned", "ok", "401")
        .is("inbox", "ok", "heygen-inbox.db")
        .is("inbox.last-delivery", "warn", "no delivery has arrived yet")
        .is("rejected", "ok", "");
    #[cfg(unix)]
    seen.is("secrets.files", "ok", "owner");

    // The sample was kept like any other, and is not taken for one of HeyGen's.
    assert!(serve.line().contains("http://"), "where it listens");
    assert!(serve.line().contains("heygen-webhooks.doctor"));
    heygen
        .sandbox
        .send(heygen_testkit::EventBuilder::new("avatar_video.success"));
    heygen.runtime.block_on(heygen.sandbox.settled());
    heygen
        .examine(&workdir, &["--public-url", &serve.url], None)
        .problems(&[])
        .is("inbox.last-delivery", "ok", "avatar_video.success")
        .is("inbox.backlog", "ok", "0 dead-lettered");

    let silent = heygen.examine(&workdir, &["--public-url", &serve.url, "--no-sample"], None);
    silent
        .problems(&[])
        .is("sample.signed", "skipped", "--no-sample")
        .is("sample.unsigned", "skipped", "--no-sample");
}

/// Moves the one endpoint there is to this address.
fn registered(heygen: &HeyGen, url: &str) -> (String, String) {
    use heygen_api::{Client, Credentials, v3::EndpointUpdate};
    let endpoint = heygen.sandbox.endpoints().swap_remove(0);
    let client = Client::builder(Credentials::api_key(KEY)).base_url(heygen.sandbox.url());
    let client = client.build().expect("a client");
    let id = endpoint.endpoint_id.as_str().into();
    let update = EndpointUpdate::url(url);
    heygen
        .runtime
        .block_on(client.v3().update_endpoint(&id, &update))
        .expect("moved");
    (endpoint.endpoint_id, endpoint.secret.expose().to_owned())
}

#[test]
fn every_run_has_the_same_shape() {
    let workdir = Workdir::new();
    let ids = |seen: &Seen| -> Vec<String> {
        let findings = seen.report["findings"].as_array().expect("a list");
        let keys = ["fix", "id", "items", "level", "message"];
        for finding in findings {
            let object = finding.as_object().expect("an object");
            let mut found: Vec<_> = object.keys().map(String::as_str).collect();
            found.sort_unstable();
            assert_eq!(found, keys);
            let id = finding["id"].as_str().expect("a text");
            assert!(
                !finding["message"].as_str().expect("a text").is_empty(),
                "{id}"
            );
        }
        findings
            .iter()
            .map(|finding| finding["id"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let certificates = certificates(&workdir);
    let bare = examine(&workdir, &[], &[("SSL_CERT_FILE", &certificates)]);
    let heygen = HeyGen::start();
    let serve = workdir.serve(&[]);
    let full = heygen.examine(&workdir, &["--public-url", &serve.url], Some(SECRET));
    let nobody = heygen.examine(&workdir, &[], None);
    assert_eq!(ids(&bare), ids(&full));
    assert_eq!(ids(&bare), ids(&nobody));
    assert_eq!(ids(&bare).len(), 27);
    assert_eq!(bare.report["public_url"], Value::Null);
    assert_eq!(full.report["public_url"], json!(serve.url));
    assert!(!full.ended.stdout.contains(SECRET));
}

#[test]
fn people_get_one_screen() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let arguments = ["doctor", "--base-url", heygen.sandbox.url()];
    let ended = workdir.run_with(&arguments, b"", &[("HEYGEN_API_KEY", KEY)]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.lines().count() < 50, "{}", ended.stdout);
    assert!(
        ended
            .stdout
            .contains("\nno problem was found (problems: 0, "),
        "{}",
        ended.stdout
    );
    ended.prints("→ register one");
    assert_eq!(ended.stderr, "", "no terminal, no note");
}

#[test]
fn doctor_works_without_a_key_and_checks_this_machine_alone_if_asked() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let address = serve.url.replace("http://", "");
    let address = address.split('/').next().expect("an address");
    let secret = [("HEYGEN_WEBHOOK_SECRET", SECRET)];
    let ended = workdir.run_with(&["doctor", "--listen", address], b"", &secret);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    let text = &ended.stdout;
    for expected in [
        "\nskipped  key, endpoints, endpoints.v1, ",
        ", events.subscribed: HeyGen was not asked: there is no API key\n         → set HEYGEN_API_KEY",
        "\nskipped  address, address.options, address.get, address.tls, sample.signed, sample.unsigned: give your address",
        "\nok       inbox.filesystem       ",
    ] {
        // In memory or in a container it is a warning.
        let is_there = text.contains(expected) || text.contains(&expected.replace("ok  ", "warn"));
        assert!(is_there, "{expected}: {text}");
    }
    assert!(text.lines().count() < 20, "one screen: {text}");

    // Neither HeyGen nor the public address is asked, whatever is known of them.
    let known = [("HEYGEN_API_KEY", KEY), ("HEYGEN_WEBHOOK_SECRET", SECRET)];
    let arguments = [
        "--local",
        "--listen",
        address,
        "--public-url",
        "https://nowhere.invalid",
    ];
    examine(&workdir, &arguments, &known)
        .problems(&[])
        .is("key", "skipped", "--local")
        .is("events.known", "skipped", "--local")
        .is("address.tls", "skipped", "--local")
        .is("sample.signed", "skipped", "--local")
        .is("receiver", "ok", "answers at")
        .is("inbox", "ok", "");
}

#[test]
fn the_inbox_is_one_or_is_not() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    heygen
        .examine(&workdir, &[], None)
        .is("inbox", "warn", "no inbox at")
        .is("inbox.backlog", "skipped", "");
    workdir.file(
        "text.db",
        "this is no inbox, and long enough to be read as something else",
    );
    heygen
        .examine(&workdir, &["--inbox", "text.db"], None)
        .problems(&["inbox"]);
}

#[test]
fn inbox_of_a_newer_version_is_named() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    let path = workdir.path().join("heygen-inbox.db");
    let mut file = std::fs::read(&path).expect("an inbox");
    // `user_version`, at its place in the header of SQLite's format.
    file[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&path, file).expect("written");

    let secret = [("HEYGEN_WEBHOOK_SECRET", SECRET)];
    for arguments in [
        &["doctor", "--local"][..],
        &["inbox", "list"],
        &["serve", "--listen", "127.0.0.1:0", "--admin", "off"],
        &["dashboard", "--admin", "127.0.0.1:0"],
    ] {
        let ended = workdir.run_with(arguments, b"", &secret);
        assert_eq!(ended.status, 1, "{arguments:?}");
        let said = format!("{}{}", ended.stdout, ended.stderr);
        for expected in ["has schema version 99", "a newer version made it"] {
            assert!(said.contains(expected), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let workdir = Workdir::new();
    for arguments in [
        ["--public-url", "hooks.example.com"],
        ["--public-url", "ftp://hooks.example.com"],
        ["--base-url", "http://hooks.example.com"],
    ] {
        let ended = workdir.run_with(
            &[&["doctor"], &arguments[..]].concat(),
            b"",
            &[("HEYGEN_API_KEY", KEY)],
        );
        assert_eq!(ended.status, 2, "{arguments:?}: {}", ended.stderr);
    }
}

const KEY: &str = "key-of-the-tests";
