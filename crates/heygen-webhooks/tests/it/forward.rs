//! Signatures of forwarded deliveries: nothing that HeyGen did not sign leaves under a signature that passes for HeyGen's.

use std::fs;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heygen_signature::Secret;
use heygen_testkit::EventBuilder;
use serde_json::{Value, json};

use crate::endpoint;
use crate::http::{ask, post};
use crate::promises::{import, old};
use crate::support::{SECRET, Serve, Workdir, sandbox};

const TOKEN: &str = "Zm9vYmFyYmF6cXV4MTIzNDU2";
const KEY: &str = "key-of-the-tests";

/// An application that remembers what it was sent, and answers everything with one status.
pub(crate) struct Application {
    pub(crate) url: String,
    pub(crate) requests: Receiver<endpoint::Request>,
}

impl Application {
    pub(crate) fn start(status: u16) -> Self {
        let (sender, requests) = channel();
        let sender = Arc::new(Mutex::new(sender));
        let url = endpoint::start(move |request| {
            let copy = endpoint::Request {
                method: request.method.clone(),
                headers: request.headers.clone(),
                body: request.body.clone(),
            };
            // The test may have ended.
            let _ = sender.lock().expect("no panic").send(copy);
            status
        });
        Self { url, requests }
    }

    pub(crate) fn next(&self) -> endpoint::Request {
        let patience = Duration::from_secs(60);
        self.requests.recv_timeout(patience).expect("a request")
    }
}

pub(crate) fn header<'a>(request: &'a endpoint::Request, name: &str) -> Option<&'a str> {
    let mut headers = request.headers.iter();
    let found = headers.find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

fn sign(secret: &str, body: &[u8]) -> String {
    let secret = Secret::new(secret).expect("a secret");
    secret.sign(body).to_string()
}

fn forward_secret(workdir: &Workdir, arguments: &[&str]) -> String {
    let ended = workdir
        .run(&[&["secrets", "forward"], arguments].concat())
        .ok();
    ended.stdout.trim_end().to_owned()
}

/// What the application was sent, posted to the webhook with the signature it came with, is refused.
#[track_caller]
fn assert_no_oracle(serve: &Serve, request: &endpoint::Request) {
    for name in ["signature", "heygen-signature"] {
        let signature = header(request, name);
        let headers: Vec<_> = signature.map(|text| (name, text)).into_iter().collect();
        let answer = ask(&serve.url, "POST", &headers, &request.body);
        assert_eq!(answer.status, 401, "{name}: {signature:?}");
    }
}

pub(crate) fn event(subject: &str) -> String {
    format!(
        r#"{{"event_type":"avatar_video.success","event_data":{{"video_id":"{subject}","url":"https://a.b/c"}}}}"#
    )
}

#[test]
fn a_callback_gets_no_signature_that_passes_for_heygens() {
    // With a secret of its own, and with HeyGen's, whether it stands alone or behind a comment.
    for heygens in [
        None,
        Some(format!("{SECRET}\n")),
        Some(format!("# x\n\n {SECRET} \n")),
    ] {
        let workdir = Workdir::new();
        workdir.file("tokens", TOKEN);
        let application = Application::start(200);
        let mut arguments = vec![
            "--forward",
            &application.url,
            "--callback-token-file",
            "tokens",
        ];
        if let Some(text) = &heygens {
            workdir.file("theirs", text);
            arguments.extend(["--forward-secret-file", "theirs"]);
        }
        let serve = workdir.serve(&arguments);
        let invented = event("invented");
        let callbacks = format!("{}/callbacks/{TOKEN}", serve.url);
        assert_eq!(
            ask(&callbacks, "POST", &[], invented.as_bytes()).status,
            200
        );
        let request = application.next();
        assert_eq!(request.body, invented.as_bytes());
        assert_eq!(
            header(&request, "heygen-webhooks-authenticity"),
            Some("token")
        );
        assert_no_oracle(&serve, &request);

        let own = match heygens {
            None => {
                let own = forward_secret(&workdir, &[]);
                let expected = sign(&own, &request.body);
                assert_eq!(header(&request, "signature"), Some(expected.as_str()));
                assert_eq!(
                    header(&request, "heygen-signature"),
                    Some(expected.as_str())
                );
                own
            }
            Some(_) => {
                assert_eq!(header(&request, "signature"), None, "it is sent unsigned");
                SECRET.to_owned()
            }
        };
        // What HeyGen signed is signed.
        post(&serve, event("genuine"));
        let request = application.next();
        assert_eq!(
            header(&request, "heygen-webhooks-authenticity"),
            Some("signature")
        );
        let expected = sign(&own, &request.body);
        assert_eq!(header(&request, "signature"), Some(expected.as_str()));
    }
}

#[test]
fn replayed_imports_get_no_signature_that_passes_for_heygens() {
    let workdir = Workdir::new();
    workdir.file("theirs", SECRET);
    let lines = ["callback", "backfill"].map(|source| {
        let mut line = old(source, "acknowledged", 1, 0);
        line["source"] = source.into();
        line
    });
    import(&workdir, lines);
    let application = Application::start(200);
    for arguments in [&[][..], &["--forward-secret-file", "theirs"]] {
        let serve = workdir.serve(&[&["--forward", &application.url], arguments].concat());
        workdir
            .run(&["inbox", "replay", "--state", "acknowledged", "--yes"])
            .ok();
        for _ in 0..2 {
            let request = application.next();
            assert_no_oracle(&serve, &request);
            assert_eq!(
                header(&request, "signature").is_some(),
                arguments.is_empty()
            );
        }
        serve.signal("TERM");
        assert_eq!(serve.wait().0, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backfilled_event_is_forwarded_without_heygens_signature() {
    let heygen = sandbox(KEY).await;
    let elsewhere = endpoint::start(|_| 200);
    heygen.register(&elsewhere).await.expect("registered");
    heygen.send(EventBuilder::new("avatar_video.success").set("video_id", "logged"));
    heygen.settled().await;
    let environment = [
        ("HEYGEN_API_KEY", KEY),
        ("HEYGEN_WEBHOOKS_BASE_URL", heygen.url()),
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
    ];
    for own in [true, false] {
        let workdir = Workdir::new();
        workdir.file("theirs", SECRET);
        let application = Application::start(200);
        let mut forward = vec!["--forward", &application.url];
        if !own {
            forward.extend(["--forward-secret-file", "theirs"]);
        }
        let serve = workdir.serve_with(&[&["--backfill"], &forward[..]].concat(), &environment);
        let request = application.next();
        assert_eq!(
            header(&request, "heygen-webhooks-authenticity"),
            Some("log")
        );
        assert_eq!(header(&request, "signature").is_some(), own);
        assert_no_oracle(&serve, &request);

        let dev = ["dev", "--since", "1h", "--log-format", "json"];
        let dev = workdir.command(&[&dev, &forward[..]].concat());
        let dev = workdir.begin(dev, &environment);
        let request = application.next();
        assert_eq!(header(&request, "signature").is_some(), own, "dev");
        assert_no_oracle(&serve, &request);
        drop(dev);
        if own {
            let secrets = [
                forward_secret(&workdir, &[]),
                forward_secret(&workdir, &["--inbox", "heygen-dev.db"]),
            ];
            assert_ne!(secrets[0], secrets[1]);
        }
    }
}

#[test]
fn forward_secret_equal_to_a_receiver_secret_signs_only_heygens_deliveries() {
    let workdir = Workdir::new();
    workdir.file("tokens", TOKEN);
    workdir.file("forward", "whsec_forward\n");
    let application = Application::start(200);
    let serve = workdir.serve(&[
        "--forward",
        &application.url,
        "--forward-secret-file",
        "forward",
        "--callback-token-file",
        "tokens",
    ]);
    let callbacks = format!("{}/callbacks/{TOKEN}", serve.url);
    let callback = |subject: &str| {
        let answer = ask(&callbacks, "POST", &[], event(subject).as_bytes());
        assert_eq!(answer.status, 200);
        application.next()
    };
    let request = callback("before");
    let expected = sign("whsec_forward", &request.body);
    assert_eq!(header(&request, "signature"), Some(expected.as_str()));
    // Replaced at HeyGen, it is still accepted for a day: that is enough to forge with.
    let kept = json!({"secrets": [{
        "endpoint_id": "e1", "url": "https://a.example/", "secret": "whsec_forward",
        "kept_at": "2026-11-01T00:00:00Z", "accepted_until": "2999-11-01T00:00:00Z",
    }]});
    workdir.file("heygen-inbox.db.secrets.json", kept.to_string());
    serve.log_line("secrets reloaded");
    let request = callback("after");
    assert_eq!(header(&request, "signature"), None);
    serve.log_line("forwarded without a signature");
    assert_no_oracle(&serve, &request);
}

#[test]
fn the_secret_stays_over_restarts_and_over_rotation_at_heygen() {
    let workdir = Workdir::new();
    let application = Application::start(200);
    let arguments = ["--forward", &application.url];
    let serve = workdir.serve_logging(&arguments);
    let line = serve.log_line("created a secret for forwarding");
    assert!(line.contains("\"WARN\""), "{line}");
    let line = serve.log_line("forwarded deliveries are signed with");
    for part in [
        "./heygen-inbox.db.forward-secret",
        "heygen-webhooks secrets forward --inbox ./heygen-inbox.db",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let own = forward_secret(&workdir, &[]);
    assert!(!line.contains(&own), "its workdir, and not what it is");
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);

    let serve = workdir.serve(&arguments);
    let line = serve.log_line("forwarded deliveries are signed with");
    assert!(line.contains("forward-secret"), "{line}");
    // A new secret of HeyGen's, as `endpoints rotate-secret --apply` keeps it.
    let kept = json!({"secrets": [{
        "endpoint_id": "e1", "url": "https://a.example/", "secret": "whsec_rotated",
        "kept_at": "2026-11-01T00:00:00Z", "accepted_until": null,
    }]});
    workdir.file("heygen-inbox.db.secrets.json", kept.to_string());
    serve.log_line("secrets reloaded");
    let body = event("rotated");
    let signature = sign("whsec_rotated", body.as_bytes());
    let headers = [("Signature", signature.as_str())];
    assert_eq!(
        ask(&serve.url, "POST", &headers, body.as_bytes()).status,
        200
    );
    let request = application.next();
    let expected = sign(&own, &request.body);
    assert_eq!(header(&request, "signature"), Some(expected.as_str()));
    serve.signal("TERM");
    let (_, _, log) = serve.wait();
    assert!(!log.concat().contains("created a secret"), "{log:?}");
    use std::os::unix::fs::PermissionsExt as _;
    let file = workdir.path().join("heygen-inbox.db.forward-secret");
    let mode = fs::metadata(file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_file_is_read_again_on_sighup() {
    let workdir = Workdir::new();
    let file = workdir.file("forward", "whsec_first\n");
    let application = Application::start(200);
    let serve = workdir.serve(&[
        "--forward",
        &application.url,
        "--forward-secret-file",
        "forward",
    ]);
    let is_signed_with = |subject: &str, secret: &str| {
        post(&serve, event(subject));
        let request = application.next();
        let expected = sign(secret, &request.body);
        assert_eq!(header(&request, "signature"), Some(expected.as_str()));
    };
    is_signed_with("first", "whsec_first");
    fs::remove_file(&file).expect("it was there");
    // Also root cannot read a folder as a file.
    fs::create_dir(&file).expect("a folder");
    serve.signal("HUP");
    let refused = serve.log_line("could not reload the secret for forwarding");
    assert!(
        refused.contains("--forward-secret-file: cannot read"),
        "{refused}"
    );
    is_signed_with("still-first", "whsec_first");
    fs::remove_dir(&file).expect("it was there");
    serve.signal("HUP");
    serve.log_line("the secret for forwarding is gone");
    post(&serve, event("unsigned"));
    serve.log_line("there is no secret to sign with yet");
    workdir.file("forward", "whsec_second\n");
    serve.signal("HUP");
    serve.log_line("secrets reloaded");
    // The delivery that waited comes too.
    let request = application.next();
    let expected = sign("whsec_second", &request.body);
    assert_eq!(header(&request, "signature"), Some(expected.as_str()));
}

#[test]
fn log_hints_at_the_forward_secret_when_the_application_answers_401() {
    for status in [401, 403] {
        let workdir = Workdir::new();
        let application = Application::start(status);
        let serve = workdir.serve(&["--forward", &application.url]);
        for subject in ["a", "b", "c"] {
            post(&serve, event(subject));
            application.next();
        }
        let line = serve.log_line("rejects forwarded deliveries");
        for part in [
            "./heygen-inbox.db.forward-secret",
            "`heygen-webhooks secrets forward --inbox ./heygen-inbox.db`",
            &status.to_string(),
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        serve.signal("TERM");
        let (_, _, log) = serve.wait();
        let log = log.concat();
        assert!(!log.contains("rejects forwarded"), "once a minute: {log}");
    }
}

#[test]
fn the_command_prints_the_secret_and_nothing_else() {
    let workdir = Workdir::new();
    let ended = workdir.run(&["secrets", "forward"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (1, ""));
    ended.says("--create");
    assert!(
        !workdir
            .path()
            .join("heygen-inbox.db.forward-secret")
            .exists()
    );

    let made = forward_secret(&workdir, &["--create"]);
    let digits = made.strip_prefix("whsec_").expect("the form of HeyGen's");
    assert!(digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(forward_secret(&workdir, &[]), made);
    let other = forward_secret(&Workdir::new(), &["--create"]);
    assert_ne!(other, made);
    let value = workdir.json(&["secrets", "forward", "--json"]);
    let expected = json!({"secret": made, "file": "./heygen-inbox.db.forward-secret"});
    assert_eq!(value, expected);

    // What is named instead, by option, environment or file.
    workdir.file("named", "# of the application\nwhsec_named\n");
    let named = ["secrets", "forward", "--forward-secret-file", "named"];
    assert_eq!(workdir.run(&named).ok().stdout, "whsec_named\n");
    let variable = [("HEYGEN_WEBHOOKS_FORWARD_SECRET_FILE", "named")];
    let ended = workdir
        .run_with(&["secrets", "forward"], b"", &variable)
        .ok();
    assert_eq!(ended.stdout, "whsec_named\n");
    workdir.file("heygen-webhooks.toml", "forward-secret-file = \"named\"\n");
    assert_eq!(forward_secret(&workdir, &[]), "whsec_named");
}

#[test]
fn on_nats_the_file_has_to_be_named() {
    let workdir = Workdir::new();
    let inbox = ["--inbox", "nats://127.0.0.1:1/HEYGEN"];
    let rule = ["--on", "*.fail=forward:http://127.0.0.1:1/x"];
    for command in [
        &["work", "--forward", "http://127.0.0.1:1/x"][..],
        &["serve", "--forward", "http://127.0.0.1:1/x"],
        &[&["work"][..], &rule].concat(),
        &[&["serve"][..], &rule].concat(),
        &["secrets", "forward"],
    ] {
        let ended = workdir.run(&[command, &inbox].concat());
        assert_eq!(ended.status, 2, "{command:?}: {}", ended.stderr);
        for part in ["--forward-secret-file", "openssl rand -hex 32"] {
            ended.says(part);
        }
    }
    // Without forwarding there is nothing to sign; and one that is named is read.
    let ended = workdir.run(&[&["work", "--print"][..], &inbox].concat());
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    let named = ["--forward-secret-file", "none", "--forward", "http://a/"];
    let ended = workdir.run(&[&["work"][..], &named, &inbox].concat());
    ended.says("cannot read secret file none");
    assert!(!workdir.path().join("none").exists());
}

#[test]
fn serve_sandbox_reports_what_was_acknowledged() {
    for (status, exit) in [(401, 1), (200, 0)] {
        for is_json in [false, true] {
            let workdir = Workdir::new();
            let application = Application::start(status);
            let mut arguments = vec!["--sandbox", "--forward", &application.url];
            // What is tried again at once is no other sample.
            arguments.extend(["--retry-initial-delay=0.001", "--retry-max-delay=0.001"]);
            if is_json {
                arguments.push("--json");
            }
            let serve = workdir.serve_with(&arguments, &[]);
            serve.log_line("registered at the sandbox");
            let line: Value =
                serde_json::from_str(&serve.log_line("the samples were sent")).expect("JSON");
            let acknowledged = if status == 200 { 30 } else { 0 };
            assert_eq!(
                (&line["samples"], &line["stored"], &line["acknowledged"]),
                (&30.into(), &30.into(), &acknowledged.into())
            );
            if !is_json {
                let expected = format!("30 stored, {acknowledged} of 30 acknowledged");
                let summary = loop {
                    let line = serve.line();
                    if line.contains("acknowledged") {
                        break line;
                    }
                };
                assert!(summary.starts_with(&expected), "{summary}");
                assert_eq!(summary.contains("answered 401"), status == 401, "{summary}");
            }
            serve.signal("INT");
            let (code, _, log) = serve.wait();
            assert_eq!(code, exit, "{log:?}");
            assert!(
                log.concat().contains("deregistered at the sandbox"),
                "{log:?}"
            );
            assert!(!log.concat().contains("at HeyGen"), "{log:?}");
        }
    }
}
