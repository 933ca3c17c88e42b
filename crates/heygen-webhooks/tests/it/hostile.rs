//! An event whose texts steer a terminal, hide or reorder: no command passes them on.

use heygen_events::text::is_unsafe_to_show;
use heygen_testkit::EventBuilder;
use serde_json::{Value, json};

use crate::http::ask;
use crate::promises::script;
use crate::support::{SECRET, Workdir, eventually, sandbox};

/// One of each kind: ESC, BEL, DEL, C1, bidi, zero-width, line and paragraph separators, a tag.
const HOSTILE: &str =
    "x\u{1b}[31m\u{7}\u{7f}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}\u{2029}\u{e0041}y";

fn event(name: &str) -> String {
    json!({
        "event_type": name,
        "event_id": format!("{HOSTILE}{name}"),
        "event_data": {
            "video_id": HOSTILE,
            "callback_id": HOSTILE,
            "msg": HOSTILE,
            "url": format!("https://a.example/{HOSTILE}"),
            HOSTILE: HOSTILE,
        },
        HOSTILE: 1,
    })
    .to_string()
}

#[track_caller]
fn assert_safe(what: &str, text: &str) {
    let found: Vec<_> = text
        .chars()
        .filter(|c| is_unsafe_to_show(*c) && *c != '\n')
        .collect();
    assert!(found.is_empty(), "{what}: {found:?} in {text}");
}

#[test]
fn no_command_prints_control_or_hiding_characters() {
    let workdir = Workdir::new();
    let handler = script(
        &workdir,
        "handle",
        r#"cat; printf 'x\033[31m\302\23331m\342\200\256y\n' >&2; exit 1"#,
    );
    let rule = format!("avatar_video.fail=exec:{}", handler.display());
    for format in ["text", "json"] {
        let name = format!("new.{HOSTILE}.{format}");
        let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--admin", "off"];
        arguments.extend([
            "--log-format",
            format,
            "--retry-max-attempts",
            "1",
            "--on",
            &rule,
        ]);
        if format == "json" {
            arguments.push("--json");
        }
        let serve = workdir.begin(
            workdir.command(&arguments),
            &[("HEYGEN_WEBHOOK_SECRET", SECRET)],
        );
        let first = serve.log_line("listening");
        let url = first
            .split('"')
            .find(|part| part.starts_with("http://"))
            .expect("an address");
        let deliver = |body: &str| {
            let signature = crate::http::sign(body);
            let headers = [("Signature", signature.as_str())];
            assert_eq!(ask(url, "POST", &headers, body.as_bytes()).status, 200);
        };
        deliver(&event(&name));
        let failed = event("avatar_video.fail");
        deliver(&failed.replacen("x\\u001b", &format!("{format}\\u001b"), 1));
        deliver(&format!("no JSON {HOSTILE} {format}"));
        // A body that was turned away, too.
        let headers = [("Signature", "00"), ("X-Signature", "é\u{9b}31m\u{202e}")];
        assert_eq!(
            ask(url, "POST", &headers, event(&name).as_bytes()).status,
            401
        );
        let finished = || {
            let all = workdir.list();
            all.len() >= 3
                && all.iter().all(|one| {
                    ["acknowledged", "dead_lettered"]
                        .contains(&one["state"].as_str().expect("a word"))
                })
        };
        eventually(finished);
        serve.signal("TERM");
        let (_, lines, log) = serve.wait();
        for line in &lines {
            assert_safe("serve", line);
        }
        if format == "json" {
            let found = lines
                .iter()
                .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            let mut subjects = found.map(|line| line["subject_id"].clone());
            assert!(
                subjects.any(|subject| subject == HOSTILE),
                "the same text: {lines:?}"
            );
        }
        for line in &log {
            assert_safe("the log", line);
        }
    }
    let list = workdir.run(&["inbox", "list", "--json"]).ok();
    let ids: Vec<_> = list
        .json()
        .as_array()
        .expect("an array")
        .iter()
        .map(|one| one["id"].as_str().expect("an id").to_owned())
        .collect();
    let rejected = workdir.json(&["inbox", "rejected", "list", "--json"]);
    let rejected = rejected[0]["id"].to_string().replace('"', "");
    workdir.file("event.json", event(&format!("new.{HOSTILE}")));
    workdir.file("broken.json", format!("no JSON {HOSTILE}"));
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["inbox", "list"],
        vec!["inbox", "drift"],
        vec!["inbox", "stats", "--all"],
        vec!["inbox", "rejected", "list"],
        vec!["inbox", "rejected", "show", &rejected],
        vec!["inbox", "replay", "--dry-run", "--subject", HOSTILE],
        vec!["inspect", "event.json"],
        vec!["inspect", "broken.json"],
        vec!["verify", "event.json", "--signature", "00"],
        vec!["verify", "broken.json", "--signature", HOSTILE],
        vec!["inspect", HOSTILE],
        vec!["inbox", "show", HOSTILE],
    ];
    for id in &ids {
        commands.push(vec!["inbox", "show", id]);
        commands.push(vec!["inbox", "show", id, "--full"]);
        commands.push(vec!["inbox", "attempts", id]);
    }
    let with_json: Vec<_> = commands
        .iter()
        .filter(|command| !command.contains(&"--full"))
        .map(|command| [&command[..], &["--json"]].concat())
        .collect();
    for command in commands.iter().chain(&with_json) {
        let ended = workdir.run(command);
        assert_ne!(ended.stdout.len() + ended.stderr.len(), 0, "{command:?}");
        assert_safe(&format!("{command:?}"), &ended.stdout);
        assert_safe(&format!("{command:?}, its log"), &ended.stderr);
    }
    // What is for programs says the same all the same, and what is asked for raw is raw.
    let shown = workdir.run(&["inbox", "show", &ids[0], "--raw"]).ok();
    assert!(String::from_utf8_lossy(&shown.raw).contains('\u{202e}'));
    let exported = workdir.run(&["inbox", "export"]).ok().stdout;
    assert_safe("export", &exported);
    let subjects = exported
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["subject_id"].clone());
    assert!(subjects.into_iter().any(|subject| subject == HOSTILE));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_heygen_cannot_steer_the_terminal() {
    let heygen = sandbox("key").await;
    let elsewhere = crate::endpoint::start(|_| 200);
    heygen.register(&elsewhere).await.expect("registered");
    let hostile = EventBuilder::new("avatar_video.success");
    heygen.send(hostile.set("video_id", HOSTILE).top("event_id", HOSTILE));
    heygen.settled().await;
    let workdir = Workdir::new();
    let environment = [
        ("HEYGEN_API_KEY", "key"),
        ("HEYGEN_WEBHOOKS_BASE_URL", heygen.url()),
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
    ];
    // It answers with ESC, too.
    let trigger = ["trigger", "avatar_video.fail", "--to", &elsewhere];
    for command in [
        &["events"][..],
        &["events", "--json"],
        &["endpoints", "list"],
        &["doctor"],
        &["backfill", "--since", "1h"],
        &["inbox", "list"],
        &trigger,
        &[&trigger[..], &["--json"]].concat(),
    ] {
        let ended = workdir.run_with(command, b"", &environment);
        assert_safe(&format!("{command:?}"), &ended.stdout);
        assert_safe(&format!("{command:?}, its log"), &ended.stderr);
    }
    for arguments in [&[][..], &["--json"]] {
        let tail = ["inbox", "tail", "-n", "5"];
        let command = workdir.command(&[&tail[..], arguments].concat());
        let tail = workdir.begin(command, &[]);
        let line = tail.line();
        assert_safe("tail", &line);
        assert!(line.contains("avatar_video.success"), "{line}");
    }
}

#[test]
fn an_api_that_answers_so_steers_nothing() {
    let workdir = Workdir::new();
    let answer = |request: &crate::endpoint::Request| match request.method.as_str() {
        "GET" => 200,
        _ => 400,
    };
    // Its answers are no JSON, and hold ESC; the error quotes what it can.
    let url = crate::endpoint::start(answer);
    let base = url.trim_end_matches("/webhook");
    let environment = [
        ("HEYGEN_API_KEY", "key"),
        ("HEYGEN_WEBHOOKS_BASE_URL", base),
    ];
    for command in [
        &["endpoints", "list"][..],
        &["endpoints", "create", "https://a.example/"],
        &["events"],
        &["event-types"],
        &["doctor", "--public-url", "http://127.0.0.1:1/"],
    ] {
        let ended = workdir.run_with(command, b"", &environment);
        assert_ne!(ended.status, 0, "{command:?}: {}", ended.stdout);
        assert_safe(&format!("{command:?}"), &ended.stdout);
        assert_safe(&format!("{command:?}"), &ended.stderr);
    }
}
