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
    let variable = [
        ("HEYGEN_WEBHOOKS_PATH", "/variable"),
        ("HEYGEN_WEBHOOKS_INBOX", "variable.db"),
        ("HEYGEN_WEBHOOKS_REQUIRE_SYNC", "yes"),
        ("HEYGEN_WEBHOOKS_SECRET_FILE", "a,b"),
    ];
    // Name, value, source and origin.
    let cases = [
        (
            &[][..],
            &[][..],
            &[
                r#"["path", "/file", "file", "heygen-webhooks.toml"]"#,
                r#"["listen", "127.0.0.1:8080", "default", null]"#,
                r#"["max-body-bytes", 10, "file", "heygen-webhooks.toml"]"#,
                r#"["keep", "30d", "file", "heygen-webhooks.toml"]"#,
                r#"["keep-bytes", null, "default", null]"#,
                r#"["ordered", true, "file", "heygen-webhooks.toml"]"#,
                r#"["json", true, "file", "heygen-webhooks.toml"]"#,
                r#"["inbox", "./heygen-inbox.db", "default", null]"#,
            ][..],
        ),
        (
            &[],
            &variable,
            &[
                r#"["path", "/variable", "variable", "HEYGEN_WEBHOOKS_PATH"]"#,
                r#"["inbox", "variable.db", "variable", "HEYGEN_WEBHOOKS_INBOX"]"#,
                r#"["require-sync", true, "variable", "HEYGEN_WEBHOOKS_REQUIRE_SYNC"]"#,
                r#"["secret-file", ["a", "b"], "variable", "HEYGEN_WEBHOOKS_SECRET_FILE"]"#,
            ],
        ),
        (
            &["--path", "/flag", "--inbox", "x.db", "--max-body-bytes=20"],
            &variable,
            &[
                r#"["path", "/flag", "flag", "--path"]"#,
                r#"["inbox", "x.db", "flag", "--inbox"]"#,
                r#"["max-body-bytes", 20, "flag", "--max-body-bytes"]"#,
            ],
        ),
        (
            &["--sandbox"],
            &variable,
            &[
                r#"["inbox", "./heygen-sandbox.db", "default", null]"#,
                r#"["sandbox", true, "flag", "--sandbox"]"#,
            ],
        ),
    ];
    for (arguments, environment, expected) in cases {
        for expected in expected {
            let expected: Value = serde_json::from_str(expected).expect("JSON");
            let name = expected[0].as_str().expect("a name");
            let found = setting(&workdir, arguments, environment, name);
            let found = json!([name, found["value"], found["source"], found["origin"]]);
            assert_eq!(found, expected, "{arguments:?}");
        }
    }

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
    ended.fails(2, "did you mean `listen`?");
}
