//! What can never work is told at the start, in the words of whoever wrote it: flag, variable or key of the file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Ended, Place, SECRET, with_free_ports};

/// How each command that hands deliveries on is started; what comes first is wrong with none of them.
const HANDING_OUT: [&[&str]; 3] = [
    &["serve", "--listen", "127.0.0.1:0", "--admin", "off"],
    &["dev"],
    &[
        "work",
        "--inbox",
        "nats://127.0.0.1:1/NONE",
        "--admin",
        "off",
    ],
];

const ENVIRONMENT: [(&str, &str); 2] =
    [("HEYGEN_WEBHOOK_SECRET", SECRET), ("HEYGEN_API_KEY", "key")];

fn script(place: &Place, name: &str, content: &str, mode: u32) {
    let path = place.file(name, content);
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

#[track_caller]
pub(crate) fn told(ended: &Ended, status: i32, message: &str) {
    assert_eq!(ended.status, status, "{}", ended.stderr);
    assert!(
        ended.stderr.contains(message),
        "{message:?} is not in: {}",
        ended.stderr
    );
}

#[test]
fn a_program_that_cannot_be_started_ends_the_start() {
    let place = Place::new();
    script(&place, "without-line", "echo hello\n", 0o755);
    script(&place, "not-executable", "#!/bin/sh\n", 0o644);
    script(&place, "of-windows", "#!/bin/sh\r\nexit 0\r\n", 0o755);
    script(&place, "without-interpreter", "#!/no/such/thing\n", 0o755);
    let cases = [
        ("./no-such-file", "./no-such-file does not exist"),
        ("no-such-program", "not found in PATH"),
        ("./without-line", "`#!`"),
        ("./not-executable", "chmod +x ./not-executable"),
        ("./of-windows", "CR LF"),
        (
            "./without-interpreter",
            "/no/such/thing, which does not exist",
        ),
        ("/tmp", "is a folder"),
    ];
    for command in HANDING_OUT {
        for (program, message) in cases {
            let run = |arguments: &[&str]| {
                place.run_with(&[command, arguments].concat(), b"", &ENVIRONMENT)
            };
            let by_flag = run(&["--exec", program, "--verbose"]);
            told(&by_flag, 2, message);
            told(&by_flag, 2, "--exec");
            let by_rule = run(&["--on", &format!("*.fail=exec:{program} x")]);
            told(&by_rule, 2, message);
            told(&by_rule, 2, "--on");
            place.file("exec.toml", format!("exec = [\"{program}\"]\n"));
            let by_file = run(&["--config", "exec.toml"]);
            told(&by_file, 2, message);
            told(&by_file, 2, "`exec` in exec.toml");
            place.file(
                "on.toml",
                format!("[[on]]\nevent = \"*\"\nexec = [\"{program}\"]\n"),
            );
            told(&run(&["--config", "on.toml"]), 2, "`on` in on.toml");
        }
    }
    assert!(
        !place.path().join("heygen-inbox.db").exists()
            && !place.path().join("heygen-dev.db").exists(),
        "nothing is made for a start that fails"
    );
}

#[test]
fn a_program_that_can_be_started_is_taken() {
    let place = Place::new();
    script(
        &place,
        "handle",
        "#!/usr/bin/env sh\ncat > handled\n",
        0o755,
    );
    let serve = place.serve(&["--exec", "./handle"]);
    serve.trigger(&place, &["avatar_video.fail"]).ok();
    crate::support::eventually(|| place.path().join("handled").exists());
    // A receiver that leaves the work to others does not need their programs.
    place.file("elsewhere.toml", "exec = [\"./only-at-the-workers\"]\n");
    let receiver = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--receive-only",
        "--config",
        "elsewhere.toml",
        "--inbox",
        "nats://garbage",
    ];
    let ended = place.run(&receiver);
    assert!(
        !ended.stderr.contains("only-at-the-workers"),
        "{}",
        ended.stderr
    );
}

#[test]
fn addresses_to_forward_to_are_checked() {
    let place = Place::new();
    let cases = [
        ("localhost:3000/x", "did you mean http://localhost:3000/x?"),
        ("3000", "did you mean http://localhost:3000?"),
        ("ftp://localhost/x", "neither http nor https"),
        ("http://", "is not a URL to send to"),
        ("garbage", "is not a URL to send to"),
    ];
    for command in HANDING_OUT {
        for (url, message) in cases {
            let flag = place.run_with(&[command, &["--forward", url]].concat(), b"", &ENVIRONMENT);
            told(&flag, 2, message);
            told(&flag, 2, "--forward");
            let variable = [&ENVIRONMENT[..], &[("HEYGEN_WEBHOOKS_FORWARD", url)]].concat();
            let variable = place.run_with(command, b"", &variable);
            told(&variable, 2, message);
            told(&variable, 2, "HEYGEN_WEBHOOKS_FORWARD: ");
            place.file("forward.toml", format!("forward = \"{url}\"\n"));
            let file = [command, &["--config", "forward.toml"]].concat();
            let file = place.run_with(&file, b"", &ENVIRONMENT);
            told(&file, 2, message);
            told(&file, 2, "`forward` in forward.toml");
            let rule = format!("*=forward:{url}");
            let rule = [command, &["--on", &rule]].concat();
            told(&place.run_with(&rule, b"", &ENVIRONMENT), 2, "--on");
        }
    }
}

#[test]
fn a_host_that_is_not_known_yet_is_warned_of() {
    let place = Place::new();
    let serve = place.serve_logging(&["--forward", "http://no-such-host.invalid:3000/x"]);
    let line = serve.log_line("no-such-host.invalid");
    assert!(
        line.contains("WARN") && line.contains("--forward"),
        "{line}"
    );
    let serve = place.serve(&["--inbox", "other.db", "--forward", "http://127.0.0.1:1/x"]);
    serve.trigger(&place, &["avatar_video.fail"]).ok();
}

#[test]
fn other_addresses_are_checked() {
    let place = Place::new();
    #[track_caller]
    fn check(place: &Place, arguments: &[&str], message: &str) {
        let ended = place.run_with(arguments, b"", &ENVIRONMENT);
        told(&ended, 2, message);
    }
    let meant = "did you mean 127.0.0.1:8081?";
    check(&place, &["serve", "--listen", "8081"], meant);
    check(&place, &["serve", "--listen", ":8081"], meant);
    check(
        &place,
        &["serve", "--listen", "garbage"],
        "--listen: `garbage`",
    );
    check(&place, &["serve", "--admin", "8081"], meant);
    check(&place, &["sandbox", "--listen", "8081"], meant);
    let work = ["work", "--inbox", "nats://127.0.0.1:1/X", "--admin", "8081"];
    check(&place, &work, meant);
    let monitor = ["serve", "--nats-monitor", "ftp://localhost:8222"];
    check(&place, &monitor, "--nats-monitor");
    let public = ["serve", "--public-url", "hooks.example.com"];
    check(&place, &public, "did you mean https://hooks.example.com?");
    let meant = "did you mean http://localhost:3000/x?";
    check(
        &place,
        &["trigger", "batch.finished", "--to", "localhost:3000/x"],
        meant,
    );
    check(&place, &["drill", "localhost:3000/x"], meant);
    check(&place, &["dev", "--base-url", "localhost:3000/x"], meant);
    check(&place, &["events", "--base-url", "localhost:3000/x"], meant);
    check(&place, &["endpoints", "create", "localhost:3000/x"], meant);
    check(
        &place,
        &["endpoints", "update", "id", "--url", "localhost:3000/x"],
        meant,
    );
    check(
        &place,
        &["doctor", "--public-url", "localhost:3000/x"],
        meant,
    );

    let variable = [("HEYGEN_WEBHOOKS_LISTEN", "8081")];
    let ended = place.run_with(&["serve"], b"", &variable);
    told(&ended, 2, "HEYGEN_WEBHOOKS_LISTEN: `8081`");
    place.file("heygen-webhooks.toml", "listen = \"8081\"\n");
    told(
        &place.run(&["serve"]),
        2,
        "`listen` in heygen-webhooks.toml: `8081`",
    );
}

#[test]
fn files_are_named_with_the_option_that_names_them() {
    let place = Place::new();
    let options = [
        ("--secret-file", "HEYGEN_WEBHOOKS_SECRET_FILE"),
        (
            "--callback-token-file",
            "HEYGEN_WEBHOOKS_CALLBACK_TOKEN_FILE",
        ),
        (
            "--forward-secret-file",
            "HEYGEN_WEBHOOKS_FORWARD_SECRET_FILE",
        ),
    ];
    let serve = with_free_ports(&["--forward", "http://127.0.0.1:1/x"]);
    for (flag, variable) in options {
        let by_flag = [&serve[..], &[flag, "no-such-file"]].concat();
        let by_flag = place.run(&by_flag);
        told(&by_flag, 1, flag);
        told(&by_flag, 1, "no-such-file");
        let environment = [
            ("HEYGEN_WEBHOOK_SECRET", SECRET),
            (variable, "no-such-file"),
        ];
        told(&place.run_with(&serve, b"", &environment), 1, variable);
        let key = flag.trim_start_matches('-');
        let value = match key {
            "secret-file" => "[\"no-such-file\"]",
            _ => "\"no-such-file\"",
        };
        place.file("files.toml", format!("{key} = {value}\n"));
        let by_file = [&serve[..], &["--config", "files.toml"]].concat();
        told(&place.run(&by_file), 1, &format!("`{key}` in files.toml"));
    }
    let nats = [
        "--nats-creds",
        "--nats-nkey-file",
        "--nats-token-file",
        "--nats-ca",
    ];
    for flag in nats {
        let listed = [
            "inbox",
            "list",
            "--inbox",
            "nats://127.0.0.1:1/X",
            flag,
            "no-such-file",
        ];
        let ended = place.run(&listed);
        told(&ended, 1, flag);
        told(&ended, 1, "no-such-file");
    }
    let tls = ["--tls-cert", "no-such-file", "--tls-key", "no-such-file"];
    told(&place.run(&[&serve[..], &tls].concat()), 1, "--tls-cert");
    let key = ["events", "--api-key-file", "no-such-file"];
    told(&place.run(&key), 1, "--api-key-file");
    let junit = [
        "drill",
        "http://127.0.0.1:1/",
        "--junit",
        "no-such-folder/x.xml",
    ];
    told(&place.run(&junit), 1, "--junit");
}

#[test]
fn the_inbox_needs_a_folder() {
    let place = Place::new();
    fs::create_dir(place.path().join("folder")).expect("a folder");
    let serve = with_free_ports(&[]);
    let cases = [
        (
            "no-such-folder/inbox.db",
            "the folder no-such-folder does not exist",
        ),
        ("folder", "folder is a folder: name a file in it"),
    ];
    for (inbox, message) in cases {
        let flag = place.run(&[&serve[..], &["--inbox", inbox]].concat());
        told(
            &flag,
            2,
            &format!("--inbox: {}", message.trim_start_matches("--inbox: ")),
        );
        let variable = [("HEYGEN_WEBHOOKS_INBOX", inbox)];
        let variable = place.run_with(&serve, b"", &variable);
        told(&variable, 2, &format!("HEYGEN_WEBHOOKS_INBOX: {message}"));
        let dev = place.run_with(&["dev", "--inbox", inbox], b"", &ENVIRONMENT);
        told(&dev, 2, message);
    }
}

#[test]
fn a_time_zone_without_data_is_named() {
    let place = Place::new();
    let zone = [("TZ", "Mars/Olympus")];
    let message = "TZ=Mars/Olympus: no data for this time zone";
    let serve = place.serve(&[]);
    serve.trigger(&place, &["batch.finished"]).ok();
    for command in [
        &["inbox", "list"][..],
        &["inbox", "stats"],
        &["inbox", "list", "--since", "2026-11-01"],
    ] {
        let ended = place.run_with(command, b"", &zone).ok();
        assert!(
            ended.stderr.contains(message),
            "{command:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stderr.lines().count(), 1, "once: {}", ended.stderr);
    }
    let ended = place
        .run_with(&["inbox", "list"], b"", &[("TZ", "UTC")])
        .ok();
    assert_eq!(ended.stderr, "");
    let mut command = place.command(&with_free_ports(&["--inbox", "other.db"]));
    command.envs(zone);
    let other = place.begin(command, &[("HEYGEN_WEBHOOK_SECRET", SECRET)]);
    other.log_line(message);
}

#[test]
fn failure_to_make_the_forward_secret_leaves_no_inbox() {
    for (command, inbox) in [
        (&with_free_ports(&[])[..], "heygen-inbox.db"),
        (&["dev"], "heygen-dev.db"),
    ] {
        let place = Place::new();
        // A folder where the lock of the secret is to be.
        let lock = place.path().join(format!("{inbox}.secrets.json.lock"));
        fs::create_dir(lock).expect("a folder");
        let arguments = [command, &["--forward", "http://127.0.0.1:1/x"]].concat();
        let ended = place.run_with(&arguments, b"", &ENVIRONMENT);
        told(&ended, 1, "cannot write");
        assert!(!ended.stderr.contains("listening"), "{}", ended.stderr);
        assert!(!place.path().join(inbox).exists(), "{command:?}");
    }
}
