//! The commands of docs/operations.md work as they are printed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use heygen_testkit::EventBuilder;

use crate::endpoint;
use crate::support::{Workdir, sandbox};

const PAGE: &str = include_str!("../../../../docs/operations.md");

/// The commands of every block that says it works as printed.
fn commands() -> Vec<String> {
    let mut commands = Vec::new();
    let mut is_inside = false;
    for line in PAGE.lines() {
        match line {
            "```console" => is_inside = true,
            "```" => is_inside = false,
            line if is_inside => commands.push(line.to_owned()),
            _ => {}
        }
    }
    commands
}

/// The files of the page, in this workdir: its configuration, with free ports and the sandbox for HeyGen.
fn configuration(workdir: &Workdir, api: &str) -> String {
    let start = PAGE.find("```toml\n").expect("the configuration") + "```toml\n".len();
    let text = &PAGE[start..];
    let text = &text[..text.find("```").expect("its end")];
    let text = text
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:9180", "127.0.0.1:0")
        .replace("127.0.0.1:3000", "127.0.0.1:1");
    let text = in_place(&text, workdir.path());
    format!("{text}base-url = \"{api}\"\nlog-format = \"json\"\n")
}

fn in_place(text: &str, folder: &Path) -> String {
    let folder = folder.display();
    text.replace("/var/lib/heygen-webhooks", &format!("{folder}/lib"))
        .replace("/etc/heygen-webhooks", &format!("{folder}/etc"))
}

/// What systemd would do with the unit, in a few lines of shell.
const SYSTEMCTL: &str = r#"#!/bin/sh
set -e
cd "$STATE"
case "$1 $2" in
"start heygen-webhooks")
    heygen-webhooks serve --config "$HEYGEN_WEBHOOKS_CONFIG" >out 2>log &
    echo $! >pid
    until grep -q '"url"' log; do kill -0 "$(cat pid)"; sleep 0.05; done
    sed -n 's/.*"url":"\([^"]*\)".*/\1/p' log | head -n 1 >url ;;
"stop heygen-webhooks")
    kill -TERM "$(cat pid)"
    while kill -0 "$(cat pid)" 2>/dev/null; do sleep 0.05; done ;;
"reload heygen-webhooks") kill -HUP "$(cat pid)" ;;
*) exit 64 ;;
esac
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_page_works_as_printed() {
    let heygen = sandbox("key").await;
    let workdir = Workdir::new();
    for folder in ["bin", "lib", "etc", "state"] {
        fs::create_dir(workdir.path().join(folder)).expect("a folder");
    }
    let executable = |name: &str, text: &str| {
        let path = workdir.file(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    };
    executable("bin/systemctl", SYSTEMCTL);
    let binary = env!("CARGO_BIN_EXE_heygen-webhooks");
    // The address that the page leaves to the default.
    executable(
        "bin/heygen-webhooks",
        &format!(
            "#!/bin/sh\nif test -e \"$STATE/url\"; then HEYGEN_WEBHOOKS_TO=$(cat \"$STATE/url\"); export HEYGEN_WEBHOOKS_TO; fi\n\
             exec {binary} \"$@\"\n"
        ),
    );
    workdir.file(
        "etc/heygen-webhooks.toml",
        configuration(&workdir, heygen.url()),
    );
    let secret = workdir.file("etc/secret", "whsec_of_the_page\n");
    fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).expect("its owner's alone");
    // An endpoint that somebody registered, and an event that was delivered elsewhere.
    let elsewhere = endpoint::start(|_| 200);
    heygen.register(&elsewhere).await.expect("an endpoint");
    heygen.send(EventBuilder::new("avatar_video.success"));
    heygen.settled().await;

    let mut script = String::from("set -e\n");
    for command in commands() {
        script.push_str(&in_place(&command, workdir.path()));
        script.push('\n');
    }
    script.push_str("systemctl stop heygen-webhooks\n");
    let path = format!(
        "{}:{}",
        workdir.path().join("bin").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let folder = workdir.path().to_owned();
    let run = tokio::task::spawn_blocking(move || {
        Command::new("sh")
            .args(["-x", "-c", &script])
            .current_dir(&folder)
            .env("PATH", path)
            .env("STATE", folder.join("state"))
            .env("HEYGEN_API_KEY", "key")
            .stdin(Stdio::null())
            .output()
            .expect("a shell")
    });
    let ended = run.await.expect("no panic");
    let said = String::from_utf8_lossy(&ended.stdout);
    let trace = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}\n{trace}");
    // What was there before the backup is there after the restore, and the event of the log was taken in.
    for expected in ["avatar_video.fail", "avatar_video.success", "backfill  1"] {
        assert!(said.contains(expected), "{expected}:\n{said}\n{trace}");
    }
}
