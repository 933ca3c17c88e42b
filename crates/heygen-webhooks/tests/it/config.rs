//! Flag before environment before file before default.

use crate::support::{SECRET, Workdir};

#[test]
fn the_nearest_setting_wins() {
    let workdir = Workdir::new();
    workdir.file(
        "heygen-webhooks.toml",
        "path = \"/from-file\"\ninbox = \"from-file.db\"\nmax-body-bytes = 10\n",
    );
    let file = workdir.serve(&[]);
    assert!(file.url.ends_with("/from-file"), "{}", file.url);
    assert!(workdir.path().join("from-file.db").exists());
    let refused = file.trigger(&workdir, &["avatar_video.fail", "--json"]);
    assert_eq!(refused.json()["status"], 413);
    drop(file);

    let environment = [
        ("HEYGEN_WEBHOOKS_PATH", "/from-environment"),
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
    ];
    let from_environment = workdir.serve_with(&[], &environment);
    assert!(
        from_environment.url.ends_with("/from-environment"),
        "{}",
        from_environment.url
    );
    drop(from_environment);

    let flag = workdir.serve_with(&["--path", "/from-flag"], &environment);
    assert!(flag.url.ends_with("/from-flag"), "{}", flag.url);
}

#[test]
fn mistakes_are_told() {
    let workdir = Workdir::new();
    #[track_caller]
    fn check(workdir: &Workdir, arguments: &[&str], status: i32, message: &str) {
        let ended = workdir.run(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
        assert_eq!(ended.status, status, "{}", ended.stderr);
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
    workdir.file("typo.toml", "lisen = \"127.0.0.1:0\"\n");
    workdir.file("empty-secret", "\n");
    workdir.file(
        "letter.db",
        "a letter to a friend, longer than the header that SQLite would look for",
    );
    check(&workdir, &["--config", "typo.toml"], 2, "lisen");
    check(&workdir, &["--config", "none.toml"], 1, "none.toml");
    check(&workdir, &["--path", "webhooks"], 2, "must begin with `/`");
    check(&workdir, &["--path", "/hooks?of=heygen"], 2, "no `?`");
    check(&workdir, &["--path", "/café"], 2, "/caf%C3%A9");
    for option in [
        "--max-body-bytes",
        "--max-connections",
        "--header-timeout",
        "--body-timeout",
    ] {
        check(&workdir, &[option, "0"], 2, "would reject every delivery");
    }
    check(
        &workdir,
        &["--secret-file", "none"],
        1,
        "cannot read secret file none",
    );
    check(&workdir, &["--secret-file", "empty-secret"], 1, "is empty");
    check(&workdir, &["--inbox", "letter.db"], 1, "letter.db");
    check(&workdir, &["--log", "=:"], 2, "is not a log filter");
}
