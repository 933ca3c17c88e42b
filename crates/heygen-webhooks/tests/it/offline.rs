//! `inspect`, `verify`, `schema`, `completions`, `man` and the help: commands that need no server.

use heygen_testkit::fixtures;
use serde_json::Value;

use crate::support::Workdir;

/// Key and body of the published test vector; its signature is `VECTOR`.
const KEY: &str = "whsec_TS_YwqJ-HujAT0KvEMqxrg==";
const BODY: &str = r#"{"event_type":"avatar_video.success","event_data":{"video_id":"abc123","url":"https://example.com/v.mp4","callback_id":null}}"#;
const VECTOR: &str = "8d8bcdb9c5823dfa062f5844c409a5bc737f7e02a685b3091944e2d1ad78db8e";

#[test]
fn inspect_shows_the_typed_view() {
    let workdir = Workdir::new();
    let seen = workdir
        .run_with(&["inspect", "--json"], BODY.as_bytes(), &[])
        .ok();
    insta::assert_snapshot!(seen.stdout);
    let file = workdir.file("body.json", BODY);
    let people = workdir
        .run(&["inspect", file.to_str().expect("UTF-8")])
        .ok();
    insta::assert_snapshot!(people.stdout);
}

#[test]
fn inspect_reads_every_fixture() {
    let workdir = Workdir::new();
    for fixture in fixtures::all() {
        let seen = workdir
            .run_with(&["inspect", "--json"], fixture.body.as_bytes(), &[])
            .ok()
            .json();
        assert_eq!(seen["event_type"], fixture.event_type, "{}", fixture.case);
        assert_eq!(
            seen["well_formed"],
            !fixture.case.starts_with("malformed-"),
            "{}: {}",
            fixture.event_type,
            fixture.case
        );
    }
}

#[test]
fn inspect_says_what_is_no_event() {
    let workdir = Workdir::new();
    for body in ["", "hello", "[]", r#"{"event_data":{}}"#] {
        let seen = workdir.run_with(&["inspect"], body.as_bytes(), &[]);
        assert_eq!(seen.status, 1, "{body}");
        assert!(
            seen.stderr.starts_with("error: not an event: "),
            "{}",
            seen.stderr
        );
        let json = workdir.run_with(&["inspect", "--json"], body.as_bytes(), &[]);
        assert_eq!(json.status, 1, "{body}");
        assert_eq!(json.json()["well_formed"], false, "{body}");
        assert!(json.json()["reason"].is_string(), "{}", json.stdout);
    }
}

#[test]
fn inspect_says_in_json_why_data_is_malformed() {
    #[track_caller]
    fn check(data: &str, reason: Option<&str>) {
        let body = format!(r#"{{"event_type":"avatar_video.success","event_data":{data}}}"#);
        let seen = Workdir::new().run_with(&["inspect", "--json"], body.as_bytes(), &[]);
        let seen = seen.ok().json();
        assert_eq!(seen["well_formed"], reason.is_none(), "{seen}");
        match reason {
            Some(reason) => {
                let shown = seen["reason"].as_str().expect("a text");
                assert!(shown.contains(reason), "{shown}");
            }
            None => assert_eq!(seen["reason"], Value::Null),
        }
    }
    check(r#"{"video_id":"a"}"#, None);
    check("[]", Some("array"));
}

#[test]
fn verify_reports_success_or_the_reason_of_a_mismatch() {
    let workdir = Workdir::new();
    #[track_caller]
    fn check(workdir: &Workdir, key: &str, signature: &str, body: &str, status: i32, reason: &str) {
        let arguments = ["verify", "--json", "--signature", signature];
        let ended = workdir.run_with(
            &arguments,
            body.as_bytes(),
            &[("HEYGEN_WEBHOOK_SECRET", key)],
        );
        assert_eq!(ended.status, status, "{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.json()["reason"], reason);
        assert_eq!(ended.json()["verified"], status == 0);
    }
    check(&workdir, KEY, VECTOR, BODY, 0, "verified");
    check(&workdir, KEY, &VECTOR.to_uppercase(), BODY, 0, "verified");
    check(
        &workdir,
        &format!("whsec_other,{KEY}"),
        VECTOR,
        BODY,
        0,
        "verified",
    );
    check(
        &workdir,
        "whsec_other",
        VECTOR,
        BODY,
        1,
        "matches-no-secret",
    );
    check(
        &workdir,
        KEY,
        &format!("sha256={VECTOR}"),
        BODY,
        1,
        "sha256-prefix",
    );
    check(&workdir, KEY, "hello", BODY, 1, "not-hex");
    check(
        &workdir,
        KEY,
        VECTOR,
        &BODY.replace(':', ": ").replace("https: ", "https:"),
        1,
        "matches-reserialized-body",
    );
    assert_eq!(
        workdir
            .run_with(&["verify", "--signature", VECTOR], b"", &[])
            .status,
        2,
        "no secret"
    );
}

#[test]
fn schemas_are_printed_by_name() {
    let workdir = Workdir::new();
    let names = workdir.run(&["schema", "--list"]).ok().stdout;
    assert_eq!(names.lines().count(), 30);
    for name in names.lines().chain(["any", "body"]) {
        let schema: Value = workdir.json(&["schema", name]);
        assert_eq!(
            schema["$schema"], "https://json-schema.org/draft/2020-12/schema",
            "{name}"
        );
    }
    let index: Value = workdir.json(&["schema", "index"]);
    let events = index["events"].as_array().unwrap().iter();
    let listed: Vec<_> = events.map(|event| event["event_type"].as_str()).collect();
    assert_eq!(listed, names.lines().map(Some).collect::<Vec<_>>());
    let openapi = workdir.run(&["schema", "openapi"]).ok().stdout;
    assert_eq!(openapi, include_str!("../../../../schemas/openapi.json"));
    let unknown = workdir.run(&["schema", "video.completed"]);
    unknown.fails(2, "schema --list");
}

#[test]
fn packages_get_completions_and_man_pages() {
    let workdir = Workdir::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            workdir
                .run(&["completions", shell])
                .ok()
                .stdout
                .contains("heygen-webhooks"),
            "{shell}"
        );
    }
    assert!(
        workdir
            .run(&["man"])
            .ok()
            .stdout
            .contains(".TH heygen-webhooks 1")
    );
    workdir.run(&["man", "--dir", "pages"]).ok();
    for page in [
        "heygen-webhooks.1",
        "heygen-webhooks-serve.1",
        "heygen-webhooks-inbox-show.1",
        "heygen-webhooks-nats.1",
    ] {
        let text = read(&workdir, page);
        for section in ["EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "SEE ALSO"] {
            // The page of the whole program has no options that read variables.
            let is_there = text.contains(&format!("\n.SH {section}\n"))
                || text.contains(&format!("\n.SH \"{section}\"\n"));
            assert_eq!(
                is_there,
                section != "ENVIRONMENT" || page != "heygen-webhooks.1",
                "{page}: {section}"
            );
        }
    }
    let serve = read(&workdir, "heygen-webhooks-serve.1");
    for text in [
        "\n.SH FILES\n",
        "heygen\\-inbox.db",
        "HEYGEN_WEBHOOK_SECRET",
        "heygen\\-webhooks serve \\-\\-sandbox\n",
    ] {
        assert!(serve.contains(text), "{text}: {serve}");
    }
    assert!(!serve.contains("nats\\-creds"), "{serve}");
    let drill = read(&workdir, "heygen-webhooks-drill.1");
    assert!(
        drill.contains(".SH SYNOPSIS\nheygen\\-webhooks drill [OPTIONS] <URL>\n"),
        "{drill}"
    );
}

fn read(workdir: &Workdir, page: &str) -> String {
    std::fs::read_to_string(workdir.path().join("pages").join(page)).expect("a page")
}

#[test]
fn options_of_nats_are_accepted_and_completed_though_help_hides_them() {
    let workdir = Workdir::new();
    for command in [&["serve"][..], &["work"], &["inbox", "list"]] {
        let help = workdir.run(&[command, &["--help"]].concat()).ok().stdout;
        assert!(!help.contains("--nats-creds <FILE>"), "{help}");
        let accepted = workdir.run(&[command, &["--nats-creds", "a", "--help"]].concat());
        accepted.ok();
    }
    for page in [&["help", "nats"][..], &["nats"], &["nats", "--help"]] {
        let page = workdir.run(page).ok().stdout;
        assert!(page.contains("--nats-creds <FILE>"), "{page}");
    }
    let line = ["--", "heygen-webhooks", "serve", "--nats-c"];
    let completed = workdir.run_with(&line, b"", &[("HEYGEN_WEBHOOKS_COMPLETE", "fish")]);
    assert!(completed.ok().stdout.contains("--nats-creds"));
}

#[test]
fn help_version_and_misuse() {
    let workdir = Workdir::new();
    let version = workdir.run(&["--version"]).ok().stdout;
    assert!(version.starts_with("heygen-webhooks 0."), "{version}");
    assert!(version.contains("\ncommit: "), "{version}");
    assert!(version.contains("SQLite 3."), "{version}");
    let short = workdir.run(&["-V"]).ok().stdout;
    assert_eq!(short.lines().count(), 1, "{short}");
    assert_eq!(workdir.run(&[]).status, 2);
    assert_eq!(workdir.run(&["fly"]).status, 2);
    assert_eq!(
        workdir.run(&["serve", "--secret", "whsec_x"]).status,
        2,
        "no flag takes a secret"
    );
}
