//! `serve --check`: checks everything a start needs, and starts, creates and changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::identity::Identity;
use crate::support::{Ended, Workdir, with_free_ports};

fn check(workdir: &Workdir, arguments: &[&str]) -> Ended {
    let before = files(workdir);
    let ended = workdir.run(&[&with_free_ports(&["--check"]), arguments].concat());
    assert_eq!(files(workdir), before, "nothing is left behind");
    ended
}

/// What lies there, with the length of each.
fn files(workdir: &Workdir) -> BTreeSet<(String, u64)> {
    let files = fs::read_dir(workdir.path()).expect("a folder");
    let files = files.map(|file| file.expect("a file").path());
    let length = |path: &Path| path.metadata().expect("a file").len();
    files
        .map(|path| (path.display().to_string(), length(&path)))
        .collect()
}

#[test]
fn check_reports_a_valid_start_and_leaves_no_files() {
    let workdir = Workdir::new();
    let identity = Identity::new();
    workdir.file("chain.pem", &identity.certificate);
    workdir.file("key.pem", &identity.key);
    workdir.file("tokens", "0123456789abcdef0123456789abcdef\n");
    let all = [
        "--tls-cert",
        "chain.pem",
        "--tls-key",
        "key.pem",
        "--callback-token-file",
        "tokens",
        "--forward",
        "http://127.0.0.1:1/x",
        "--on",
        "*.fail=exec:/bin/cat",
    ];
    let ended = check(&workdir, &all).ok();
    for expected in [
        "secrets        1 known",
        "tls            chain.pem",
        "callbacks      1 token\n",
        "handlers       *.fail: run /bin/cat; any other: POST to http://127.0.0.1:1/x\n",
        "inbox          ./heygen-inbox.db would be created",
        "`serve` can start with this",
    ] {
        ended.prints(expected);
    }
    assert!(
        !ended.stderr.contains("admin listener serves"),
        "{}",
        ended.stderr
    );
    // What was left out is shown, what may give access is not.
    for (written, read) in [
        ("3000/x", "http://localhost:3000/x"),
        ("http://127.0.0.1/x?c=d", "http://127.0.0.1/x?…"),
    ] {
        let json = check(&workdir, &["--json", "--forward", written])
            .ok()
            .json();
        let expected = format!("every delivery: POST to {read}");
        assert_eq!(json["checked"]["handlers"], expected, "{json}");
    }
    let json = check(&workdir, &["--json"]).ok().json();
    assert_eq!(json["ready"], true, "{json}");
    assert_eq!(json["checked"]["secrets"], "1 known", "{json}");

    let serve = workdir.serve(&[]);
    serve.trigger(&workdir, &["batch.finished"]).ok();
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    let ended = check(&workdir, &[]).ok();
    ended.prints("heygen-inbox.db can be opened");
}

#[test]
fn check_fails_for_what_would_fail_the_start() {
    let workdir = Workdir::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    workdir.file(
        "letter.db",
        "a letter to a friend, longer than the header that SQLite would look for",
    );
    workdir.file("typo.toml", "lisen = \"x\"\n");
    workdir.file("empty", "\n");
    let identity = Identity::new();
    workdir.file("chain.pem", &identity.certificate);
    workdir.file("other.pem", &Identity::new().key);
    let cases: [(&[&str], i32, &str); 20] = [
        (&["--config", "typo.toml"], 2, "did you mean `listen`?"),
        (&["--config", "none.toml"], 1, "none.toml"),
        (&["--secret-file", "none"], 1, "--secret-file"),
        (
            &["--secret-file", "none"],
            1,
            "cannot read secret file none",
        ),
        (&["--secret-file", "empty"], 1, "is empty"),
        (&["--callback-token-file", "empty"], 2, "is empty"),
        (
            &["--tls-cert", "chain.pem", "--tls-key", "none"],
            1,
            "--tls-key",
        ),
        (
            &["--tls-cert", "chain.pem", "--tls-key", "other.pem"],
            1,
            "cannot set up TLS",
        ),
        (
            &["--forward", "htp://localhost:3000"],
            2,
            "did you mean http://localhost:3000?",
        ),
        (&["--exec", "./none"], 2, "./none does not exist"),
        (&["--exec", ""], 2, "--exec: the program has no name"),
        (&["--inbox", "none/inbox.db"], 2, "does not exist"),
        (&["--inbox", "letter.db"], 1, "letter.db"),
        (&["--inbox", "nats://127.0.0.1:1/X"], 1, "127.0.0.1:1"),
        (
            &["--public-url", "https://hooks.example.com"],
            2,
            "no API key",
        ),
        (&["--path", "x"], 2, "must begin with `/`"),
        (&["--path", "/hooks?of=heygen"], 2, "no `?`"),
        (&["--path", "/café"], 2, "/caf%C3%A9"),
        (&["--log", "=:"], 2, "is not a log filter"),
        (
            &["--log", "warning"],
            2,
            "--log: `warning` is not a log filter",
        ),
    ];
    for (arguments, status, message) in cases {
        check(&workdir, arguments).fails(status, message);
    }
    for option in [
        "--max-body-bytes",
        "--max-connections",
        "--header-timeout",
        "--body-timeout",
    ] {
        check(&workdir, &[option, "0"]).fails(2, "would reject every delivery");
    }
    for (key, value) in [
        ("inbox", "\"\""),
        ("inbox", "\" \""),
        ("listen", "\"\""),
        ("tls-cert", "\"\""),
        ("secret-file", "[\"\"]"),
        ("forward-ca", "\"\""),
        ("exec", "[]"),
        ("exec", "[\"\", \"a\"]"),
    ] {
        workdir.file("blank.toml", format!("\n{key} = {value}\n"));
        let message = format!("blank.toml, line 2: `{key}` has an empty value");
        check(&workdir, &["--config", "blank.toml"]).fails(2, &message);
    }
    for option in ["--inbox", "--secret-file", "--path", "--public-url"] {
        check(&workdir, &[option, ""]).fails(2, option);
    }
    for option in ["--listen", "--admin"] {
        let other = if option == "--listen" {
            "--admin"
        } else {
            "--listen"
        };
        let serve = ["serve", "--check", option, &taken, other, "127.0.0.1:0"];
        workdir.run(&serve).fails(1, option);
    }
}

#[test]
fn retention_that_backfill_would_undo_is_refused() {
    let workdir = Workdir::new();
    let keep = |span: &str| {
        let arguments = ["--backfill", "--keep", span];
        let arguments = [&with_free_ports(&["--check"]), &arguments[..]].concat();
        workdir.run_with(&arguments, b"", &[("HEYGEN_API_KEY", "key")])
    };
    keep("4d").fails(2, "may be away, 5d or longer");
    keep("5d").ok();
}
