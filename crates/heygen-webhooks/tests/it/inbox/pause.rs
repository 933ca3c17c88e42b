//! `inbox pause` and `inbox resume`.

use super::history::of_state;
use crate::http::get;
use crate::support::{Workdir, eventually};

#[test]
fn pause_holds_over_restarts_while_receiving_goes_on() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--json"]);
    let output = workdir.run(&["inbox", "pause"]).ok().stdout;
    assert!(output.contains("paused") && output.contains("inbox resume"));
    serve.log_line("dispatch is paused");
    let trigger = ["avatar_video.success", "--set", "video_id=v1"];
    serve.trigger(&workdir, &trigger).ok();
    assert_eq!(of_state(&workdir, "pending").len(), 1);
    serve.signal("TERM");
    let (status, lines, _) = serve.wait();
    assert_eq!((status, lines.len()), (0, 0), "nothing was dispatched");

    let serve = workdir.serve_logging(&["--json"]);
    let admin = serve.admin();
    serve.log_line("dispatch is paused");
    let page = |path: &str| get(&format!("{admin}{path}")).body;
    let readiness = page("/readyz");
    assert!(
        readiness.contains(r#""status":"ready""#) && readiness.contains(r#""dispatch":"paused""#),
        "{readiness}"
    );
    assert!(page("/metrics").contains("heygen_webhooks_dispatch_paused 1\n"));
    let stats = workdir.run(&["inbox", "stats"]).ok().stdout;
    assert!(stats.contains("paused since"), "{stats}");
    let stats = workdir.json(&["inbox", "stats", "--json"]);
    assert!(stats["dispatch_paused_since"].is_string(), "{stats}");
    let again = workdir.json(&["inbox", "pause", "--json"]);
    assert_eq!(again["since"], stats["dispatch_paused_since"]);
    assert_eq!(
        (&again["paused"], &again["changed"]),
        (&true.into(), &false.into())
    );
    let doctor = workdir.run(&["doctor"]).stdout;
    assert!(doctor.contains("dispatch is paused since"), "{doctor}");

    let output = workdir.run(&["inbox", "resume"]).ok().stdout;
    assert!(output.contains("1 delivery pending"), "{output}");
    serve.log_line("dispatched again");
    let line = serve.line();
    assert!(line.contains("\"v1\""), "{line}");
    eventually(|| page("/metrics").contains("heygen_webhooks_dispatch_paused 0\n"));
    let again = workdir.json(&["inbox", "resume", "--json"]);
    assert_eq!(
        (&again["paused"], &again["changed"]),
        (&false.into(), &false.into())
    );
}

#[test]
fn no_inbox_is_made_by_pausing_it() {
    let workdir = Workdir::new();
    for command in ["pause", "resume"] {
        assert_eq!(workdir.run(&["inbox", command]).status, 1);
    }
    assert!(!workdir.path().join("heygen-inbox.db").exists());
}
