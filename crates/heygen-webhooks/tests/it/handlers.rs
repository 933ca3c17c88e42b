//! Handlers of `serve`: forward, programs, retries, dead letters, and restarts after a crash.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::get;
use crate::promises::{are_all, newest_once, results, script, serve_with_program};
use crate::support::{Workdir, eventually};

/// What the application verifies with.
fn forward_secret(workdir: &Workdir, arguments: &[&str]) -> String {
    let ended = workdir
        .run(&[&["secrets", "forward"], arguments].concat())
        .ok();
    let secret = ended.stdout.strip_suffix('\n').expect("a line").to_owned();
    assert!(secret.starts_with("whsec_"), "nothing else is printed");
    secret
}

#[test]
fn an_application_that_verifies_heygen_works_behind_us() {
    let front = Workdir::new();
    let behind = Workdir::new();
    // Our own receiver is such an application.
    let secret = forward_secret(&front, &["--create"]);
    let application = behind.serve_with(&["--json"], &[("HEYGEN_WEBHOOK_SECRET", &secret)]);
    let serve = front.serve(&["--forward", &application.url]);
    serve
        .trigger(
            &front,
            &["avatar_video.success", "--set", "note=é\u{1f600}"],
        )
        .ok();
    let line: Value = serde_json::from_str(&application.line()).expect("JSON");
    assert_eq!(line["event_type"], "avatar_video.success");
    newest_once(&front, "acknowledged");

    let sent = front.list()[0]["id"].as_str().expect("an id").to_owned();
    let taken = behind.list()[0]["id"].as_str().expect("an id").to_owned();
    let raw = |workdir: &Workdir, id: &str| workdir.run(&["inbox", "show", id, "--raw"]).ok().raw;
    assert_eq!(raw(&front, &sent), raw(&behind, &taken), "byte for byte");
    let headers = behind.json(&["inbox", "show", &taken, "--json"])["headers"].to_string();
    for expected in [
        format!(r#"["heygen-webhooks-id","{sent}"]"#),
        r#"["heygen-webhooks-attempt","1"]"#.to_owned(),
        r#"["heygen-webhooks-authenticity","signature"]"#.to_owned(),
    ] {
        assert!(headers.contains(&expected), "{expected} in {headers}");
    }
}

#[test]
fn an_application_with_a_secret_of_its_own() {
    let front = Workdir::new();
    let behind = Workdir::new();
    let application = behind.serve_with(&["--json"], &[("HEYGEN_WEBHOOK_SECRET", "whsec_behind")]);
    let file = front.file("behind.secret", "whsec_behind\n");
    let file = file.to_str().expect("a path");
    let serve = front.serve(&["--forward", &application.url, "--forward-secret-file", file]);
    serve.trigger(&front, &["avatar_video.fail"]).ok();
    application.line();
    newest_once(&front, "acknowledged");
}

#[test]
fn failed_forward_is_retried_until_the_application_answers() {
    let front = Workdir::new();
    let behind = Workdir::new();
    let secret = forward_secret(&front, &["--create"]);
    // It has no secret yet, and says 503.
    let application = behind.serve_with(&[], &[]);
    let url = application.url.clone();
    let serve = front.serve(&[
        "--forward",
        &url,
        "--retry-initial-delay",
        "0.05",
        "--retry-max-attempts",
        "1000",
    ]);
    serve.trigger(&front, &["avatar_video.success"]).ok();
    serve.log_line("503");
    let listen = url
        .trim_start_matches("http://")
        .split('/')
        .next()
        .expect("an address");
    application.signal("TERM");
    application.wait();
    let again = ["serve", "--listen", listen, "--json", "--admin", "off"];
    let mut application = behind
        .command(&again)
        .env("HEYGEN_WEBHOOK_SECRET", &secret)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let delivery = newest_once(&front, "acknowledged");
    application.kill().expect("it runs");
    application.wait().expect("it ends");
    let results = results(&delivery);
    assert_eq!(results.last(), Some(&"acknowledged"));
    assert!(
        results.len() > 1
            && results[..results.len() - 1]
                .iter()
                .all(|result| *result == "retry")
    );
}

#[test]
fn a_program_that_fails_twice_and_then_works() {
    let workdir = Workdir::new();
    let serve = serve_with_program(
        &workdir,
        &["--retry-initial-delay", "0.02"],
        r#"cat > body; echo "attempt $HEYGEN_ATTEMPT of $HEYGEN_EVENT_TYPE" >&2; test "$HEYGEN_ATTEMPT" -ge 3 || exit 75"#,
    );
    serve.trigger(&workdir, &["avatar_video.fail"]).ok();
    let delivery = newest_once(&workdir, "acknowledged");
    assert_eq!(results(&delivery), ["retry", "retry", "acknowledged"]);
    let said = |number: usize| {
        delivery["attempt_list"][number]["detail"]
            .as_str()
            .unwrap_or("")
    };
    assert!(said(0).contains("status 75") && said(0).contains("attempt 1 of avatar_video.fail"));
    assert_eq!(said(2), "attempt 3 of avatar_video.fail");
    let body = fs::read(workdir.path().join("body")).expect("what it read");
    let id = delivery["id"].as_str().expect("an id");
    assert_eq!(body, workdir.run(&["inbox", "show", id, "--raw"]).ok().raw);
}

#[test]
fn dead_lettered_delivery_stays_visible_and_can_be_replayed() {
    let workdir = Workdir::new();
    let serve = serve_with_program(
        &workdir,
        &["--retry-initial-delay", "0.01", "--retry-max-attempts", "3"],
        r#"cat >/dev/null; test -e mended"#,
    );
    serve.trigger(&workdir, &["avatar_video.success"]).ok();
    let dead = newest_once(&workdir, "dead_lettered");
    assert_eq!(results(&dead), ["retry", "retry", "dead_lettered"]);
    serve.trigger(&workdir, &["avatar_video.fail"]).ok();
    newest_once(&workdir, "dead_lettered");

    workdir.file("mended", "");
    workdir
        .run(&["inbox", "replay", "--state", "dead_lettered"])
        .ok();
    eventually(|| are_all(&workdir, "acknowledged"));
    let first = dead["id"].as_str().expect("an id");
    let attempts = workdir.run(&["inbox", "attempts", first]).ok().stdout;
    assert!(attempts.contains("acknowledged"), "{attempts}");
}

#[test]
fn a_program_that_hangs_is_ended_and_tried_again() {
    let workdir = Workdir::new();
    let serve = serve_with_program(
        &workdir,
        &["--handler-timeout", "2", "--retry-initial-delay", "0.01"],
        r#"cat >/dev/null; test "$HEYGEN_ATTEMPT" -ge 2 || sleep 1000"#,
    );
    serve.trigger(&workdir, &["avatar_video.success"]).ok();
    let delivery = newest_once(&workdir, "acknowledged");
    assert_eq!(results(&delivery), ["retry", "acknowledged"]);
    let why = delivery["attempt_list"][0]["detail"].as_str().unwrap_or("");
    assert!(why.contains("it took longer than"), "{why}");
}

#[test]
fn delivery_claimed_at_sigkill_is_dispatched_again() {
    let workdir = Workdir::new();
    let text = r#"cat >/dev/null; echo "$HEYGEN_ATTEMPT $$" >> begun; test "$HEYGEN_ATTEMPT" -ge 2 || exec sleep 1000"#;
    let serve = serve_with_program(&workdir, &[], text);
    serve.trigger(&workdir, &["avatar_video.success"]).ok();
    let begun = workdir.path().join("begun");
    let first = || fs::read_to_string(&begun).unwrap_or_default();
    eventually(|| first().ends_with('\n'));
    let first = first();
    serve.kill();
    // The program itself was started by us, and outlived the SIGKILL of its parent.
    let orphan = first.split_whitespace().nth(1).expect("a process id");
    let ended = std::process::Command::new("kill")
        .args(["-KILL", orphan])
        .status();
    assert!(ended.expect("kill").success());

    let _serve = serve_with_program(&workdir, &[], text);
    let delivery = newest_once(&workdir, "acknowledged");
    assert_eq!(results(&delivery), ["interrupted", "acknowledged"]);
    assert_eq!(delivery["attempts"], 2);
}

#[test]
fn first_matching_rule_chooses_the_handler() {
    let workdir = Workdir::new();
    let program = script(
        &workdir,
        "handle",
        r#"cat >/dev/null; echo "$HEYGEN_EVENT_TYPE" >> handled"#,
    );
    let rule = format!("avatar_video.*=exec:{}", program.display());
    let serve = workdir.serve(&[
        "--json",
        "--on",
        "*.fail=ignore",
        "--on",
        &rule,
        "--on",
        "avatar_video.success=ignore",
    ]);
    for event in [
        "avatar_video.fail",
        "avatar_video.success",
        "podcast.success",
    ] {
        serve.trigger(&workdir, &[event]).ok();
    }
    let line: Value = serde_json::from_str(&serve.line()).expect("JSON");
    assert_eq!(
        line["event_type"], "podcast.success",
        "what no rule takes is printed"
    );
    eventually(|| are_all(&workdir, "acknowledged"));
    let handled = fs::read_to_string(workdir.path().join("handled")).expect("what was handled");
    assert_eq!(handled, "avatar_video.success\n");
}

#[test]
fn rules_stand_in_the_file_too() {
    let workdir = Workdir::new();
    let program = script(
        &workdir,
        "handle",
        r#"cat >/dev/null; echo "$1|$2" >> handled"#,
    );
    workdir.file(
        "heygen-webhooks.toml",
        format!(
            "ordered = true\nretry-initial-delay = 0.5\nkeep = \"30d\"\nkeep-bytes = \"1GiB\"\n\
             [[on]]\nevent = \"*.fail\"\nexec = [{:?}, \"two words\", \"$HOME\"]\n",
            program.display().to_string()
        ),
    );
    let serve = workdir.serve(&[]);
    serve.trigger(&workdir, &["avatar_video.fail"]).ok();
    newest_once(&workdir, "acknowledged");
    let handled = fs::read_to_string(workdir.path().join("handled")).expect("what was handled");
    assert_eq!(handled, "two words|$HOME\n", "no shell");
}

#[test]
fn events_of_one_subject_come_in_order() {
    let workdir = Workdir::new();
    let serve = serve_with_program(
        &workdir,
        &["--ordered", "--retry-initial-delay", "0.05"],
        // The first of each subject fails at first; those behind it wait.
        r#"cat >/dev/null
           if test "$HEYGEN_EVENT_TYPE" = order.1 && test "$HEYGEN_ATTEMPT" = 1; then exit 75; fi
           echo "$HEYGEN_SUBJECT_ID $HEYGEN_EVENT_TYPE" >> handled"#,
    );
    for number in 1..=4 {
        for subject in ["a", "b"] {
            let event = format!("order.{number}");
            let set = format!("video_id={subject}");
            serve.trigger(&workdir, &[&event, "--set", &set]).ok();
        }
    }
    let handled = workdir.path().join("handled");
    let read = || fs::read_to_string(&handled).unwrap_or_default();
    eventually(|| read().lines().count() >= 8);
    for subject in ["a ", "b "] {
        let text = read();
        let of: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix(subject))
            .collect();
        assert_eq!(
            of,
            ["order.1", "order.2", "order.3", "order.4"],
            "{subject}"
        );
    }
}

#[test]
fn contradicting_options_are_rejected_before_the_start() {
    let workdir = Workdir::new();
    for (arguments, expected) in [
        (&["--forward", "ftp://a/b"][..], "ftp://a/b"),
        (&["--forward", "http://user:pass@a/b"], "cannot forward"),
        (&["--retry-max-attempts", "0"], "at least 1"),
        (&["--concurrency", "0"], "at least 1"),
        (&["--handler-timeout", "0"], "handler-timeout"),
        (&["--on", "x"], "PATTERN=forward:URL"),
        (&["--on", "x=mail:me"], "PATTERN=forward:URL"),
        (&["--keep", "30"], "30d"),
        (&["--keep-bytes", "much"], "10GiB"),
        (&["--keep-bytes", "10"], "--keep-bytes: 10 bytes"),
        (&["--forward", "http://a", "--print"], "--print"),
        (
            &["--forward", "http://a", "--forward-secret-file", "nowhere"],
            "nowhere",
        ),
    ] {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let ended = workdir.run(&arguments);
        assert!(
            ended.status == 2 || expected == "nowhere",
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(ended.status != 0);
        ended.says(expected);
        assert!(!ended.stderr.contains("pass@"), "{}", ended.stderr);
    }
}

/// A hook that hangs holds up neither dispatch nor the end; what it was not called for is counted.
#[test]
fn dead_letter_hook_gets_the_delivery_and_the_reason() {
    let workdir = Workdir::new();
    let hook = script(
        &workdir,
        "alert",
        "cat > body; echo \"$1 $HEYGEN_DELIVERY_ID $HEYGEN_SUBJECT_ID $HEYGEN_DEAD_LETTER_REASON\" > called.new\nmv called.new called",
    );
    let hook = format!("exec:{} loud", hook.display());
    let serve = serve_with_program(
        &workdir,
        &["--on-dead-letter", &hook],
        "echo no such customer >&2; exit 65",
    );
    let sent = ["avatar_video.success", "--set", "video_id=v1"];
    serve.trigger(&workdir, &sent).ok();
    eventually(|| workdir.path().join("called").exists());
    let newest = newest_once(&workdir, "dead_lettered");
    let called = fs::read_to_string(workdir.path().join("called")).expect("text");
    let id = newest["id"].as_str().expect("an id");
    assert!(called.starts_with(&format!("loud {id} v1 ")), "{called}");
    assert!(called.contains("no such customer"), "{called}");
    let body = fs::read_to_string(workdir.path().join("body")).expect("text");
    assert!(body.contains("\"v1\""), "{body}");
}

#[test]
fn hanging_dead_letter_hook_holds_nothing_up() {
    let workdir = Workdir::new();
    let hook = script(
        &workdir,
        "hang",
        "trap '' TERM; echo x >> hangs; while :; do sleep 1; done",
    );
    let hook = format!("exec:{}", hook.display());
    let serve = serve_with_program(&workdir, &["--on-dead-letter", &hook], "exit 65");
    let admin = serve.admin();
    for number in 0..6 {
        let subject = format!("video_id=v{number}");
        let sent = ["avatar_video.success", "--set", &subject];
        serve.trigger(&workdir, &sent).ok();
    }
    eventually(|| are_all(&workdir, "dead_lettered"));
    let hangs = || fs::read_to_string(workdir.path().join("hangs")).unwrap_or_default();
    eventually(|| hangs().lines().count() == 4);
    let metrics = get(&format!("{admin}/metrics")).body;
    assert!(
        metrics.contains("heygen_webhooks_dead_letter_hook_calls_total 0\n"),
        "{metrics}"
    );
    let begun_at = Instant::now();
    serve.signal("TERM");
    let (status, _, log) = serve.wait();
    assert_eq!(status, 0, "{log:?}");
    assert!(begun_at.elapsed() < Duration::from_secs(30));
    assert!(
        log.iter()
            .any(|line| line.contains("dead-letter hook") && line.contains("\"deliveries\":6")),
        "{log:?}"
    );
}

#[test]
fn dead_letter_hook_forwards_signed_with_the_reason() {
    let (front, behind) = (Workdir::new(), Workdir::new());
    let secret = forward_secret(&front, &["--create"]);
    let application = behind.serve_with(&["--json"], &[("HEYGEN_WEBHOOK_SECRET", &secret)]);
    let hook = format!("forward:{}", application.url);
    let serve = serve_with_program(&front, &["--on-dead-letter", &hook], "exit 65");
    let sent = ["avatar_video.success", "--set", "video_id=v1"];
    serve.trigger(&front, &sent).ok();
    assert!(application.line().contains("\"v1\""));
    let kept = newest_once(&behind, "acknowledged");
    let headers = kept["headers"].as_array().expect("headers");
    let reason = headers
        .iter()
        .find(|header| header[0] == "heygen-webhooks-dead-letter")
        .expect("the reason");
    assert!(
        reason[1].as_str().expect("text").contains("status 65"),
        "{reason}"
    );
}

#[test]
fn wrong_dead_letter_hooks_are_refused_at_the_start() {
    let workdir = Workdir::new();
    for (action, said) in [
        ("print", "forward:URL or exec:PROGRAM"),
        ("mail:me", "forward:URL or exec:PROGRAM"),
        ("exec:./no-such-program", "does not exist"),
    ] {
        let ended = workdir.run(&["serve", "--on-dead-letter", action]);
        assert_eq!(ended.status, 2, "{}", ended.stderr);
        assert!(
            ended.stderr.contains(said) && ended.stderr.contains("on-dead-letter"),
            "{}",
            ended.stderr
        );
    }
    assert!(!workdir.path().join("heygen-inbox.db").exists());
}

#[test]
fn lines_of_a_program_are_told_apart_and_its_output_is_logged_for_debugging() {
    let workdir = Workdir::new();
    let serve = serve_with_program(
        &workdir,
        &["--log", "debug", "--retry-initial-delay", "3600"],
        "echo on stdout; echo one more; echo warning >&2; echo >&2; echo Traceback >&2; exit 1",
    );
    serve.trigger(&workdir, &["avatar_video.success"]).ok();
    let output = serve.log_line("output of a program");
    assert!(output.contains("on stdout | one more"), "{output}");
    let failed = serve.log_line("attempt failed");
    assert!(failed.contains("status 1: warning | Traceback"), "{failed}");
    let newest = newest_once(&workdir, "pending");
    let id = newest["id"].as_str().expect("an id");
    let attempts = workdir.run(&["inbox", "attempts", id]).ok().stdout;
    assert!(attempts.contains("warning | Traceback"), "{attempts}");
    assert!(!attempts.contains('\u{fffd}'), "{attempts}");
    let detail = &newest["attempt_list"][0]["detail"];
    let detail = detail.as_str().expect("text");
    assert!(detail.ends_with("warning\n\nTraceback"), "{detail}");
}
