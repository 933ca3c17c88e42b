//! The configuration file holds for every command; environment and flags override it.

use heygen_testkit::EventBuilder;
use serde_json::{Value, json};

use crate::support::{SECRET, Workdir, sandbox, words};
use crate::tunnel::Tunnel;

#[test]
fn the_inbox_is_the_same_for_every_command() {
    let workdir = Workdir::new();
    workdir.file("heygen-webhooks.toml", "inbox = \"of-the-file.db\"\n");
    let serve = workdir.serve(&[]);
    serve.trigger(&workdir, &["batch.finished"]).ok();
    let count = |arguments: &[&str], environment: &[(&str, &str)]| {
        let list = [&["inbox", "list", "--json"], arguments].concat();
        let ended = workdir.run_with(&list, b"", environment);
        (ended.status == 0).then(|| ended.json().as_array().map_or(0, Vec::len))
    };
    assert_eq!(count(&[], &[]), Some(1));
    assert_eq!(count(&["--inbox", "none.db"], &[]), None);
    let variable = [("HEYGEN_WEBHOOKS_INBOX", "none.db")];
    assert_eq!(count(&[], &variable), None);
    assert_eq!(count(&["--inbox", "of-the-file.db"], &variable), Some(1));

    workdir.file("other.toml", "inbox = \"none.db\"\n");
    assert_eq!(count(&["--config", "other.toml"], &[]), None);
    assert_eq!(
        count(&[], &[("HEYGEN_WEBHOOKS_CONFIG", "other.toml")]),
        None
    );
}

/// `doctor` asks the file more than once, and a pipe can be read only once.
#[cfg(unix)]
#[test]
fn file_may_be_a_pipe() {
    let workdir = Workdir::new();
    let doctor = words("doctor --local --no-sample --config /dev/stdin");
    let file = b"listen = \"127.0.0.1:1\"\ninbox = \"of-the-pipe.db\"\n";
    let ended = workdir.run_with(&doctor, file, &[]);
    ended.prints("of-the-pipe.db");
    ended.prints("127.0.0.1:1");
}

#[test]
fn files_of_secrets_are_the_same_for_every_command() {
    let workdir = Workdir::new();
    workdir.file("heygen-webhooks.toml", "secret-file = [\"secret\"]\n");
    workdir.file("secret", SECRET);
    let serve = workdir.serve_with(&[], &[]);
    let trigger = ["trigger", "batch.finished", "--to", &serve.url];
    workdir.run_with(&trigger, b"", &[]).ok();
    let verify = ["verify", "--signature", &"0".repeat(64), "--json"];
    let verified = workdir.run_with(&verify, b"{}", &[]);
    assert_eq!(verified.status, 1, "{}", verified.stderr);
    let drill = ["drill", &serve.url, "--only", "valid"];
    workdir.run_with(&drill, b"", &[]).ok();
    let doctor = workdir
        .run_with(&["doctor", "--no-sample", "--json"], b"", &[])
        .json();
    let findings = doctor["findings"].as_array().expect("findings");
    let secrets = findings.iter().find(|finding| finding["id"] == "secrets");
    let secrets = secrets.expect("of secrets");
    assert!(
        secrets["message"]
            .as_str()
            .is_some_and(|what| what.starts_with("1 known")),
        "{secrets}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_registration_stands_in_the_file() {
    let (workdir, tunnel) = (Workdir::new(), Tunnel::new());
    let heygen = sandbox("key").await;
    workdir.file("key", "key\n");
    workdir.file(
        "heygen-webhooks.toml",
        format!(
            "inbox = \"mine.db\"\npublic-url = \"{}\"\nbase-url = \"{}\"\napi-key-file = \"key\"\n\
             events = [\"batch.finished\"]\njson = true\n",
            tunnel.url(),
            heygen.url()
        ),
    );
    let serve = workdir.serve_with(&[], &[]);
    tunnel.lead_to(&serve.url);
    serve.log_line("registered at HeyGen");
    assert_eq!(
        heygen.endpoints()[0].events,
        Some(vec!["batch.finished".to_owned()])
    );
    heygen.send(EventBuilder::new("batch.finished"));
    let line: Value = serde_json::from_str(&serve.line()).expect("JSON");
    assert_eq!(line["event_type"], "batch.finished");

    let rotate = [
        "endpoints",
        "rotate-secret",
        &heygen.endpoints()[0].endpoint_id,
        "--apply",
        "--json",
    ];
    let rotated = workdir.run_with(&rotate, b"", &[]).ok().json();
    assert_eq!(rotated["kept_in"], json!("mine.db.secrets.json"));
    let create = ["endpoints", "create", "https://hooks.example/", "--keep"];
    let refused = workdir.run_with(&create, b"", &[]);
    assert_eq!(
        refused.status, 1,
        "nobody answers there: {}",
        refused.stdout
    );
}

#[test]
fn the_nearest_setting_wins() {
    let workdir = Workdir::new();
    workdir.file(
        "heygen-webhooks.toml",
        "path = \"/from-file\"\ninbox = \"from-file.db\"\nmax-body-bytes = 10\n",
    );
    let file = workdir.serve(&[]);
    assert!(file.url.ends_with("/from-file"), "{}", file.url);
    assert!(workdir.path().join("from-file.db").exists());
    let refused = file.trigger(&workdir, &["avatar_video.fail", "--json"]);
    assert_eq!(refused.json()["status"], 413);
    drop(file);

    let environment = [
        ("HEYGEN_WEBHOOKS_PATH", "/from-environment"),
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
    ];
    let from_environment = workdir.serve_with(&[], &environment);
    assert!(
        from_environment.url.ends_with("/from-environment"),
        "{}",
        from_environment.url
    );
    drop(from_environment);

    let flag = workdir.serve_with(&["--path", "/from-flag"], &environment);
    assert!(flag.url.ends_with("/from-flag"), "{}", flag.url);
}
