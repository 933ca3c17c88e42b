//! What can never work is told at the start, in the words of whoever wrote it: flag, variable or key of the file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{SECRET, Workdir, with_free_ports, words};

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

fn script(workdir: &Workdir, name: &str, content: &str, mode: u32) {
    let path = workdir.file(name, content);
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

#[test]
fn a_program_that_cannot_be_started_ends_the_start() {
    let workdir = Workdir::new();
    script(&workdir, "not-executable", "#!/bin/sh\n", 0o644);
    let cases = [
        ("./no-such-file", "./no-such-file does not exist"),
        ("./not-executable", "chmod +x ./not-executable"),
    ];
    for command in HANDING_OUT {
        for (program, message) in cases {
            let run = |arguments: &[&str]| {
                workdir.run_with(&[command, arguments].concat(), b"", &ENVIRONMENT)
            };
            let by_flag = run(&["--exec", program, "--verbose"]);
            by_flag.fails(2, message);
            by_flag.fails(2, "--exec");
            let by_rule = run(&["--on", &format!("*.fail=exec:{program} x")]);
            by_rule.fails(2, message);
            by_rule.fails(2, "--on");
            workdir.file("exec.toml", format!("exec = [\"{program}\"]\n"));
            let by_file = run(&["--config", "exec.toml"]);
            by_file.fails(2, message);
            by_file.fails(2, "`exec` in exec.toml");
            workdir.file(
                "on.toml",
                format!("[[on]]\nevent = \"*\"\nexec = [\"{program}\"]\n"),
            );
            run(&["--config", "on.toml"]).fails(2, "`on` in on.toml");
        }
    }
    assert!(
        !workdir.path().join("heygen-inbox.db").exists()
            && !workdir.path().join("heygen-dev.db").exists(),
        "nothing is made for a start that fails"
    );
}

#[test]
fn startable_program_is_accepted() {
    let workdir = Workdir::new();
    script(
        &workdir,
        "handle",
        "#!/usr/bin/env sh\ncat > handled\n",
        0o755,
    );
    let serve = workdir.serve(&["--exec", "./handle"]);
    serve.trigger(&workdir, &["avatar_video.fail"]).ok();
    crate::support::eventually(|| workdir.path().join("handled").exists());
    // A receiver that leaves the work to others does not need their programs.
    workdir.file("elsewhere.toml", "exec = [\"./only-at-the-workers\"]\n");
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
    let ended = workdir.run(&receiver);
    assert!(
        !ended.stderr.contains("only-at-the-workers"),
        "{}",
        ended.stderr
    );
}

#[test]
fn addresses_to_forward_to_are_checked() {
    let workdir = Workdir::new();
    let cases = [
        (
            "htp://localhost:3000/x",
            "did you mean http://localhost:3000/x?",
        ),
        ("http:3000", "did you mean http://localhost:3000?"),
        ("ftp://localhost/x", "neither http nor https"),
        ("http://", "is not a URL to send to"),
        ("garbage", "is not a URL to send to"),
    ];
    for command in HANDING_OUT {
        for (url, message) in cases {
            let flag =
                workdir.run_with(&[command, &["--forward", url]].concat(), b"", &ENVIRONMENT);
            flag.fails(2, message);
            flag.fails(2, "--forward");
            let variable = [&ENVIRONMENT[..], &[("HEYGEN_WEBHOOKS_FORWARD", url)]].concat();
            let variable = workdir.run_with(command, b"", &variable);
            variable.fails(2, message);
            variable.fails(2, "HEYGEN_WEBHOOKS_FORWARD: ");
            workdir.file("forward.toml", format!("forward = \"{url}\"\n"));
            let file = [command, &["--config", "forward.toml"]].concat();
            let file = workdir.run_with(&file, b"", &ENVIRONMENT);
            file.fails(2, message);
            file.fails(2, "`forward` in forward.toml");
            let rule = format!("*=forward:{url}");
            let rule = [command, &["--on", &rule]].concat();
            workdir.run_with(&rule, b"", &ENVIRONMENT).fails(2, "--on");
        }
    }
}

#[test]
fn a_host_that_is_not_known_yet_is_warned_of() {
    let workdir = Workdir::new();
    let serve = workdir.serve_logging(&["--forward", "http://no-such-host.invalid:3000/x"]);
    let line = serve.log_line("no-such-host.invalid");
    assert!(
        line.contains("WARN") && line.contains("--forward"),
        "{line}"
    );
    let serve = workdir.serve(&["--inbox", "other.db", "--forward", "http://127.0.0.1:1/x"]);
    serve.trigger(&workdir, &["avatar_video.fail"]).ok();
}

#[test]
fn scheme_and_own_host_may_be_left_out() {
    let workdir = Workdir::new();
    let (arrived, arrivals) = std::sync::mpsc::channel();
    let application = crate::endpoint::start(move |_| {
        let _ = arrived.send(());
        204
    });
    let forward = application.trim_start_matches("http://");
    let rule = format!("*.fail=forward:{}", forward.replace("127.0.0.1", ""));
    let serve = workdir.serve(&["--on", &rule, "--forward", forward]);
    let to = serve.url.trim_start_matches("http://127.0.0.1");
    for event_type in ["avatar_video.success", "avatar_video.fail"] {
        workdir.run(&["trigger", "--to", to, event_type]).ok();
        let patience = std::time::Duration::from_secs(60);
        arrivals.recv_timeout(patience).expect("it is forwarded");
    }
}

#[test]
fn other_addresses_are_checked() {
    let workdir = Workdir::new();
    let listen = "did you mean 127.0.0.1:8080?";
    let url = "did you mean http://localhost:3000/x?";
    for (line, message) in [
        ("serve --listen http://127.0.0.1:8080/x", listen),
        ("serve --listen garbage", "--listen: `garbage`"),
        ("serve --admin 127.0.0.1", listen),
        ("sandbox --listen 127.0.0.1", listen),
        (
            "work --inbox nats://127.0.0.1:1/X --admin 127.0.0.1",
            listen,
        ),
        (
            "serve --nats-monitor ftp://localhost:8222",
            "--nats-monitor",
        ),
        (
            "serve --public-url hooks.example.com",
            "did you mean https://hooks.example.com?",
        ),
        ("trigger batch.finished --to htp://localhost:3000/x", url),
        ("drill htp://localhost:3000/x", url),
        ("dev --base-url htp://localhost:3000/x", url),
        ("events --base-url htp://localhost:3000/x", url),
        ("endpoints create localhost:3000/x", url),
        ("endpoints update id --url localhost:3000/x", url),
        ("doctor --public-url localhost:3000/x", url),
    ] {
        workdir
            .run_with(&words(line), b"", &ENVIRONMENT)
            .fails(2, message);
    }

    let variable = [("HEYGEN_WEBHOOKS_LISTEN", "127.0.0.1")];
    let ended = workdir.run_with(&["serve"], b"", &variable);
    ended.fails(2, "HEYGEN_WEBHOOKS_LISTEN: `127.0.0.1`");
    workdir.file("heygen-webhooks.toml", "listen = \"127.0.0.1\"\n");
    workdir
        .run(&["serve"])
        .fails(2, "`listen` in heygen-webhooks.toml: `127.0.0.1`");
}

#[test]
fn files_are_named_with_the_option_that_names_them() {
    let workdir = Workdir::new();
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
        let by_flag = workdir.run(&by_flag);
        by_flag.fails(1, flag);
        by_flag.fails(1, "no-such-file");
        let environment = [
            ("HEYGEN_WEBHOOK_SECRET", SECRET),
            (variable, "no-such-file"),
        ];
        workdir
            .run_with(&serve, b"", &environment)
            .fails(1, variable);
        let key = flag.trim_start_matches('-');
        let value = match key {
            "secret-file" => "[\"no-such-file\"]",
            _ => "\"no-such-file\"",
        };
        workdir.file("files.toml", format!("{key} = {value}\n"));
        let by_file = [&serve[..], &["--config", "files.toml"]].concat();
        workdir
            .run(&by_file)
            .fails(1, &format!("`{key}` in files.toml"));
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
        let ended = workdir.run(&listed);
        ended.fails(1, flag);
        ended.fails(1, "no-such-file");
    }
    let tls = ["--tls-cert", "no-such-file", "--tls-key", "no-such-file"];
    workdir
        .run(&[&serve[..], &tls].concat())
        .fails(1, "--tls-cert");
    let key = ["events", "--api-key-file", "no-such-file"];
    workdir.run(&key).fails(1, "--api-key-file");
    let junit = [
        "drill",
        "http://127.0.0.1:1/",
        "--junit",
        "no-such-folder/x.xml",
    ];
    workdir.run(&junit).fails(1, "--junit");
}

#[test]
fn the_inbox_needs_a_folder() {
    let workdir = Workdir::new();
    fs::create_dir(workdir.path().join("folder")).expect("a folder");
    let serve = with_free_ports(&[]);
    let cases = [
        (
            "no-such-folder/inbox.db",
            "the folder no-such-folder does not exist",
        ),
        ("folder", "folder is a folder: name a file in it"),
    ];
    for (inbox, message) in cases {
        let flag = workdir.run(&[&serve[..], &["--inbox", inbox]].concat());
        flag.fails(
            2,
            &format!("--inbox: {}", message.trim_start_matches("--inbox: ")),
        );
        let variable = [("HEYGEN_WEBHOOKS_INBOX", inbox)];
        let variable = workdir.run_with(&serve, b"", &variable);
        variable.fails(2, &format!("HEYGEN_WEBHOOKS_INBOX: {message}"));
        let dev = workdir.run_with(&["dev", "--inbox", inbox], b"", &ENVIRONMENT);
        dev.fails(2, message);
    }
}

#[test]
fn a_time_zone_without_data_is_named() {
    let workdir = Workdir::new();
    let zone = [("TZ", "Mars/Olympus")];
    let message = "TZ=Mars/Olympus: no data for this time zone";
    let serve = workdir.serve(&[]);
    serve.trigger(&workdir, &["batch.finished"]).ok();
    for command in [
        &["inbox", "list"][..],
        &["inbox", "stats"],
        &["inbox", "list", "--since", "2026-11-01"],
    ] {
        let ended = workdir.run_with(command, b"", &zone).ok();
        ended.says(message);
        assert_eq!(ended.stderr.lines().count(), 1, "once: {}", ended.stderr);
    }
    let ended = workdir
        .run_with(&["inbox", "list"], b"", &[("TZ", "UTC")])
        .ok();
    assert_eq!(ended.stderr, "");
    let mut command = workdir.command(&with_free_ports(&["--inbox", "other.db"]));
    command.envs(zone);
    let other = workdir.begin(command, &[("HEYGEN_WEBHOOK_SECRET", SECRET)]);
    other.log_line(message);
}

#[test]
fn failure_to_make_the_forward_secret_leaves_no_inbox() {
    for (command, inbox) in [
        (&with_free_ports(&[])[..], "heygen-inbox.db"),
        (&["dev"], "heygen-dev.db"),
    ] {
        let workdir = Workdir::new();
        // A folder where the lock of the secret is to be.
        let lock = workdir.path().join(format!("{inbox}.secrets.json.lock"));
        fs::create_dir(lock).expect("a folder");
        let arguments = [command, &["--forward", "http://127.0.0.1:1/x"]].concat();
        let ended = workdir.run_with(&arguments, b"", &ENVIRONMENT);
        ended.fails(1, "cannot write");
        assert!(!ended.stderr.contains("listening"), "{}", ended.stderr);
        assert!(!workdir.path().join(inbox).exists(), "{command:?}");
    }
}

#[test]
fn taken_ports_and_wrong_types_are_told_in_words() {
    let workdir = Workdir::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let ended = workdir.run(&["serve", "--listen", &address, "--admin", "off"]);
    ended.fails(1, "perhaps another `serve`; --listen chooses another");
    for (line, message) in [
        ("concurrency = \"x\"", "expected a number"),
        ("secret-file = \"x\"", "expected a list"),
        ("ordered = 1", "expected true or false"),
        ("path = 1", "expected a text"),
    ] {
        workdir.file("wrong.toml", line);
        workdir
            .run(&["serve", "--config", "wrong.toml"])
            .fails(2, message);
    }
    assert!(!workdir.path().join("heygen-inbox.db").exists());
}

#[test]
fn reload_says_that_the_configuration_file_is_not_read_again() {
    let workdir = Workdir::new();
    workdir.file("own.toml", "concurrency = 3\n");
    let serve = workdir.serve(&["--config", "own.toml"]);
    serve.signal("HUP");
    serve.log_line("the configuration file is read at the start only");
}

/// Names of files need not be text.
#[cfg(unix)]
#[test]
fn argument_that_is_no_text_is_an_error_at_most() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let workdir = Workdir::new();
    for command in [
        &["inspect"][..],
        &["inspect", "--no-such-option"],
        &["serve", "--listen"],
    ] {
        let output = workdir
            .command(command)
            .arg(OsStr::from_bytes(b"\xff.json"))
            .output()
            .expect("the binary starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let status = output.status.code();
        assert!(
            matches!(status, Some(1 | 2)),
            "{command:?}: {status:?}: {stderr}"
        );
        assert!(!stderr.contains("panicked"), "{command:?}: {stderr}");
    }
}
