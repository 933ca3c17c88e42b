//! The inbox of a running `serve` is removed, renamed or replaced; a start that fails leaves
//! nothing behind; files that others can read, or that root makes.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::http::get;
use crate::support::{SECRET, Serve, Workdir, eventually, words};

const INBOX: [&str; 3] = [
    "heygen-inbox.db",
    "heygen-inbox.db-wal",
    "heygen-inbox.db-shm",
];

fn is_accepted(serve: &Serve, workdir: &Workdir, id: &str) -> bool {
    let id = format!("video_id={id}");
    let ended = serve.trigger(workdir, &["avatar_video.success", "--set", &id]);
    ended.status == 0
}

fn names(workdir: &Workdir) -> BTreeSet<String> {
    let entries = fs::read_dir(workdir.path()).expect("a folder");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

fn list(workdir: &Workdir, inbox: &str, more: &[&str]) -> Vec<serde_json::Value> {
    let arguments = [&["inbox", "list", "--json", "--inbox", inbox], more].concat();
    let listed = workdir.json(&arguments);
    listed.as_array().expect("an array").clone()
}

#[test]
fn a_removed_inbox_answers_503_and_is_rescued() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let admin = serve.admin();
    let ready = format!("{admin}/readyz");
    assert!(is_accepted(&serve, &workdir, "a") && is_accepted(&serve, &workdir, "b"));
    assert_eq!(get(&ready).status, 200);
    for name in INBOX {
        fs::remove_file(workdir.path().join(name)).expect("removed");
    }
    assert!(!is_accepted(&serve, &workdir, "c"), "it is 503");
    eventually(|| get(&ready).status == 503);
    let line = serve.log_line("was removed or renamed while it was open");
    assert!(line.contains("put back the file that was there"), "{line}");
    let line = serve.log_line("everything that was stored before is in");
    assert!(line.contains("heygen-inbox.db.rescued"), "{line}");
    assert!(!is_accepted(&serve, &workdir, "c"));
    assert_eq!(list(&workdir, "heygen-inbox.db.rescued", &[]).len(), 2);
    serve.signal("TERM");
    let (status, ..) = serve.wait();
    assert_eq!(status, 1, "not all is where it should be");
    assert!(!workdir.path().join("heygen-inbox.db").exists());

    let serve = workdir.serve_logging(&[]);
    let line = serve.log_line("deliveries of an inbox that was removed or replaced are in");
    assert!(
        line.contains("heygen-inbox.db.rescued | heygen-webhooks inbox import - --trust"),
        "{line}"
    );
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    let exported = workdir
        .run(&["inbox", "export", "--inbox", "heygen-inbox.db.rescued"])
        .ok();
    workdir
        .run_with(&["inbox", "import", "-"], &exported.raw, &[])
        .ok();
    assert_eq!(list(&workdir, "heygen-inbox.db", &[]).len(), 2);
}

#[test]
fn renamed_inbox_continues_when_it_is_renamed_back() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    assert!(is_accepted(&serve, &workdir, "a"));
    let (inbox, away) = (
        workdir.path().join(INBOX[0]),
        workdir.path().join("away.db"),
    );
    fs::rename(&inbox, &away).expect("renamed");
    assert!(!is_accepted(&serve, &workdir, "b"));
    fs::rename(&away, &inbox).expect("renamed back");
    eventually(|| is_accepted(&serve, &workdir, "c"));
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    assert_eq!(list(&workdir, INBOX[0], &[]).len(), 2);
}

#[test]
fn two_names_of_one_inbox_are_not_served_twice() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let inbox = workdir.path().join(INBOX[0]);
    fs::hard_link(&inbox, workdir.path().join("hard.db")).expect("a link");
    std::os::unix::fs::symlink(&inbox, workdir.path().join("soft.db")).expect("a link");
    for name in ["hard.db", "soft.db"] {
        let ended = workdir.run(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "off",
            "--inbox",
            name,
        ]);
        assert_eq!(ended.status, 1, "{name}");
        let says = ["hard link", "in use by another process"];
        assert!(
            says.iter().any(|says| ended.stderr.contains(says)),
            "{}",
            ended.stderr
        );
    }
    let line = serve.log_line("a hard link");
    assert!(line.contains("the next start is refused"), "{line}");
    assert!(is_accepted(&serve, &workdir, "a"));
}

/// Nothing new is in the folder after a start that fails.
#[track_caller]
fn check_failed_start(workdir: &Workdir, arguments: &[&str], environment: &[(&str, &str)]) {
    let before = names(workdir);
    let ended = workdir.run_with(arguments, b"", environment);
    assert_ne!(ended.status, 0, "{arguments:?}: {}", ended.stdout);
    assert_eq!(names(workdir), before, "{arguments:?}: {}", ended.stderr);
}

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    let workdir = Workdir::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    workdir.file("empty", "");
    workdir.file("text", "no token at all\n");
    workdir.file(
        "not-a-database",
        "a letter to a friend, and longer than the header of a file of SQLite's",
    );
    let serve = |more: &[&'static str]| {
        let first = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        [first.as_slice(), more].concat()
    };
    let secret = [("HEYGEN_WEBHOOK_SECRET", SECRET)];
    let key = [("HEYGEN_WEBHOOK_SECRET", SECRET), ("HEYGEN_API_KEY", "key")];
    check_failed_start(
        &workdir,
        &["serve", "--listen", &taken, "--admin", "off"],
        &secret,
    );
    check_failed_start(
        &workdir,
        &["serve", "--sandbox", "--listen", &taken, "--admin", "off"],
        &secret,
    );
    check_failed_start(
        &workdir,
        &["serve", "--listen", "127.0.0.1:0", "--admin", &taken],
        &secret,
    );
    check_failed_start(&workdir, &["sandbox", "--listen", &taken], &[]);
    for more in [
        &["--secret-file", "none"][..],
        &["--secret-file", "empty"],
        &["--tls-cert", "none", "--tls-key", "none"],
        &["--tls-cert", "text", "--tls-key", "text"],
        &["--callback-token-file", "none"],
        &["--callback-token-file", "text"],
        &["--forward", "no address"],
        &words("--forward http://127.0.0.1:1/ --forward-secret-file none"),
        &["--forward", "http://127.0.0.1:1/", "--print"],
        &["--on", "nothing"],
        &["--public-url", "https://example.com/webhooks/heygen"],
        &["--inbox", "not-a-database"],
        &["--inbox", "none/inbox.db"],
    ] {
        check_failed_start(&workdir, &serve(more), &secret);
    }
    check_failed_start(
        &workdir,
        &serve(&["--public-url", "https://example.com/", "--events", " , "]),
        &key,
    );
    check_failed_start(&workdir, &["work", "--inbox", "inbox.db"], &secret);
    check_failed_start(&workdir, &["dev"], &secret);
    check_failed_start(&workdir, &["dev", "--interval", "0"], &key);
    check_failed_start(&workdir, &["dev", "--forward", "no address"], &key);
    check_failed_start(&workdir, &["dev", "--secret-file", "none"], &key);
    check_failed_start(&workdir, &["dev", "--inbox", "not-a-database"], &key);
}

#[test]
fn delivery_claimed_at_sigkill_is_shown_as_interrupted() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--exec", "sleep", "600"]);
    assert!(is_accepted(&serve, &workdir, "a"));
    let states = |more: &[&str]| {
        let listed = list(&workdir, INBOX[0], more);
        let states = listed
            .iter()
            .map(|line| line["state"].as_str().expect("a state").to_owned());
        states.collect::<Vec<_>>()
    };
    eventually(|| states(&[]) == ["claimed"]);
    assert_eq!(states(&["--state", "interrupted"]), [""; 0]);
    serve.kill();
    assert_eq!(states(&[]), ["interrupted"]);
    assert_eq!(states(&["--state", "interrupted"]), ["interrupted"]);
    assert_eq!(states(&["--state", "claimed"]), [""; 0]);
    let id = list(&workdir, INBOX[0], &[])[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let attempts = workdir.run(&["inbox", "attempts", &id]).ok().stdout;
    assert!(
        attempts.contains("is interrupted: attempt 1 was not finished"),
        "{attempts}"
    );
    let shown = workdir.json(&["inbox", "show", &id, "--json"]);
    assert_eq!(shown["state"], "interrupted");
    let stats = workdir.json(&["inbox", "stats", "--json"]);
    assert_eq!(
        (&stats["states"]["interrupted"], &stats["states"]["claimed"]),
        (&1.into(), &0.into())
    );
    let text = workdir.run(&["inbox", "stats"]).ok().stdout;
    assert!(text.contains("interrupted"), "{text}");
    let serve = workdir.serve(&[]);
    eventually(|| states(&[]) == ["acknowledged"]);
    drop(serve);
}

#[test]
fn inbox_readable_by_others_is_reported() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    serve.signal("TERM");
    serve.wait();
    let open = |name: &str| {
        let path = workdir.path().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("ours");
    };
    open(INBOX[0]);
    workdir.file("heygen-inbox.db.secrets.json", r#"{"secrets":[]}"#);
    open("heygen-inbox.db.secrets.json");
    let serve = workdir.serve_logging(&[]);
    for name in [
        "heygen-inbox.db",
        "heygen-inbox.db-wal",
        "heygen-inbox.db.secrets.json",
    ] {
        let line = serve.log_line(&format!("{name}: chmod 600"));
        assert!(line.contains("WARN"), "{line}");
    }
    let doctor = workdir.run(&["doctor", "--json", "--no-sample"]).json();
    let findings = doctor["findings"].as_array().expect("findings").clone();
    let finding = findings.iter().find(|finding| finding["id"] == "inbox");
    let finding = finding.expect("the finding");
    assert_eq!(finding["level"], "warn");
    assert!(
        finding["items"].to_string().contains("heygen-inbox.db-wal"),
        "{finding}"
    );
}

/// In a mount namespace of its own, as root.
fn in_namespace(workdir: &Workdir, script: &str) -> (bool, String) {
    let output = Command::new("unshare")
        .args(["-m", "sh", "-ec", script])
        .current_dir(workdir.path())
        .env("BIN", env!("CARGO_BIN_EXE_heygen-webhooks"))
        .env("HEYGEN_WEBHOOK_SECRET", SECRET)
        .output()
        .expect("unshare");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
#[ignore = "needs root and mounts: tests_that_need_root runs it"]
fn inbox_copy_on_a_read_only_mount_is_readable() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    assert!(is_accepted(&serve, &workdir, "a"));
    fs::create_dir(workdir.path().join("log")).expect("a folder");
    for name in &INBOX[..2] {
        fs::copy(
            workdir.path().join(name),
            workdir.path().join("log").join(name),
        )
        .expect("a copy");
    }
    serve.signal("TERM");
    serve.wait();
    fs::create_dir(workdir.path().join("plain")).expect("a folder");
    fs::copy(
        workdir.path().join(INBOX[0]),
        workdir.path().join("plain").join(INBOX[0]),
    )
    .expect("a copy");
    let mount = "mount --bind plain plain; mount -o remount,bind,ro plain; mount --bind log log; mount -o remount,bind,ro log;";
    let (is_well, said) = in_namespace(
        &workdir,
        &format!(
            "{mount} $BIN inbox list --inbox plain/heygen-inbox.db --json; $BIN inbox check --inbox plain/heygen-inbox.db"
        ),
    );
    assert!(
        is_well && said.contains("avatar_video.success") && said.contains("is sound"),
        "{said}"
    );
    let (is_well, said) = in_namespace(
        &workdir,
        &format!("{mount} $BIN inbox list --inbox log/heygen-inbox.db"),
    );
    assert!(
        !is_well && said.contains("copy the file together with its -wal to another folder"),
        "{said}"
    );
}

#[test]
#[ignore = "needs root and mounts: tests_that_need_root runs it"]
fn an_inbox_that_is_mounted_alone_is_refused() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    serve.signal("TERM");
    serve.wait();
    fs::create_dir(workdir.path().join("data")).expect("a folder");
    let script = "touch data/inbox.db; mount --bind heygen-inbox.db data/inbox.db; \
                  $BIN serve --listen 127.0.0.1:0 --admin off --inbox data/inbox.db";
    let (is_well, said) = in_namespace(&workdir, script);
    assert!(
        !is_well
            && said.contains("is mounted as a single file")
            && said.contains("mount its folder instead"),
        "{said}"
    );
    let left = fs::read_dir(workdir.path().join("data"))
        .expect("a folder")
        .count();
    assert_eq!(left, 1, "the mount point");
}

/// A folder that belongs to the user of the service, in which a command of root's is run.
#[test]
#[ignore = "needs root: tests_that_need_root runs it"]
fn root_leaves_nothing_that_locks_the_service_out_and_follows_no_link() {
    const NOBODY: u32 = 65534;
    use std::os::unix::fs::{MetadataExt as _, chown, symlink};
    let workdir = Workdir::new();
    fs::set_permissions(workdir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let roots = workdir.path().join("roots");
    fs::create_dir(&roots).expect("a folder");
    let folder = workdir.path().join("service");
    fs::create_dir(&folder).expect("a folder");
    chown(&folder, Some(NOBODY), Some(NOBODY)).expect("given");
    let owners = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("a folder");
        entries
            .map(|entry| {
                let entry = entry.expect("an entry");
                let owner = entry.metadata().expect("its owner").uid();
                (entry.file_name().to_string_lossy().into_owned(), owner)
            })
            .collect::<Vec<_>>()
    };
    workdir
        .run_with(
            &["inbox", "import", "-", "--inbox", "service/inbox.db"],
            b"",
            &[],
        )
        .ok();
    workdir
        .run(&words(
            "inbox backup service/backup.db --inbox service/inbox.db",
        ))
        .ok();
    workdir
        .run(&words(
            "inbox export --output service/export.jsonl --inbox service/inbox.db",
        ))
        .ok();
    let made = owners(&folder);
    for name in ["inbox.db", "inbox.db.lock", "backup.db", "export.jsonl"] {
        assert!(
            made.iter().any(|(made, _)| made == name),
            "{name}: {made:?}"
        );
    }
    assert!(made.iter().all(|(_, owner)| *owner == NOBODY), "{made:?}");

    fs::remove_file(folder.join("inbox.db.lock")).expect("removed");
    for name in [
        "inbox.db.lock",
        "inbox.db.secrets.json.lock",
        "inbox.db.rejected",
    ] {
        symlink(roots.join(name), folder.join(name)).expect("a link");
    }
    let ended = workdir.run(&words(
        "serve --listen 127.0.0.1:0 --admin off --inbox service/inbox.db",
    ));
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert_eq!(owners(&roots), []);
}

#[test]
fn tests_that_need_root() {
    use std::os::unix::fs::MetadataExt as _;
    let workdir = Workdir::new();
    // The tests stay listed as ignored where this is not so.
    if fs::metadata(workdir.path()).expect("a folder").uid() != 0 {
        return;
    }
    let mounts = Command::new("unshare").args(["-m", "true"]).status();
    let has_mounts = mounts.is_ok_and(|status| status.success());
    for (test, needs_mounts) in [
        ("inbox_copy_on_a_read_only_mount_is_readable", true),
        ("an_inbox_that_is_mounted_alone_is_refused", true),
        (
            "root_leaves_nothing_that_locks_the_service_out_and_follows_no_link",
            false,
        ),
    ] {
        if needs_mounts && !has_mounts {
            continue;
        }
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", &format!("moved::{test}"), "--ignored"])
            .output()
            .expect("this program runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{test}:\n{said}"
        );
    }
}
