//! Where secrets and keys do not go: into programs, or to the author of a planted configuration file.

use std::fs;

use crate::forward::{Application, event, header};
use crate::http::post;
use crate::promises::script;
use crate::support::{SECRET, Workdir, eventually};

#[test]
fn programs_get_none_of_our_settings() {
    let workdir = Workdir::new();
    let text = r#"cat >/dev/null; env > environment.new; mv environment.new environment"#;
    let program = script(&workdir, "handle", text);
    let program = program.to_str().expect("a path");
    let serve = workdir.serve_with(
        &["--exec", program],
        &[
            ("HEYGEN_WEBHOOK_SECRET", SECRET),
            ("HEYGEN_WEBHOOKS_CONCURRENCY", "3"),
            ("HEYGEN_WEBHOOKS_OF_TOMORROW", "hush"),
            ("NATS_PASSWORD", "hush"),
            ("HTTPS_PROXY", "http://me:hush@127.0.0.1:1"),
        ],
    );
    post(&serve, event("a"));
    let file = workdir.path().join("environment");
    eventually(|| file.exists());
    let environment = fs::read_to_string(file).expect("what it was given");
    let ours = environment
        .lines()
        .filter(|line| line.starts_with("HEYGEN") || line.starts_with("NATS"));
    let mut names: Vec<_> = ours
        .map(|line| line.split('=').next().expect("a name"))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "HEYGEN_ATTEMPT",
            "HEYGEN_AUTHENTICITY",
            "HEYGEN_DELIVERY_ID",
            "HEYGEN_EVENT_TYPE",
            "HEYGEN_RECEIVED_AT",
            "HEYGEN_SUBJECT_ID"
        ]
    );
    assert!(!environment.contains("hush"), "{environment}");
    assert!(
        environment.contains("HTTPS_PROXY=http://127.0.0.1:1\n"),
        "{environment}"
    );
}

#[test]
fn a_secret_that_can_be_guessed_is_warned_of_where_others_can_send() {
    for (listen, secret, is_warned) in [
        ("0.0.0.0:0", "whsec_short", true),
        ("0.0.0.0:0", "whsec_0123456789abcdef", false),
        ("127.0.0.1:0", "whsec_short", false),
    ] {
        let workdir = Workdir::new();
        let arguments = ["serve", "--listen", listen, "--admin", "off"];
        let command = workdir.command(&[&arguments[..], &["--log-format", "json"]].concat());
        let serve = workdir.start(command, &[("HEYGEN_WEBHOOK_SECRET", secret)]);
        serve.signal("TERM");
        let (_, _, log) = serve.wait();
        let log = log.concat();
        assert_eq!(log.contains("fewer than 16 characters"), is_warned, "{log}");
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_configuration_file_of_others_does_not_decide_where_keys_go() {
    use std::os::unix::fs::PermissionsExt as _;
    let workdir = Workdir::new();
    let thief = Application::start(200);
    let base = thief.url.trim_end_matches("/webhook");
    let text = format!("base-url = \"{base}\"\nexec = [\"./stolen\"]\n");
    let file = workdir.file("heygen-webhooks.toml", text);
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("ours");
    let key = [("HEYGEN_API_KEY", "hush")];
    mode(0o666);
    for command in [
        &["endpoints", "list"][..],
        &["serve", "--listen", "127.0.0.1:0"],
        &["dev"],
    ] {
        let ended = workdir.run_with(command, b"", &key);
        assert_eq!(ended.status, 2, "{command:?}: {}", ended.stderr);
        for part in ["is writable by others", "base-url", "exec", "--config"] {
            ended.says(part);
        }
    }
    assert!(thief.requests.try_recv().is_err(), "it was asked");
    // One that was named, or that is ours alone, is believed, and told of.
    let named = ["endpoints", "list", "--config", "heygen-webhooks.toml"];
    workdir.run_with(&named, b"", &key);
    let asked = thief.next();
    assert_eq!(header(&asked, "x-api-key"), Some("hush"));
    mode(0o644);
    let program = workdir.file("stolen", "#!/bin/sh\n");
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("ours");
    let serve = workdir.serve_logging(&[]);
    let line = serve.log_line("configuration file read");
    assert!(line.contains("heygen-webhooks.toml"), "{line}");
}
