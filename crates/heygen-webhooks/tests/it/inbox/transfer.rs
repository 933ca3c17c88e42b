//! `inbox export` and `inbox import`.

use serde_json::{Value, json};

use super::history::{acknowledged, delivery, import, of_state, text};
use super::{post, three_events};
use crate::support::{Workdir, words};

fn export(workdir: &Workdir, arguments: &[&str]) -> Vec<Value> {
    let output = workdir
        .run(&[&["inbox", "export"], arguments].concat())
        .ok()
        .stdout;
    let lines = output.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

/// An inbox gives its own ids.
fn without_ids(mut lines: Vec<Value>) -> Vec<Value> {
    for line in &mut lines {
        line["id"].take();
    }
    lines
}

#[test]
fn exported_inbox_survives_a_round_trip() {
    let workdir = Workdir::new();
    let (serve, sent) = three_events(&workdir);
    post(&serve, b"\xff\x00 no event");
    serve.line();
    serve.signal("TERM");
    serve.wait();
    import(
        &workdir,
        &[
            delivery("v7", "dead_lettered", 3),
            delivery("v8", "pending", 2),
        ],
    );
    let lines = export(&workdir, &[]);
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[0]["id"], sent[0].as_str());
    assert_eq!(lines[3]["body_base64"], "/wAgbm8gZXZlbnQ=");
    assert_eq!(lines[4]["attempt_list"][0]["milliseconds"], 1.5);

    let other = Workdir::new();
    let arguments = ["inbox", "import", "-", "--trust", "--json"];
    let import = |expected: Value| {
        let ended = other.run_with(&arguments, text(&lines).as_bytes(), &[]);
        assert_eq!(ended.ok().json(), expected);
        assert_eq!(without_ids(export(&other, &[])), without_ids(lines.clone()));
    };
    import(json!({"new": 6, "duplicate": 0, "bad": 0}));
    // Once more changes nothing.
    import(json!({"new": 0, "duplicate": 6, "bad": 0}));
}

#[test]
fn export_to_a_file_is_complete_beside_a_running_serve() {
    let workdir = Workdir::new();
    let (_serve, sent) = three_events(&workdir);
    let json = workdir.json(&words(
        "inbox export --subject v2 --output out.jsonl --json",
    ));
    assert_eq!(json["exported"], 1);
    let path = workdir.path().join("out.jsonl");
    let text = std::fs::read_to_string(&path).expect("a file");
    let line: Value = serde_json::from_str(&text).expect("one line");
    assert_eq!(line["id"], sent[1].as_str());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).expect("a file").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
    // A server would go on writing to a log that no name leads to.
    for suffix in ["", "-wal", "-journal", ".rejected"] {
        let output = format!("./heygen-inbox.db{suffix}");
        let refused = workdir.run(&["inbox", "export", "--force", "--output", &output]);
        refused.fails(2, "--output would replace");
    }
    assert_eq!(export(&workdir, &[]).len(), 3);
}

#[test]
fn csv_calculates_nothing() {
    let workdir = Workdir::new();
    let mut bad = delivery("=HYPERLINK(\"http://a.b\")", "acknowledged", 1);
    bad["source"] = "backfill".into();
    import(&workdir, &[bad]);
    let table = workdir
        .run(&["inbox", "export", "--format", "csv"])
        .ok()
        .stdout;
    let lines: Vec<_> = table.split("\r\n").collect();
    assert!(
        lines[0].starts_with("id,received_at,event_type,"),
        "{table}"
    );
    assert!(
        lines[1].contains(",\"'=HYPERLINK(\"\"http://a.b\"\")\","),
        "{table}"
    );
    assert!(
        lines[1].contains(",\"acknowledged\",\"1\",\"backfill\",\"{"),
        "{table}"
    );
    assert_eq!(lines.len(), 3, "{table}");
}

#[test]
fn import_reports_unreadable_lines_and_imports_the_others() {
    let workdir = Workdir::new();
    let good = [
        delivery("v1", "acknowledged", 2),
        delivery("v2", "dead_lettered", 1),
    ];
    let input = format!(
        "{}nonsense\n\n{{\"body\":\"\\ud800\"}}\n{}\n",
        text(&good[..1]),
        good[1]
    );
    let strict = workdir.run_with(&["inbox", "import", "-", "--strict"], input.as_bytes(), &[]);
    assert_eq!(strict.status, 1);
    assert!(
        strict.stdout.starts_with("1 new, 0 already here, 1 "),
        "{}",
        strict.stdout
    );
    let file = workdir.file("in.jsonl", &input);
    let file = file.to_str().expect("a path");
    let ended = workdir.run(&["inbox", "import", file]);
    assert_eq!(ended.status, 1);
    assert!(
        ended.stderr.contains("line 2: ") && ended.stderr.contains("line 4: "),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stdout.starts_with("1 new, 1 already here, 2 "),
        "{}",
        ended.stdout
    );
    assert_eq!(of_state(&workdir, "acknowledged").len(), 1);
    assert_eq!(of_state(&workdir, "dead_lettered").len(), 1);
}

#[test]
fn import_with_replay_is_dispatched_by_a_running_serve() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--json"]);
    let lines = text(&[delivery("v1", "dead_lettered", 2)]);
    let arguments = ["inbox", "import", "-", "--replay"];
    workdir.run_with(&arguments, lines.as_bytes(), &[]).ok();
    let line = serve.line();
    assert!(line.contains("\"v1\""), "{line}");
    // It is here now, and stays as it is.
    let again = workdir.run_with(&arguments, lines.as_bytes(), &[]).ok();
    assert!(
        again.stdout.starts_with("0 new, 1 already here"),
        "{}",
        again.stdout
    );
}

#[test]
fn export_skips_and_reports_damaged_deliveries() {
    let workdir = Workdir::new();
    let mut large = delivery("v2", "acknowledged", 2);
    large["body"] = "Z".repeat(20_000).into();
    import(
        &workdir,
        &[
            delivery("v1", "acknowledged", 3),
            large,
            delivery("v3", "acknowledged", 1),
        ],
    );
    super::damage_body(&workdir, b'Z');
    let id = super::ids(&workdir, &[])[1].clone();
    let ended = workdir.run(&["inbox", "export"]);
    assert_eq!((ended.status, ended.stdout.lines().count()), (1, 2));
    ended.says(&id);
    assert_eq!(workdir.run(&["inbox", "check"]).status, 1);
}

/// Of the part of a file that lists deliveries, without their bodies.
#[test]
fn export_goes_on_behind_a_damaged_page_of_deliveries() {
    let workdir = Workdir::new();
    import(&workdir, &acknowledged(2000, 1));
    let path = workdir.path().join("heygen-inbox.db");
    let sound = std::fs::read(&path).expect("a file");
    // A leaf of the table, and not its root, which may still show the rows that it held once.
    let is_listing = |page: &[u8]| {
        let columns = b"webhookavatar_video.success";
        page[0] == 13 && page.windows(columns.len()).any(|window| window == columns)
    };
    let pages: Vec<_> = sound.chunks(4096).map(is_listing).collect();
    let listing: Vec<_> = (0..pages.len()).filter(|page| pages[*page]).collect();
    let (first, last) = (listing[0], listing[listing.len() - 1]);
    for page in [first, listing[listing.len() / 2], last] {
        let mut bytes = sound.clone();
        bytes[page * 4096..][..4096].fill(0x5a);
        std::fs::write(&path, bytes).expect("damage");
        let export = ["inbox", "export", "--output", "out.jsonl", "--force"];
        workdir.run(&export).fails(1, "skipped as damaged");
        let exported = std::fs::read_to_string(workdir.path().join("out.jsonl"));
        let exported = exported.expect("a file").lines().count();
        // A page lists some dozens.
        assert!((1900..2000).contains(&exported), "page {page}: {exported}");
    }
}

#[cfg(unix)]
#[test]
fn an_export_that_is_stopped_leaves_nothing_half_made() {
    use std::process::{Command, Stdio};

    let workdir = Workdir::new();
    import(&workdir, &acknowledged(3000, 1));
    let names = || {
        let entries = std::fs::read_dir(workdir.path()).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let out = names.filter(|name| name.to_string_lossy().starts_with("out"));
        out.collect::<Vec<_>>()
    };
    let mut child = workdir
        .command(&["inbox", "export", "--output", "out.jsonl"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    while names().is_empty() && child.try_wait().expect("its state").is_none() {
        std::thread::yield_now();
    }
    let kill = format!("kill -INT {}", child.id());
    let _ = Command::new("sh").args(["-c", &kill]).status();
    let status = child.wait().expect("it ends");
    match status.success() {
        // It was quicker than the signal.
        true => assert_eq!(names(), ["out.jsonl"]),
        false => assert!(names().is_empty(), "{:?}", names()),
    }
}

#[test]
fn export_replaces_no_file_unasked_and_csv_is_not_imported() {
    let workdir = Workdir::new();
    let (serve, _) = three_events(&workdir);
    drop(serve);
    let export = ["inbox", "export", "--format", "csv", "--output", "out.csv"];
    workdir.file("out.csv", "");
    workdir.run(&export).ok();
    let again = workdir.run(&export);
    assert!(
        again.status == 2 && again.stderr.contains("--force"),
        "{}",
        again.stderr
    );
    workdir.run(&[&export[..], &["--force"]].concat()).ok();
    let imported = workdir.run(&["inbox", "import", "out.csv"]);
    imported.fails(2, "out.csv is CSV");
    assert!(!imported.stderr.contains("line 1"), "{}", imported.stderr);
}
