//! `config show`: the settings in effect, and where each comes from.

use serde_json::{Value, json};

use crate::support::Workdir;

/// What is said of one setting.
#[track_caller]
fn setting(
    workdir: &Workdir,
    arguments: &[&str],
    environment: &[(&str, &str)],
    name: &str,
) -> Value {
    let show = [&["config", "show", "--json"], arguments].concat();
    let settings = workdir.run_with(&show, b"", environment).ok().json();
    let settings = settings.as_array().expect("an array");
    let found = settings.iter().find(|setting| setting["name"] == name);
    found.expect("it is listed").clone()
}

#[test]
fn every_setting_says_where_it_comes_from() {
    let workdir = Workdir::new();
    workdir.file(
        "heygen-webhooks.toml",
        "path = \"/file\"\nmax-body-bytes = 10\nkeep = \"30d\"\njson = true\nordered = true\n",
    );
    #[track_caller]
    fn check(
        workdir: &Workdir,
        arguments: &[&str],
        environment: &[(&str, &str)],
        name: &str,
        expected: (Value, &str, Value),
    ) {
        let found = setting(workdir, arguments, environment, name);
        let (value, source, at) = expected;
        assert_eq!(found["value"], value, "{found}");
        assert_eq!(found["source"], source, "{found}");
        assert_eq!(found["origin"], at, "{found}");
    }
    let variable = [
        ("HEYGEN_WEBHOOKS_PATH", "/variable"),
        ("HEYGEN_WEBHOOKS_INBOX", "variable.db"),
        ("HEYGEN_WEBHOOKS_REQUIRE_SYNC", "yes"),
        ("HEYGEN_WEBHOOKS_SECRET_FILE", "a,b"),
    ];
    let file = json!("heygen-webhooks.toml");
    check(
        &workdir,
        &[],
        &[],
        "path",
        (json!("/file"), "file", file.clone()),
    );
    check(
        &workdir,
        &[],
        &variable,
        "path",
        (json!("/variable"), "variable", json!(variable[0].0)),
    );
    check(
        &workdir,
        &["--path", "/flag"],
        &variable,
        "path",
        (json!("/flag"), "flag", json!("--path")),
    );
    check(
        &workdir,
        &[],
        &[],
        "listen",
        (json!("127.0.0.1:8080"), "default", Value::Null),
    );
    check(
        &workdir,
        &[],
        &[],
        "max-body-bytes",
        (json!(10), "file", file.clone()),
    );
    check(
        &workdir,
        &["--max-body-bytes", "20"],
        &[],
        "max-body-bytes",
        (json!(20), "flag", json!("--max-body-bytes")),
    );
    check(
        &workdir,
        &[],
        &[],
        "keep",
        (json!("30d"), "file", file.clone()),
    );
    check(
        &workdir,
        &[],
        &[],
        "keep-bytes",
        (Value::Null, "default", Value::Null),
    );
    check(
        &workdir,
        &[],
        &[],
        "ordered",
        (json!(true), "file", file.clone()),
    );
    check(
        &workdir,
        &[],
        &[],
        "json",
        (json!(true), "file", file.clone()),
    );
    check(
        &workdir,
        &[],
        &variable,
        "require-sync",
        (json!(true), "variable", json!(variable[2].0)),
    );
    check(
        &workdir,
        &[],
        &variable,
        "secret-file",
        (json!(["a", "b"]), "variable", json!(variable[3].0)),
    );
    check(
        &workdir,
        &[],
        &[],
        "inbox",
        (json!("./heygen-inbox.db"), "default", Value::Null),
    );
    check(
        &workdir,
        &[],
        &variable,
        "inbox",
        (json!("variable.db"), "variable", json!(variable[1].0)),
    );
    check(
        &workdir,
        &["--inbox", "x.db"],
        &variable,
        "inbox",
        (json!("x.db"), "flag", json!("--inbox")),
    );
    check(
        &workdir,
        &["--sandbox"],
        &variable,
        "inbox",
        (json!("./heygen-sandbox.db"), "default", Value::Null),
    );
    check(
        &workdir,
        &["--sandbox"],
        &[],
        "sandbox",
        (json!(true), "flag", json!("--sandbox")),
    );

    let text = workdir
        .run_with(&["config", "show"], b"", &variable)
        .ok()
        .stdout;
    let line = |name: &str| text.lines().find(|line| line.starts_with(name));
    let line = |name| {
        line(name)
            .expect("a line")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("path "), "path /variable HEYGEN_WEBHOOKS_PATH");
    assert_eq!(line("keep "), "keep 30d `keep` in heygen-webhooks.toml");
    assert_eq!(line("keep-bytes"), "keep-bytes no limit default");
}

#[test]
fn flag_overrides_conflicting_keys_of_the_file() {
    let workdir = Workdir::new();
    workdir.file(
        "heygen-webhooks.toml",
        "forward = \"http://127.0.0.1:1/\"\njson = true\n",
    );
    let forward = setting(&workdir, &["--exec", "/bin/cat"], &[], "forward");
    assert_eq!(forward["value"], Value::Null, "{forward}");
    let forward = setting(&workdir, &["--print"], &[], "forward");
    assert_eq!(forward["value"], Value::Null, "{forward}");
    let forward = setting(&workdir, &[], &[], "forward");
    assert_eq!(forward["value"], "http://127.0.0.1:1/", "{forward}");
}

#[test]
fn secrets_are_hidden() {
    let workdir = Workdir::new();
    workdir.file(
        "heygen-webhooks.toml",
        "forward = \"http://user:hidden@a.example/x?hidden=1\"\nbase-url = \"http://user:hidden@b.example\"\n\
         [[on]]\nevent = \"*\"\nexec = [\"/bin/cat\", \"hidden\"]\n\
         [[on]]\nevent = \"a\"\nforward = \"http://a.example/?hidden\"\n",
    );
    let environment = [
        ("HEYGEN_WEBHOOK_SECRET", "whsec_hidden"),
        ("HEYGEN_API_KEY", "hidden"),
        (
            "HEYGEN_WEBHOOKS_INBOX",
            "nats://user:hidden@127.0.0.1:4222/X",
        ),
    ];
    for arguments in [&[][..], &["--json"], &["--on", "*=exec:/bin/cat hidden"]] {
        let show = [&["config", "show"], arguments].concat();
        let shown = workdir.run_with(&show, b"", &environment).ok().stdout;
        let shown = shown.replace("(hidden)", "");
        assert!(!shown.contains("hidden"), "{shown}");
        assert!(shown.contains("HEYGEN_API_KEY"), "{shown}");
    }
    let exec = ["config", "show", "--exec", "/bin/cat", "hidden"];
    let shown = workdir.run_with(&exec, b"", &[]).ok().stdout;
    assert!(
        shown.contains("/bin/cat") && !shown.contains("hidden"),
        "{shown}"
    );
}

#[test]
fn unreadable_secret_file_is_reported() {
    let workdir = Workdir::new();
    workdir.file("typo.toml", "lisen = \"x\"\n");
    let ended = workdir.run_with(&["config", "show", "--config", "typo.toml"], b"", &[]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("did you mean `listen`?"),
        "{}",
        ended.stderr
    );
}
