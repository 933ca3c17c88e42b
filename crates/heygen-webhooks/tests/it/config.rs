//! Flag before environment before file before default.

use crate::support::{Place, SECRET};

#[test]
fn the_nearest_setting_wins() {
    let place = Place::new();
    place.file(
        "heygen-webhooks.toml",
        "path = \"/from-file\"\ninbox = \"from-file.db\"\nmax-body-bytes = 10\n",
    );
    let file = place.serve(&[]);
    assert!(file.url.ends_with("/from-file"), "{}", file.url);
    assert!(place.path().join("from-file.db").exists());
    let refused = file.trigger(&place, &["avatar_video.fail", "--json"]);
    assert_eq!(refused.json()["status"], 413);
    drop(file);

    let environment = [
        ("HEYGEN_WEBHOOKS_PATH", "/from-environment"),
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
    ];
    let from_environment = place.serve_with(&[], &environment);
    assert!(
        from_environment.url.ends_with("/from-environment"),
        "{}",
        from_environment.url
    );
    drop(from_environment);

    let flag = place.serve_with(&["--path", "/from-flag"], &environment);
    assert!(flag.url.ends_with("/from-flag"), "{}", flag.url);
}

#[test]
fn mistakes_are_told() {
    let place = Place::new();
    #[track_caller]
    fn check(place: &Place, arguments: &[&str], status: i32, message: &str) {
        let ended = place.run(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
        assert_eq!(ended.status, status, "{}", ended.stderr);
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
    place.file("typo.toml", "lisen = \"127.0.0.1:0\"\n");
    place.file("empty-secret", "\n");
    place.file(
        "letter.db",
        "a letter to a friend, longer than the header that SQLite would look for",
    );
    check(&place, &["--config", "typo.toml"], 2, "lisen");
    check(&place, &["--config", "none.toml"], 1, "none.toml");
    check(&place, &["--path", "webhooks"], 2, "must begin with `/`");
    check(
        &place,
        &["--secret-file", "none"],
        1,
        "cannot read secret file none",
    );
    check(&place, &["--secret-file", "empty-secret"], 1, "is empty");
    check(&place, &["--inbox", "letter.db"], 1, "letter.db");
    check(&place, &["--log", "=:"], 2, "is not a log filter");
}
