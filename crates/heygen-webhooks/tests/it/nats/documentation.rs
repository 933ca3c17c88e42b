//! The commands of docs/scale-out.md work as they are printed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use super::{World, counts};
use crate::promises::{import, old};
use crate::support::Workdir;

const PAGE: &str = include_str!("../../../../../docs/scale-out.md");

/// The commands of every block that says it works as printed.
fn commands() -> Vec<&'static str> {
    let mut commands = Vec::new();
    let mut is_inside = false;
    for line in PAGE.lines().map(str::trim) {
        match line {
            "```console" => is_inside = true,
            "```" => is_inside = false,
            line if is_inside => commands.push(line),
            _ => {}
        }
    }
    commands
}

#[test]
fn every_key_of_the_file_for_streams_is_known() {
    let page = include_str!("../../../../../docs/operations.md");
    let (_, section) = page
        .split_once("## With an inbox on streams")
        .expect("the section");
    let (_, text) = section.split_once("```toml\n").expect("the file");
    let (text, _) = text.split_once("```").expect("its end");
    let (workdir, nowhere) = (Workdir::new(), "/etc/heygen-webhooks/nats-nkey");
    let missing = workdir.path().join("nkey").display().to_string();
    workdir.file("heygen-webhooks.toml", text.replace(nowhere, &missing));
    // It gets as far as the first file that is not there.
    let ended = workdir.run(&["work", "--admin", "off"]);
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    let expected = format!("cannot read the seed of an nkey from {missing}");
    ended.says(&expected);
}

#[test]
fn every_command_of_the_page_works_as_printed() {
    let (world, workdir) = (World::new(), Workdir::new());
    workdir.file("heygen-webhooks.toml", "inbox = \"lib/inbox.db\"\n");
    for folder in ["bin", "lib"] {
        fs::create_dir(workdir.path().join(folder)).expect("a folder");
    }
    let states = ["acknowledged", "acknowledged", "dead_lettered", "pending"];
    let past = states.iter().enumerate();
    import(
        &workdir,
        past.map(|(number, state)| old(&format!("v{number}"), state, 1, 10)),
    );
    // One receiver makes the streams, as the page says.
    world.receive(&[]);
    let commands: Vec<String> = commands()
        .into_iter()
        .map(|command| match command.strip_prefix("stream=") {
            Some(_) => format!("stream={}", world.address("HEYGEN")),
            None => command.replace("/var/lib/heygen-webhooks/", "lib/back-"),
        })
        .collect();
    assert!(commands.len() > 5, "{commands:?}");
    let binary = env!("CARGO_BIN_EXE_heygen-webhooks");
    let program = workdir.file(
        "bin/heygen-webhooks",
        format!("#!/bin/sh\nexec {binary} \"$@\"\n"),
    );
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("executable");
    let path = std::env::var("PATH").unwrap_or_default();
    let ended = Command::new("sh")
        .args(["-x", "-e", "-c", &commands.join("\n")])
        .current_dir(workdir.path())
        .env(
            "PATH",
            format!("{}:{path}", workdir.path().join("bin").display()),
        )
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&ended.stdout);
    let trace = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}\n{trace}");
    assert_eq!(counts(&world.workdir, &[]), [1, 0, 2, 1], "{said}\n{trace}");
    assert_eq!(
        counts(&workdir, &["--inbox", "lib/back-inbox.db"]),
        [1, 0, 2, 1]
    );
}
