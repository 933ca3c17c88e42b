//! Variables of the environment and keys of the configuration file: empty, mistyped, and switches.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{SECRET, Workdir, with_free_ports, words};

/// The variables that the helps of all commands tell.
fn variables(workdir: &Workdir) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut commands: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(command) = commands.pop() {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = workdir.run_with(&arguments, b"", &[]).ok().stdout;
        for part in help.split("[env: ").skip(1) {
            let name = part.split(['=', ']']).next().expect("a name");
            found.insert(name.to_owned());
        }
        // The commands stand in groups at the top, and in one list below: a name, and what it is for, two spaces away, which lines
        // of a shell in the examples have not.
        let is_name = |line: &str| {
            line.starts_with(|letter: char| letter.is_ascii_lowercase()) && line.contains("  ")
        };
        let lists = help.split("\n\n").filter(|part| {
            let (heading, names) = part.split_once('\n').unwrap_or_default();
            heading.ends_with(':')
                && names
                    .lines()
                    .all(|line| line.strip_prefix("  ").is_some_and(is_name))
        });
        for line in lists.flat_map(|list| list.lines().skip(1)) {
            let name = line.split_whitespace().next().unwrap_or_default();
            if name != "help" && name != "heygen-webhooks" {
                let mut command = command.clone();
                command.push(name.to_owned());
                commands.push(command);
            }
        }
        if command.is_empty() {
            commands.push(vec!["nats".to_owned()]);
        }
    }
    found.insert("HEYGEN_API_KEY".to_owned());
    found.insert("HEYGEN_OAUTH_TOKEN".to_owned());
    found.insert("HEYGEN_WEBHOOKS_SANDBOX_KEY".to_owned());
    found.insert("HEYGEN_WEBHOOK_SECRET".to_owned());
    found
}

#[test]
fn an_empty_variable_is_not_set() {
    let workdir = Workdir::new();
    let variables = variables(&workdir);
    assert!(variables.len() > 45, "{variables:?}");
    for empty in ["", " "] {
        let mut environment: Vec<(&str, &str)> = variables
            .iter()
            .map(|name| (name.as_str(), empty))
            .collect();
        let list = workdir.run_with(&["inbox", "check"], b"", &environment);
        assert_ne!(list.status, 2, "{}", list.stderr);
        let quiet: [&[&str]; 6] = [
            &["inbox", "rejected", "list"],
            &["inbox", "export"],
            &words("drill http://127.0.0.1:1/ --without-secret --only probe"),
            &["doctor", "--no-sample"],
            &words("trigger batch.finished --unsigned --to http://127.0.0.1:1/"),
            &["schema", "--list"],
        ];
        for command in quiet {
            let ended = workdir.run_with(command, b"", &environment);
            assert_ne!(ended.status, 2, "{command:?}: {}", ended.stderr);
        }
        for command in [
            &["dev"][..],
            &["work"],
            &["events"],
            &["backfill"],
            &["endpoints", "list"],
        ] {
            let ended = workdir.run_with(command, b"", &environment);
            let is_of_parser = ended.stderr.contains("invalid value")
                || ended.stderr.contains("a value is required");
            assert!(!is_of_parser, "{command:?}: {}", ended.stderr);
        }
        environment.retain(|(name, _)| *name != "HEYGEN_WEBHOOK_SECRET");
        environment.push(("HEYGEN_WEBHOOK_SECRET", SECRET));
        let serve = workdir.serve_with(&["--inbox", "serve.db"], &environment);
        serve.trigger(&workdir, &["batch.finished"]).ok();
    }
}

#[test]
fn a_mistyped_variable_is_named() {
    let workdir = Workdir::new();
    let environment = [
        ("HEYGEN_WEBHOOKS_ORDERED", "true"),
        ("HEYGEN_WEBHOOKS_LISEN", "127.0.0.1:1"),
        ("HEYGEN_APIKEY", "key-of-the-tests"),
        ("HEYGEN_AVATAR", "of somebody else"),
        (
            "HEYGEN_EVENT_TYPE",
            "of a program that was started for an event",
        ),
    ];
    let ended = workdir
        .run_with(&["schema", "--list"], b"", &environment)
        .ok();
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ended.stderr);
    assert!(lines.iter().all(|line| line.starts_with("warning: ")));
    for expected in [
        "unknown variable HEYGEN_WEBHOOKS_ORDERED",
        "did you mean HEYGEN_WEBHOOKS_LISTEN?",
        "did you mean HEYGEN_API_KEY?",
    ] {
        ended.says(expected);
    }
    assert!(
        !ended.stderr.contains("key-of-the-tests"),
        "{}",
        ended.stderr
    );

    let mut command = workdir.command(&with_free_ports(&[]));
    command.envs(environment);
    let serve = workdir.begin(command, &[("HEYGEN_WEBHOOK_SECRET", SECRET)]);
    let line: Value =
        serde_json::from_str(&serve.log_line("HEYGEN_WEBHOOKS_ORDERED")).expect("JSON");
    assert_eq!(line["level"], "WARN");
}

#[test]
fn a_switch_in_a_variable_takes_yes_and_no() {
    let workdir = Workdir::new();
    let check = |value: &str| {
        let environment = [("HEYGEN_WEBHOOKS_REQUIRE_SYNC", value)];
        workdir.run_with(&["work"], b"", &environment).stderr
    };
    for value in ["true", "false", "1", "0", "yes", "no", "Yes"] {
        let stderr = check(value);
        assert!(stderr.contains("needs a shared inbox"), "{value}: {stderr}");
    }
    let stderr = check("perhaps");
    assert!(stderr.contains("HEYGEN_WEBHOOKS_REQUIRE_SYNC"), "{stderr}");
    assert!(stderr.contains("perhaps"), "{stderr}");
}

#[test]
fn a_mistyped_key_of_the_file_is_named() {
    let workdir = Workdir::new();
    workdir.file(
        "heygen-webhooks.toml",
        "\u{feff}path = \"/h\"\nforwad = \"http://localhost:1/x\"\n",
    );
    let ended = workdir.run(&["serve"]);
    ended.fails(2, "line 2: unknown key `forwad`: did you mean `forward`?");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    workdir.file("rule.toml", "[[on]]\nevnt = \"*\"\nprint = true\n");
    workdir
        .run(&["serve", "--config", "rule.toml"])
        .fails(2, "did you mean `event`?");
    for (key, meant) in [("secret", "secret-file"), ("port", "listen")] {
        workdir.file("other.toml", format!("{key} = \"a\"\n"));
        let ended = workdir.run(&["serve", "--config", "other.toml"]);
        ended.fails(2, &format!("unknown key `{key}`: did you mean `{meant}`?"));
    }
    workdir.file("wide.toml", "colour = true\n");
    workdir
        .run(&["inbox", "list", "--config", "wide.toml"])
        .fails(2, "unknown key `colour`");
    let utf16: Vec<u8> = "path = \"/h\""
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    workdir.file("utf16.toml", utf16);
    workdir
        .run(&["serve", "--config", "utf16.toml"])
        .fails(1, "UTF-16");
}
