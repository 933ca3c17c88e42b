//! `docs/json.md` names the keys that each command prints with `--json`: those, and no others.

use std::collections::BTreeSet;

use heygen_testkit::EventBuilder;
use heygen_testkit::sandbox::Sandbox;
use serde_json::Value;

use crate::support::{SECRET, Workdir, eventually};

/// The backticked words in the last cell of the command's row, and those of the row that it refers to.
fn documented(command: &str) -> BTreeSet<String> {
    let page = include_str!("../../../../docs/json.md");
    let row = page
        .lines()
        .find(|line| {
            let first = line.split('|').nth(1).unwrap_or_default();
            words(first).any(|word| word == command)
        })
        .unwrap_or_else(|| panic!("no row of {command}"));
    let keys = row.split('|').nth(3).expect("a cell");
    let mut found: BTreeSet<String> = words(keys).map(str::to_owned).collect();
    if let Some((_, other)) = keys.split_once("those of ") {
        let other = other.split([';', ',']).next().expect("a command");
        found.extend(documented(other));
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[track_caller]
fn check(command: &str, printed: &str) {
    let first = printed.lines().find(|line| line.starts_with('{'));
    let value: Value = match serde_json::from_str(printed) {
        Ok(value) => value,
        Err(_) => serde_json::from_str(first.unwrap_or_default())
            .unwrap_or_else(|error| panic!("{command}: {error}: {printed}")),
    };
    let object = match &value {
        Value::Array(list) => list.first().unwrap_or_else(|| panic!("{command}: empty")),
        object => object,
    };
    let keys = object.as_object().expect("an object").keys().cloned();
    assert_eq!(
        keys.collect::<BTreeSet<_>>(),
        documented(command),
        "{command}"
    );
}

#[test]
fn page_names_the_keys_of_every_command() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let heygen = runtime.block_on(Sandbox::builder().api_key("key").probe(false).start());
    let heygen = heygen.expect("a sandbox");
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--json"]);
    let environment = [
        ("HEYGEN_API_KEY", "key"),
        ("HEYGEN_WEBHOOKS_BASE_URL", heygen.url()),
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
    ];
    let run = |line: &str| {
        let arguments: Vec<_> = line.split(' ').collect();
        workdir.run_with(&arguments, b"{}", &environment).stdout
    };
    let check_all = |lines: &[(&str, &str)]| {
        for (command, arguments) in lines {
            let line = match command.strip_suffix(" --output") {
                Some(command) => format!("{command} --json --output {arguments}"),
                None => format!("{command} --json {arguments}"),
            };
            check(command, &run(line.trim_end()));
        }
    };
    let url = serve.url.as_str();

    let trigger = format!("moon.landed --to {url}");
    check_all(&[
        ("trigger", &trigger),
        ("drill", &format!("{url} --only probe")),
    ]);
    check("serve", &serve.line());
    run(&format!("trigger moon.landed --tamper --to {url}"));
    eventually(|| run("inbox rejected list").contains("matches-no-secret"));
    run("inbox rejected list");
    check_all(&[
        ("serve --check", "--listen 127.0.0.1:0 --admin off"),
        ("doctor", ""),
        ("inbox list", ""),
        ("inbox show", "last"),
        ("inbox attempts", "last"),
        ("inbox stats", ""),
        ("inbox drift", ""),
        ("inbox check", ""),
        ("inbox backup", "copy.db"),
        ("inbox import", "-"),
        ("inbox prune", "--older-than 1d"),
        ("inbox rejected list", ""),
        ("inbox rejected show", "last"),
        ("inbox rejected reverify", ""),
        ("inbox pause", ""),
        ("inbox resume", ""),
        ("inbox replay", "last --dry-run"),
        ("inbox dead-letter", "last --dry-run"),
        ("inbox delete", "last --dry-run"),
        ("inspect", ""),
        ("verify", "--signature abc"),
        ("config show", ""),
        ("secrets forward", "--create"),
        ("event-types", ""),
        ("backfill", "--dry-run"),
        ("endpoints create", "https://hooks.example/a"),
        ("endpoints list", ""),
    ]);

    let endpoints: Value = serde_json::from_str(&run("endpoints list --json")).expect("JSON");
    let id = endpoints[0]["endpoint_id"].as_str().expect("an id");
    heygen.send(EventBuilder::new("batch.finished"));
    check_all(&[
        ("events", ""),
        ("endpoints update", &format!("{id} --events all")),
        ("endpoints rotate-secret", id),
        ("endpoints delete", &format!("{id} --yes")),
    ]);

    let exported = run("inbox export");
    let exported: Value =
        serde_json::from_str(exported.lines().next().expect("a line")).expect("JSON");
    let keys = exported.as_object().expect("an object").keys();
    let known = documented("inbox export");
    // A body is text, or in base64.
    for key in keys {
        assert!(known.contains(key), "{key}: {exported}");
    }

    let sandbox = workdir.command(&["sandbox", "--json", "--listen", "127.0.0.1:0"]);
    let sandbox = workdir.begin(sandbox, &[]);
    check("sandbox", &sandbox.line());
}
