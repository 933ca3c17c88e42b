//! `serve --sandbox`: which inbox it uses, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::support::Workdir;

#[test]
fn sandbox_output_without_a_reader_ends_nothing() {
    for arguments in [&[][..], &["--json"]] {
        let workdir = Workdir::new();
        let mut child = workdir
            .command(
                &[
                    &["serve", "--sandbox", "--listen", "127.0.0.1:0"],
                    arguments,
                ]
                .concat(),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        // As `head -1` does.
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn sandbox_inbox_is_separate_from_the_real_one() {
    let workdir = Workdir::new();
    workdir.file("heygen-webhooks.toml", "inbox = \"real-too.db\"\n");
    let real = [("HEYGEN_WEBHOOKS_INBOX", "real.db")];
    let serve = workdir.serve_with(&["--sandbox"], &real);
    let mut browser = None;
    let next = loop {
        let line = serve.line();
        browser = browser.or(line
            .strip_prefix("See them in the browser: ")
            .map(str::to_owned));
        if line.contains("inbox list") {
            break line;
        }
    };
    assert!(next.ends_with("--inbox ./heygen-sandbox.db"), "{next}");
    assert!(browser.is_some_and(|url| url.starts_with("http://127.0.0.1:")));
    assert!(workdir.path().join("heygen-sandbox.db").exists());
    for real in ["real.db", "real-too.db"] {
        assert!(!workdir.path().join(real).exists(), "{real}");
    }
    drop(serve);
    let serve = workdir.serve_with(&["--sandbox", "--inbox", "chosen.db", "--json"], &real);
    serve.line();
    assert!(workdir.path().join("chosen.db").exists());
}
