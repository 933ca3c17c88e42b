//! `serve --sandbox`: where it keeps what it plays, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::support::Place;

#[test]
fn nobody_who_looks_ends_it() {
    for arguments in [&[][..], &["--json"]] {
        let place = Place::new();
        let mut child = place
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
fn what_is_played_stays_apart_from_what_is_real() {
    let place = Place::new();
    place.file("heygen-webhooks.toml", "inbox = \"real-too.db\"\n");
    let real = [("HEYGEN_WEBHOOKS_INBOX", "real.db")];
    let serve = place.serve_with(&["--sandbox"], &real);
    let next = loop {
        let line = serve.line();
        if line.contains("inbox list") {
            break line;
        }
    };
    assert!(next.ends_with("--inbox ./heygen-sandbox.db"), "{next}");
    assert!(place.path().join("heygen-sandbox.db").exists());
    for real in ["real.db", "real-too.db"] {
        assert!(!place.path().join(real).exists(), "{real}");
    }
    drop(serve);
    let serve = place.serve_with(&["--sandbox", "--inbox", "chosen.db", "--json"], &real);
    serve.line();
    assert!(place.path().join("chosen.db").exists());
}
