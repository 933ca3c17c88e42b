//! The inbox of a running `serve` is removed, renamed or replaced; a start that fails leaves
//! nothing behind; files that others can read, or that root makes.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::{Place, SECRET, Serve, eventually};

const INBOX: [&str; 3] = [
    "heygen-inbox.db",
    "heygen-inbox.db-wal",
    "heygen-inbox.db-shm",
];

/// The status of one request.
fn status(url: &str) -> u16 {
    let (address, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .expect("an address");
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).expect("a status");
    status.parse().expect("a number")
}

fn is_accepted(serve: &Serve, place: &Place, id: &str) -> bool {
    let id = format!("video_id={id}");
    let ended = serve.trigger(place, &["avatar_video.success", "--set", &id]);
    ended.status == 0
}

fn names(place: &Place) -> BTreeSet<String> {
    let entries = fs::read_dir(place.path()).expect("a folder");
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

fn list(place: &Place, inbox: &str, more: &[&str]) -> Vec<serde_json::Value> {
    let arguments = [&["inbox", "list", "--json", "--inbox", inbox], more].concat();
    let listed = place.run(&arguments).ok().json();
    listed.as_array().expect("an array").clone()
}

#[test]
fn a_removed_inbox_answers_503_and_is_rescued() {
    let place = Place::new();
    let serve = place.serve(&[]);
    let admin = serve.admin();
    let ready = format!("{admin}/readyz");
    assert!(is_accepted(&serve, &place, "a") && is_accepted(&serve, &place, "b"));
    assert_eq!(status(&ready), 200);
    for name in INBOX {
        fs::remove_file(place.path().join(name)).expect("removed");
    }
    assert!(!is_accepted(&serve, &place, "c"), "it is 503");
    eventually(|| status(&ready) == 503);
    let line = serve.log_line("was removed or renamed while it was open");
    assert!(line.contains("put back the file that was there"), "{line}");
    let line = serve.log_line("everything that was stored before is in");
    assert!(
        line.contains("heygen-inbox.db.rescued | heygen-webhooks inbox import - --trust"),
        "{line}"
    );
    assert!(!is_accepted(&serve, &place, "c"));
    assert_eq!(list(&place, "heygen-inbox.db.rescued", &[]).len(), 2);
    serve.signal("TERM");
    let (status, ..) = serve.wait();
    assert_eq!(status, 1, "not all is where it should be");
    assert!(!place.path().join("heygen-inbox.db").exists());

    let serve = place.serve_logging(&[]);
    let line = serve.log_line("deliveries of an inbox that was removed or replaced are in");
    assert!(line.contains("heygen-inbox.db.rescued"), "{line}");
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    let exported = place
        .run(&["inbox", "export", "--inbox", "heygen-inbox.db.rescued"])
        .ok();
    place
        .run_with(&["inbox", "import", "-"], &exported.raw, &[])
        .ok();
    assert_eq!(list(&place, "heygen-inbox.db", &[]).len(), 2);
}

#[test]
fn a_renamed_inbox_that_comes_back_goes_on_and_commands_make_no_other() {
    let place = Place::new();
    let serve = place.serve(&[]);
    assert!(is_accepted(&serve, &place, "a"));
    let (inbox, away) = (place.path().join(INBOX[0]), place.path().join("away.db"));
    fs::rename(&inbox, &away).expect("renamed");
    assert!(!is_accepted(&serve, &place, "b"));
    fs::rename(&away, &inbox).expect("renamed back");
    eventually(|| is_accepted(&serve, &place, "c"));
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    assert_eq!(list(&place, INBOX[0], &[]).len(), 2);
}

#[test]
fn two_names_of_one_inbox_are_not_served_twice() {
    let place = Place::new();
    let serve = place.serve(&[]);
    let inbox = place.path().join(INBOX[0]);
    fs::hard_link(&inbox, place.path().join("hard.db")).expect("a link");
    std::os::unix::fs::symlink(&inbox, place.path().join("soft.db")).expect("a link");
    for name in ["hard.db", "soft.db"] {
        let ended = place.run(&[
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
    assert!(is_accepted(&serve, &place, "a"));
}

/// Nothing new is in the folder after a start that fails.
#[track_caller]
fn check_failed_start(place: &Place, arguments: &[&str], environment: &[(&str, &str)]) {
    let before = names(place);
    let ended = place.run_with(arguments, b"", environment);
    assert_ne!(ended.status, 0, "{arguments:?}: {}", ended.stdout);
    assert_eq!(names(place), before, "{arguments:?}: {}", ended.stderr);
}

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    place.file("empty", "");
    place.file("text", "no token at all\n");
    place.file(
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
        &place,
        &["serve", "--listen", &taken, "--admin", "off"],
        &secret,
    );
    check_failed_start(
        &place,
        &["serve", "--sandbox", "--listen", &taken, "--admin", "off"],
        &secret,
    );
    check_failed_start(
        &place,
        &["serve", "--listen", "127.0.0.1:0", "--admin", &taken],
        &secret,
    );
    check_failed_start(&place, &["sandbox", "--listen", &taken], &[]);
    for more in [
        &["--secret-file", "none"][..],
        &["--secret-file", "empty"],
        &["--tls-cert", "none", "--tls-key", "none"],
        &["--tls-cert", "text", "--tls-key", "text"],
        &["--callback-token-file", "none"],
        &["--callback-token-file", "text"],
        &["--forward", "no address"],
        &[
            "--forward",
            "http://127.0.0.1:1/",
            "--forward-secret-file",
            "none",
        ],
        &["--forward", "http://127.0.0.1:1/", "--print"],
        &["--on", "nothing"],
        &["--public-url", "https://example.com/webhooks/heygen"],
        &["--inbox", "not-a-database"],
        &["--inbox", "none/inbox.db"],
    ] {
        check_failed_start(&place, &serve(more), &secret);
    }
    check_failed_start(
        &place,
        &serve(&["--public-url", "https://example.com/", "--events", " , "]),
        &key,
    );
    check_failed_start(&place, &["work", "--inbox", "inbox.db"], &secret);
    check_failed_start(&place, &["dev"], &secret);
    check_failed_start(&place, &["dev", "--interval", "0"], &key);
    check_failed_start(&place, &["dev", "--forward", "no address"], &key);
    check_failed_start(&place, &["dev", "--secret-file", "none"], &key);
    check_failed_start(&place, &["dev", "--inbox", "not-a-database"], &key);
}

#[test]
fn what_was_in_hand_when_the_process_was_killed_is_shown_as_interrupted() {
    let place = Place::new();
    let serve = place.serve(&["--exec", "sleep", "600"]);
    assert!(is_accepted(&serve, &place, "a"));
    let states = |more: &[&str]| {
        let listed = list(&place, INBOX[0], more);
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
    let id = list(&place, INBOX[0], &[])[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let attempts = place.run(&["inbox", "attempts", &id]).ok().stdout;
    assert!(
        attempts.contains("is interrupted: attempt 1 was not finished"),
        "{attempts}"
    );
    let shown = place.run(&["inbox", "show", &id, "--json"]).ok().json();
    assert_eq!(shown["state"], "interrupted");
    let stats = place.run(&["inbox", "stats", "--json"]).ok().json();
    assert_eq!(
        (&stats["states"]["interrupted"], &stats["states"]["claimed"]),
        (&1.into(), &0.into())
    );
    let text = place.run(&["inbox", "stats"]).ok().stdout;
    assert!(text.contains("interrupted"), "{text}");
    let serve = place.serve(&[]);
    eventually(|| states(&[]) == ["acknowledged"]);
    drop(serve);
}

#[test]
fn an_inbox_that_others_can_read_is_told() {
    let place = Place::new();
    let serve = place.serve(&[]);
    serve.signal("TERM");
    serve.wait();
    let open = |name: &str| {
        let path = place.path().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("ours");
    };
    open(INBOX[0]);
    place.file("heygen-inbox.db.secrets.json", r#"{"secrets":[]}"#);
    open("heygen-inbox.db.secrets.json");
    let serve = place.serve_logging(&[]);
    for name in [
        "heygen-inbox.db",
        "heygen-inbox.db-wal",
        "heygen-inbox.db.secrets.json",
    ] {
        let line = serve.log_line(&format!("{name}: chmod 600"));
        assert!(line.contains("WARN"), "{line}");
    }
    let doctor = place.run(&["doctor", "--json", "--no-sample"]).json();
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
fn in_namespace(place: &Place, script: &str) -> (bool, String) {
    let output = Command::new("unshare")
        .args(["-m", "sh", "-ec", script])
        .current_dir(place.path())
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
fn a_plain_copy_on_a_read_only_mount_is_read() {
    let place = Place::new();
    let serve = place.serve(&[]);
    assert!(is_accepted(&serve, &place, "a"));
    fs::create_dir(place.path().join("log")).expect("a folder");
    for name in &INBOX[..2] {
        fs::copy(place.path().join(name), place.path().join("log").join(name)).expect("a copy");
    }
    serve.signal("TERM");
    serve.wait();
    fs::create_dir(place.path().join("plain")).expect("a folder");
    fs::copy(
        place.path().join(INBOX[0]),
        place.path().join("plain").join(INBOX[0]),
    )
    .expect("a copy");
    let mount = "mount --bind plain plain; mount -o remount,bind,ro plain; mount --bind log log; mount -o remount,bind,ro log;";
    let (is_well, said) = in_namespace(
        &place,
        &format!(
            "{mount} $BIN inbox list --inbox plain/heygen-inbox.db --json; $BIN inbox check --inbox plain/heygen-inbox.db"
        ),
    );
    assert!(
        is_well && said.contains("avatar_video.success") && said.contains("is sound"),
        "{said}"
    );
    let (is_well, said) = in_namespace(
        &place,
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
    let place = Place::new();
    let serve = place.serve(&[]);
    serve.signal("TERM");
    serve.wait();
    fs::create_dir(place.path().join("data")).expect("a folder");
    let script = "touch data/inbox.db; mount --bind heygen-inbox.db data/inbox.db; \
                  $BIN serve --listen 127.0.0.1:0 --admin off --inbox data/inbox.db";
    let (is_well, said) = in_namespace(&place, script);
    assert!(
        !is_well
            && said.contains("is mounted as a single file")
            && said.contains("mount its folder instead"),
        "{said}"
    );
    let left = fs::read_dir(place.path().join("data"))
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
    let place = Place::new();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let roots = place.path().join("roots");
    fs::create_dir(&roots).expect("a folder");
    let folder = place.path().join("service");
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
    place
        .run_with(
            &["inbox", "import", "-", "--inbox", "service/inbox.db"],
            b"",
            &[],
        )
        .ok();
    place
        .run(&[
            "inbox",
            "backup",
            "service/backup.db",
            "--inbox",
            "service/inbox.db",
        ])
        .ok();
    place
        .run(&[
            "inbox",
            "export",
            "--output",
            "service/export.jsonl",
            "--inbox",
            "service/inbox.db",
        ])
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
    let ended = place.run(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "off",
        "--inbox",
        "service/inbox.db",
    ]);
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert_eq!(owners(&roots), []);
}

#[test]
fn tests_that_need_root() {
    use std::os::unix::fs::MetadataExt as _;
    let place = Place::new();
    // The tests stay listed as ignored where this is not so.
    if fs::metadata(place.path()).expect("a folder").uid() != 0 {
        return;
    }
    let mounts = Command::new("unshare").args(["-m", "true"]).status();
    let has_mounts = mounts.is_ok_and(|status| status.success());
    for (test, needs_mounts) in [
        ("a_plain_copy_on_a_read_only_mount_is_read", true),
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
