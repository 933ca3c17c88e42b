//! `serve --callback-token-file`: unsigned callbacks are accepted only at a path with the token.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Answer, ask, post, script};
use crate::support::{Serve, Workdir, eventually};

const TOKEN: &str = "Zm9vYmFyYmF6cXV4MTIzNDU2";
const OTHER: &str = "b3RoZXItdG9rZW4tb3RoZXI0";

fn at(serve: &Serve, token: &str) -> String {
    format!("{}/callbacks/{token}", serve.url)
}

fn callback(serve: &Serve, token: &str, body: &str) -> Answer {
    ask(&at(serve, token), "POST", &[], body.as_bytes())
}

fn probe(serve: &Serve, token: &str) -> u16 {
    ask(&at(serve, token), "OPTIONS", &[], b"").status
}

fn event_with_id(event_id: &str, video_id: &str) -> String {
    format!(
        r#"{{"event_id":"{event_id}","event_type":"avatar_video.success","event_data":{{"video_id":"{video_id}","url":"https://a.b/c"}}}}"#
    )
}

#[test]
fn callback_with_the_token_is_accepted_and_marked_unsigned() {
    let workdir = Workdir::new();
    let program = script(
        &workdir,
        "handle",
        r#"cat >/dev/null; echo "$HEYGEN_SUBJECT_ID $HEYGEN_AUTHENTICITY ${HEYGEN_WEBHOOK_SECRET-hidden}" >> handled"#,
    );
    workdir.file(
        "tokens",
        format!("# made for the jobs of one project\n\n{TOKEN}\n"),
    );
    let rule = format!("avatar_video.fail=exec:{}", program.display());
    let serve = workdir.serve(&["--json", "--on", &rule, "--callback-token-file", "tokens"]);
    let body = event_with_id("evt_1", "a");
    let answer = callback(&serve, TOKEN, &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let line: Value = serde_json::from_str(&serve.line()).expect("JSON");
    assert_eq!(line["source"], "callback");
    assert_eq!(workdir.list()[0]["source"], "callback");
    assert_eq!(probe(&serve, TOKEN), 204);

    let failed = r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"b","msg":"no"}}"#;
    assert_eq!(callback(&serve, TOKEN, failed).status, 200);
    let handled = workdir.path().join("handled");
    eventually(|| fs::read_to_string(&handled).is_ok_and(|text| text.ends_with('\n')));
    let handled = fs::read_to_string(handled).expect("what was handled");
    assert_eq!(handled, "b token hidden\n");

    for wrong in [OTHER, &TOKEN[..22], ""] {
        assert_eq!(callback(&serve, wrong, &body).status, 404, "{wrong}");
        assert_eq!(probe(&serve, wrong), 404, "{wrong}");
    }
    // Without a token in its path it has to be signed.
    assert_eq!(ask(&serve.url, "POST", &[], body.as_bytes()).status, 401);
    assert_eq!(workdir.list().len(), 2);
}

#[test]
fn unsigned_delivery_is_no_duplicate_of_a_signed_one() {
    let workdir = Workdir::new();
    workdir.file("tokens", TOKEN);
    let serve = workdir.serve(&["--json", "--callback-token-file", "tokens"]);
    let source = || {
        let line: Value = serde_json::from_str(&serve.line()).expect("JSON");
        (line["source"].clone(), line["subject_id"].clone())
    };
    // Whoever has the token and guesses the id of an event must not keep the event out.
    let answer = callback(&serve, TOKEN, &event_with_id("evt_1", "forged"));
    assert!(answer.body.contains("accepted"), "{}", answer.body);
    assert_eq!(source(), ("callback".into(), "forged".into()));
    let answer = post(&serve, event_with_id("evt_1", "genuine"));
    assert_eq!(answer["status"], "accepted");
    assert_eq!(source(), ("webhook".into(), "genuine".into()));
    // Nor is a callback kept out by what was signed; the same one again is.
    assert_eq!(
        post(&serve, event_with_id("evt_2", "x"))["status"],
        "accepted"
    );
    assert_eq!(source(), ("webhook".into(), "x".into()));
    let body = event_with_id("evt_2", "x");
    let answer = callback(&serve, TOKEN, &body);
    assert!(answer.body.contains("accepted"), "{}", answer.body);
    assert_eq!(source(), ("callback".into(), "x".into()));
    let answer = callback(&serve, TOKEN, &body);
    assert!(answer.body.contains("duplicate"), "{}", answer.body);
}

#[test]
fn tokens_are_read_again_on_sighup_and_a_bad_file_changes_nothing() {
    let workdir = Workdir::new();
    workdir.file("tokens", TOKEN);
    let serve = workdir.serve(&["--callback-token-file", "tokens"]);
    assert_eq!((probe(&serve, TOKEN), probe(&serve, OTHER)), (204, 404));
    workdir.file("tokens", format!("{TOKEN}\n{OTHER}\n"));
    serve.signal("HUP");
    serve.log_line("callback tokens reloaded");
    assert_eq!((probe(&serve, TOKEN), probe(&serve, OTHER)), (204, 204));
    workdir.file("tokens", format!("{OTHER}\nshort-one\n"));
    serve.signal("HUP");
    let refused = serve.log_line("could not reload callback tokens");
    assert!(
        refused.contains("line 2") && !refused.contains("short-one"),
        "{refused}"
    );
    assert_eq!((probe(&serve, TOKEN), probe(&serve, OTHER)), (204, 204));
    workdir.file("tokens", OTHER);
    serve.signal("HUP");
    serve.log_line("callback tokens reloaded");
    assert_eq!((probe(&serve, TOKEN), probe(&serve, OTHER)), (404, 204));
}

#[test]
fn emptied_callback_token_file_revokes_its_tokens_on_sighup() {
    for revoke in [
        |file: &Path| fs::write(file, "# none\n").expect("emptied"),
        |file: &Path| fs::write(file, "").expect("emptied"),
        |file: &Path| fs::remove_file(file).expect("it was there"),
    ] {
        let workdir = Workdir::new();
        let file = workdir.file("tokens", TOKEN);
        let serve = workdir.serve(&["--callback-token-file", "tokens"]);
        assert_eq!(probe(&serve, TOKEN), 204);
        revoke(&file);
        serve.signal("HUP");
        serve.log_line("callback token file is empty now");
        let body = event_with_id("evt_1", "a");
        assert_eq!(
            (probe(&serve, TOKEN), callback(&serve, TOKEN, &body).status),
            (404, 404)
        );
        workdir.file("tokens", OTHER);
        serve.signal("HUP");
        serve.log_line("callback tokens reloaded");
        assert_eq!((probe(&serve, TOKEN), probe(&serve, OTHER)), (404, 204));
    }
}

#[test]
fn callback_token_file_without_tokens_is_rejected_without_printing_it() {
    for (text, expected) in [
        (&format!("# tokens\n\n{TOKEN}\nhunter2\n")[..], "line 4"),
        ("hunter2-with spaces that are long enough", "line 1"),
        ("# hunter2\n", "is empty"),
    ] {
        let workdir = Workdir::new();
        workdir.file("tokens", text);
        let arguments = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "off",
            "--callback-token-file",
            "tokens",
        ];
        let ended = workdir.run(&arguments);
        assert_eq!(ended.status, 2, "{}", ended.stderr);
        let output = format!("{}{}", ended.stdout, ended.stderr);
        assert!(output.contains(expected), "{output}");
        assert!(
            !output.contains("hunter2") && !output.contains(TOKEN),
            "{output}"
        );
        assert!(
            !output.contains("listening"),
            "nothing was started: {output}"
        );
    }
}
