//! `serve` that dies while handlers work: by their own doing, and in the middle of many.

use std::collections::BTreeSet;
use std::fs;

use super::{are_all, import, old, results, script, serve_with_program, show};
use crate::crash::load_then_kill;
use crate::support::{Workdir, eventually};

const KILLED: i32 = -1;

#[test]
fn delivery_of_a_handler_that_killed_serve_is_dispatched_again() {
    let workdir = Workdir::new();
    import(&workdir, [old("a", "pending", 0, 0)]);
    let text = r#"cat >/dev/null; echo "$HEYGEN_ATTEMPT" >> begun; test "$HEYGEN_ATTEMPT" -ge 2 || kill -KILL $PPID"#;
    assert_eq!(serve_with_program(&workdir, &[], text).wait().0, KILLED);
    assert_eq!(workdir.list()[0]["state"], "interrupted");
    let _serve = serve_with_program(&workdir, &[], text);
    eventually(|| are_all(&workdir, "acknowledged"));
    let delivery = show(&workdir, &workdir.list()[0]);
    assert_eq!(results(&delivery), ["interrupted", "acknowledged"]);
    assert_eq!(delivery["attempts"], 2);
    let begun = fs::read_to_string(workdir.path().join("begun")).expect("what began");
    assert_eq!(begun, "1\n2\n");
}

#[test]
fn delivery_that_kills_serve_every_time_is_dead_lettered() {
    let workdir = Workdir::new();
    import(
        &workdir,
        [old("a", "pending", 0, 0), old("b", "pending", 0, 0)],
    );
    // One at a time, so that the other is not taken down with it.
    let options = ["--retry-max-attempts", "3", "--concurrency", "1"];
    let text = r#"cat >/dev/null
        test "$HEYGEN_SUBJECT_ID" = a || exit 0
        echo "$HEYGEN_ATTEMPT" >> begun; kill -KILL $PPID"#;
    for _ in 0..3 {
        assert_eq!(
            serve_with_program(&workdir, &options, text).wait().0,
            KILLED
        );
    }
    let serve = serve_with_program(&workdir, &options, text);
    eventually(|| {
        let states: BTreeSet<_> = workdir
            .list()
            .iter()
            .map(|one| one["state"].to_string())
            .collect();
        states
            == BTreeSet::from([
                r#""dead_lettered""#.to_owned(),
                r#""acknowledged""#.to_owned(),
            ])
    });
    serve.log_line("dead-lettered");
    let found = workdir
        .list()
        .into_iter()
        .find(|one| one["subject_id"] == "a");
    let delivery = show(&workdir, &found.expect("it is stored"));
    let expected = ["interrupted", "interrupted", "interrupted", "dead_lettered"];
    assert_eq!(results(&delivery), expected);
    let why = delivery["attempt_list"][3]["detail"].as_str().unwrap_or("");
    assert!(why.contains("attempts ran out"), "{why}");
    let begun = fs::read_to_string(workdir.path().join("begun")).expect("what began");
    assert_eq!(begun, "1\n2\n3\n", "the program was not started once more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_get_all_that_was_answered_however_often_we_are_killed() {
    let workdir = Workdir::new();
    let text = r#"cat >/dev/null; sleep 0.02; echo "$HEYGEN_SUBJECT_ID" >> handled"#;
    let program = script(&workdir, "handle", text);
    let handler = ["--exec", program.to_str().expect("a path")];
    let answered = kill_under_load(&workdir, &handler).await;
    assert!(
        workdir
            .list()
            .iter()
            .any(|one| one["attempts"].as_u64() > Some(1)),
        "the blow never fell on a handler at work"
    );
    let handled = fs::read_to_string(workdir.path().join("handled")).expect("what was handled");
    let handled: BTreeSet<_> = handled.lines().map(str::to_owned).collect();
    assert_eq!(answered.difference(&handled).count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_gets_all_that_was_answered_however_often_we_are_killed() {
    let (workdir, behind) = (Workdir::new(), Workdir::new());
    let made = workdir.run(&["secrets", "forward", "--create"]).ok().stdout;
    let secret = [("HEYGEN_WEBHOOK_SECRET", made.trim_end())];
    let application = behind.serve_with(&["--on", "*=ignore"], &secret);
    let answered = kill_under_load(&workdir, &["--forward", &application.url]).await;
    let handled: BTreeSet<_> = behind.by_subject().into_keys().collect();
    assert_eq!(answered.difference(&handled).count(), 0);
}

/// Rounds of load that end with SIGKILL, and one that hands out the rest. What was answered is there once, and done.
async fn kill_under_load(workdir: &Workdir, handler: &[&str]) -> BTreeSet<String> {
    let arguments = [
        &["--concurrency", "8", "--retry-initial-delay", "0.05"],
        handler,
    ]
    .concat();
    let mut answered = BTreeSet::new();
    for round in 0..4 {
        let serve = workdir.serve(&arguments);
        let (new, _) = load_then_kill(serve, 4, round, 41 + 23 * round).await;
        answered.extend(new);
    }
    let serve = workdir.serve(&arguments);
    eventually(|| are_all(workdir, "acknowledged"));
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    let stored = workdir.by_subject();
    assert!(stored.values().all(|count| *count == 1), "{stored:?}");
    assert!(answered.iter().all(|subject| stored.contains_key(subject)));
    answered
}
