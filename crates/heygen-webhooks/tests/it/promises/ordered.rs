//! `serve --ordered`: a subject whose handler hangs holds up itself and nobody else.

use std::fs;

use super::{event, post, serve_with_program};
use crate::support::{Workdir, eventually};

#[test]
fn a_subject_that_hangs_holds_up_no_other() {
    let workdir = Workdir::new();
    let serve = serve_with_program(
        &workdir,
        &["--ordered", "--concurrency", "2"],
        r#"cat >/dev/null
           if test "$HEYGEN_SUBJECT_ID" = hangs; then while ! test -e go; do sleep 0.05; done; fi
           echo "$HEYGEN_SUBJECT_ID $HEYGEN_EVENT_TYPE" >> handled"#,
    );
    // Many more than are handed out at a time, before anything of the others.
    for number in 0..20 {
        post(&serve, event(&format!("order.{number}"), "hangs"));
    }
    for number in 0..5 {
        for subject in ["a", "b", "c"] {
            post(&serve, event(&format!("order.{number}"), subject));
        }
    }
    let handled = || fs::read_to_string(workdir.path().join("handled")).unwrap_or_default();
    let of = |subject: &str| -> Vec<String> {
        let prefix = format!("{subject} order.");
        let text = handled();
        text.lines()
            .filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
            .collect()
    };
    let in_order =
        |count: usize| -> Vec<String> { (0..count).map(|number| number.to_string()).collect() };
    eventually(|| handled().lines().count() == 15);
    for subject in ["a", "b", "c"] {
        assert_eq!(of(subject), in_order(5), "{subject}");
    }
    let states = || {
        workdir
            .list()
            .iter()
            .filter(|one| one["state"] == "claimed")
            .count()
    };
    // One is in hand, the rest wait; that the last of the others is done may be on its way to the file.
    eventually(|| states() == 1);
    assert_eq!(of("hangs").len(), 0);
    workdir.file("go", "");
    eventually(|| of("hangs").len() == 20);
    assert_eq!(of("hangs"), in_order(20));
}
