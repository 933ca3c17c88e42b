//! Byte order marks, white space, quotes and names around secrets, tokens and keys.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use crate::identity::Identity;
use crate::support::{SECRET, Workdir, sandbox, words};

/// Ways to write `value` that cannot mean anything else.
fn spellings(value: &str) -> Vec<String> {
    [
        "\u{feff}{}\n",
        "\u{feff}{}\r\n",
        "  {}\t\u{a0}\r\n",
        "{}\u{200b}\n",
        "\u{200b}\u{feff}{}\n\n",
    ]
    .iter()
    .map(|spelling| spelling.replace("{}", value))
    .collect()
}

fn private(workdir: &Workdir, name: &str, content: impl AsRef<[u8]>) {
    let path = workdir.file(name, content);
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("ours");
}

#[test]
fn a_secret_is_known_under_every_mark() {
    let workdir = Workdir::new();
    let mut written = spellings(SECRET);
    for spelling in [
        "HEYGEN_WEBHOOK_SECRET={}\n",
        "export HEYGEN_WEBHOOK_SECRET={}\n",
        "\u{feff}HEYGEN_WEBHOOK_SECRET=\"{}\"\r\n",
        "\u{feff}# the endpoint of staging\r\n{}\r\n",
    ] {
        written.push(spelling.replace("{}", SECRET));
    }
    for written in &written {
        private(&workdir, "secret", written);
        let serve = workdir.serve_with(&["--secret-file", "secret"], &[]);
        serve.trigger(&workdir, &["batch.finished"]).ok();
        // The same by the environment, for whoever signs.
        if !written.contains('#') {
            let environment = [("HEYGEN_WEBHOOK_SECRET", written.as_str())];
            let trigger = ["trigger", "batch.finished", "--to", &serve.url];
            workdir.run_with(&trigger, b"", &environment).ok();
        }
        let trigger = [
            "trigger",
            "batch.finished",
            "--to",
            &serve.url,
            "--secret-file",
            "secret",
        ];
        workdir.run_with(&trigger, b"", &[]).ok();
        let drill = [
            "drill",
            &serve.url,
            "--only",
            "valid",
            "--secret-file",
            "secret",
        ];
        workdir.run_with(&drill, b"", &[]).ok();
    }
}

#[test]
fn several_secrets_in_a_file_keep_working() {
    let workdir = Workdir::new();
    private(
        &workdir,
        "secrets",
        format!("\u{feff}# old\r\nwhsec_old==\r\n\r\n  {SECRET} \r\n"),
    );
    let serve = workdir.serve_with(&["--secret-file", "secrets"], &[]);
    serve.trigger(&workdir, &["batch.finished"]).ok();
    let old = [("HEYGEN_WEBHOOK_SECRET", "whsec_old==")];
    let trigger = ["trigger", "batch.finished", "--to", &serve.url];
    workdir.run_with(&trigger, b"", &old).ok();
}

#[test]
fn odd_secret_is_used_as_written_and_warned_of() {
    let workdir = Workdir::new();
    let cases = [
        ("\"other-secret\"", "quotes around it"),
        ("\"whsec_a\"", "quotes around it"),
        ("whsec_a # of staging", "a comment after it"),
        ("whsec_a b", "white space in it"),
        ("whsec_a\u{200b}b", "an invisible character in it"),
        ("WEBHOOK_SECRET=other", "a name and `=` before it"),
    ];
    for (secret, oddity) in cases {
        private(&workdir, "secret", format!("\n{secret}\n"));
        let serve = workdir.serve_logging(&["--secret-file", "secret", "--inbox", "kept.db"]);
        let line = serve.log_line("secret file secret, line 2");
        assert!(line.contains("WARN") && line.contains(oddity), "{line}");
        assert!(!line.contains("whsec_a"), "{line}");
        drop(serve);
        // It is in force all the same, whole.
        let serve = workdir.serve_with(&["--secret-file", "secret", "--inbox", "kept.db"], &[]);
        let environment = [("HEYGEN_WEBHOOK_SECRET", secret)];
        let trigger = ["trigger", "batch.finished", "--to", &serve.url];
        let ended = workdir.run_with(&trigger, b"", &environment).ok();
        assert!(
            ended.stderr.contains("warning: HEYGEN_WEBHOOK_SECRET")
                && ended.stderr.contains(oddity),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn utf_16_is_named() {
    let workdir = Workdir::new();
    let utf16: Vec<u8> = "\u{feff}whsec_a\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    private(&workdir, "utf16", utf16);
    let (chain, key) = {
        let me = Identity::new();
        (me.certificate, me.key)
    };
    private(&workdir, "chain.pem", chain);
    private(&workdir, "key.pem", key);
    let serve = ["serve", "--listen", "127.0.0.1:0", "--admin", "off"];
    for options in [
        &["--secret-file", "utf16"][..],
        &["--callback-token-file", "utf16"],
        &words("--forward http://127.0.0.1:1/ --forward-secret-file utf16"),
        &["--tls-cert", "utf16", "--tls-key", "key.pem"],
        &["--tls-cert", "chain.pem", "--tls-key", "utf16"],
        &words("--inbox nats://127.0.0.1:1/X --nats-nkey-file utf16"),
        &["--inbox", "nats://127.0.0.1:1/X", "--nats-creds", "utf16"],
    ] {
        let ended = workdir.run(&[&serve, options].concat());
        ended.fails(1, "UTF-16");
    }
    let ended = workdir.run(&["events", "--api-key-file", "utf16"]);
    ended.says("UTF-16");
}

#[test]
fn callback_tokens_lose_their_marks() {
    let workdir = Workdir::new();
    let token = "Zm9vYmFyYmF6cXV4MTIzNDU2";
    let mut written = spellings(token);
    written.push(format!("\"{token}\"\r\n"));
    written.push(format!("CALLBACK_TOKEN={token}\n"));
    for written in &written {
        private(&workdir, "tokens", written);
        let serve = workdir.serve(&["--callback-token-file", "tokens"]);
        let url = format!("{}/callbacks/{token}", serve.url);
        let trigger = ["trigger", "batch.finished", "--unsigned", "--to", &url];
        workdir.run_with(&trigger, b"", &[]).ok();
    }
    private(&workdir, "tokens", "Zm9vYmFyYmF6cXV4MTIzNDU2 # mine\n");
    let ended = workdir.run(&words(
        "serve --listen 127.0.0.1:0 --callback-token-file tokens",
    ));
    ended.fails(2, "line 1: the token has");
}

#[tokio::test(flavor = "multi_thread")]
async fn api_keys_lose_their_marks() {
    let workdir = Workdir::new();
    let heygen = sandbox("key-of-the-tests").await;
    let url = ["--base-url", heygen.url()];
    for written in spellings("key-of-the-tests") {
        let events = [&["events", "--json"], &url[..]].concat();
        let environment = [("HEYGEN_API_KEY", written.as_str())];
        workdir.run_with(&events, b"", &environment).ok();
        private(
            &workdir,
            "key",
            format!("\u{feff}# of staging\r\n{written}"),
        );
        let by_file = [&events[..], &["--api-key-file", "key"]].concat();
        workdir.run_with(&by_file, b"", &[]).ok();
    }
    let environment = [("HEYGEN_API_KEY", "\"key-of-the-tests\"")];
    let ended = workdir.run_with(&[&["events"], &url[..]].concat(), b"", &environment);
    ended.fails(1, "warning: HEYGEN_API_KEY: the key has quotes around it");
    private(&workdir, "keys", "one\ntwo\n");
    let ended = workdir.run(&[&["events", "--api-key-file", "keys"], &url[..]].concat());
    ended.fails(2, "more than one key");
}

#[test]
fn certificates_lose_their_marks() {
    let (workdir, me) = (Workdir::new(), Identity::new());
    private(
        &workdir,
        "chain.pem",
        format!("\u{feff}\r\n{}", me.certificate),
    );
    private(&workdir, "key.pem", format!("\u{feff}{}", me.key));
    let serve = workdir.serve(&["--tls-cert", "chain.pem", "--tls-key", "key.pem"]);
    let url = serve.url.replace("127.0.0.1", "localhost");
    let trusted = workdir.file("trusted.pem", &me.certificate);
    let environment = [
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
        ("SSL_CERT_FILE", trusted.to_str().expect("UTF-8")),
    ];
    let trigger = ["trigger", "batch.finished", "--to", &url];
    workdir.run_with(&trigger, b"", &environment).ok();
}

/// Such as the shell makes of `--secret-file <(…)`: there is nothing in it to read a second time.
#[cfg(unix)]
#[test]
fn pipe_keeps_what_it_held_and_holds_up_no_reload() {
    let workdir = Workdir::new();
    let pipe = workdir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let other = workdir.file("other", "whsec_other_0123456789\n");
    let writing = std::thread::spawn(move || std::fs::write(pipe, SECRET));
    let files = ["--secret-file", "pipe", "--secret-file", "other"];
    let serve = workdir.serve_with(&files, &[]);
    writing.join().expect("no panic").expect("it was read");
    serve.trigger(&workdir, &["batch.finished"]).ok();
    for _ in 0..2 {
        serve.signal("HUP");
        serve.log_line("a pipe is read at the start only");
        serve.log_line("secrets reloaded");
        serve.trigger(&workdir, &["batch.finished"]).ok();
    }
    std::fs::write(other, "").expect("a file");
    serve.signal("HUP");
    serve.log_line("secret file is empty now");
}
