//! `completions`: its scripts in the shells themselves.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use heygen_events::EventType;

use crate::inbox::history::{delivery, import};
use crate::support::{Ended, Workdir};

/// Prints what bash offers for the last of its arguments.
const BASH: &str = r#"
source <(heygen-webhooks completions bash)
function=$(complete -p heygen-webhooks | sed 's/.*-F \([^ ]*\) .*/\1/')
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
"$function" heygen-webhooks "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// Types the arguments and a tab into a zsh of its own, and prints what comes until the last word is there.
/// The script is loaded as a package installs it: when the command is first completed.
const ZSH: &str = r#"
zmodload zsh/zpty
mkdir -p functions
heygen-webhooks completions zsh > functions/_heygen-webhooks
zpty z 'TERM=dumb zsh -f -i'
zpty -w z 'PS1= RPS1= LISTMAX=10000 fpath=($PWD/functions $fpath)'
zpty -w z 'unsetopt zle_bracketed_paste 2>/dev/null; stty columns 1000 rows 1000'
zpty -w z 'autoload -Uz compinit && compinit -D -u && print ready_$((1 + 1))'
zpty -r z seen '*ready_2*'
zpty -w -n z "$1"$'\t\t'
for word in "${@:2}"; do
    zpty -r z seen "*$word*"
    print -r -- "$word"
done
"#;

/// Prints what fish offers for its argument.
const FISH: &str = r"
heygen-webhooks completions fish | source
complete --do-complete $argv[1]
";

/// Runs a shell in which the program is found. It fails where the shell is missing: `cargo xtask setup` installs it.
fn shell(workdir: &Workdir, name: &str, arguments: &[&str]) -> Ended {
    let program = Path::new(env!("CARGO_BIN_EXE_heygen-webhooks"));
    let folder = program.parent().expect("a folder").to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([folder].into_iter().chain(env::split_paths(&path)));
    let output = Command::new("timeout")
        .args(["60", name])
        .args(arguments)
        .current_dir(workdir.path())
        .env("PATH", path.expect("folders"))
        .env("HOME", workdir.path())
        .stdin(Stdio::null())
        .output();
    let output = output.expect("timeout, of coreutils");
    assert_ne!(
        output.status.code(),
        Some(127),
        "{name} is missing: `cargo xtask setup` installs it"
    );
    Ended::of(output)
}

/// In each shell the line, whose last word is not finished, is completed to each of these words, and not to the others.
#[track_caller]
fn check(workdir: &Workdir, line: &str, expected: &[&str], unexpected: &[&str]) {
    let words: Vec<_> = line.split(' ').collect();
    let bash = [&["--norc", "--noprofile", "-c", BASH, "bash"], &words[..]].concat();
    let bash = shell(workdir, "bash", &bash);
    let fish = shell(workdir, "fish", &["--no-config", "-c", FISH, line]);
    let in_fish = fish
        .stdout
        .lines()
        .map(|it| it.split('\t').next().unwrap_or_default());
    let in_fish: Vec<_> = in_fish.collect();
    let in_bash: Vec<_> = bash.stdout.split_whitespace().collect();
    for word in expected {
        assert!(
            in_bash.contains(word),
            "bash, {line}: {word}: {}{}",
            bash.stdout,
            bash.stderr
        );
        assert!(
            in_fish.contains(word),
            "fish, {line}: {word}: {}{}",
            fish.stdout,
            fish.stderr
        );
    }
    for word in unexpected {
        assert!(
            !in_bash.contains(word),
            "bash, {line}: {word}: {}",
            bash.stdout
        );
        assert!(
            !in_fish.contains(word),
            "fish, {line}: {word}: {}",
            fish.stdout
        );
    }
    // One after the other, in any order: each is searched for in what is yet to come.
    for word in expected {
        let zsh = shell(workdir, "zsh", &["-f", "-c", ZSH, "zsh", line, word]);
        assert_eq!(zsh.stdout.trim(), *word, "zsh, {line}: {}", zsh.stderr);
    }
}

#[test]
fn commands_options_and_values_are_completed() {
    let workdir = Workdir::new();
    check(
        &workdir,
        "heygen-webhooks inbox re",
        &["replay", "rejected"],
        &["list", "serve"],
    );
    check(
        &workdir,
        "heygen-webhooks inbox list --state ",
        &["pending", "acknowledged", "dead_lettered"],
        &["--json"],
    );
    check(
        &workdir,
        "heygen-webhooks trigger avatar_v",
        &["avatar_video.success", "avatar_video.fail"],
        &["video_agent.success"],
    );
    check(
        &workdir,
        "heygen-webhooks endpoints rotate-secret --ap",
        &["--apply"],
        &["--json"],
    );
}

#[test]
fn ids_are_completed_from_the_inbox_that_the_line_names() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--inbox", "elsewhere.db"]);
    serve.trigger(&workdir, &["avatar_video.fail"]).ok();
    let list = workdir.run(&["inbox", "list", "--inbox", "elsewhere.db", "--json"]);
    let delivery = list.ok().json()[0].clone();
    let id = delivery["id"].as_str().expect("an id");
    let subject = delivery["subject_id"].as_str().expect("a subject");
    check(
        &workdir,
        "heygen-webhooks inbox show --inbox elsewhere.db ",
        &[id],
        &[],
    );
    check(
        &workdir,
        "heygen-webhooks inbox list --inbox elsewhere.db --subject ",
        &[subject],
        &[],
    );
    // There is no inbox where `serve` would have one.
    let bash = [
        "--norc",
        "--noprofile",
        "-c",
        BASH,
        "bash",
        "heygen-webhooks",
        "inbox",
        "show",
        "",
    ];
    let here = shell(&workdir, "bash", &bash);
    assert!(!here.stdout.contains(id), "{}", here.stdout);
    assert_eq!(here.stderr, "", "nothing disturbs the line");
    assert!(!workdir.path().join("heygen-inbox.db").exists());
}

/// bash inserts what is offered without quotes, and whoever sends deliveries chooses their subjects.
#[test]
fn subjects_that_a_shell_would_run_are_not_offered() {
    let workdir = Workdir::new();
    let hostile = "v1$(touch${IFS}pwned)";
    import(
        &workdir,
        &[
            delivery(hostile, "pending", 1),
            delivery("--yes", "pending", 1),
            delivery("v1.plain_one-2", "pending", 1),
        ],
    );
    check(
        &workdir,
        "heygen-webhooks inbox list --subject ",
        &["v1.plain_one-2"],
        &[hostile, "--yes"],
    );
    assert!(!workdir.path().join("pwned").exists());
}

#[test]
fn variable_that_names_no_shell_is_an_error() {
    let workdir = Workdir::new();
    let ended = workdir.run_with(
        &["inbox", "list"],
        b"",
        &[("HEYGEN_WEBHOOKS_COMPLETE", "basic")],
    );
    ended.fails(2, "HEYGEN_WEBHOOKS_COMPLETE: `basic` is no shell");
}

#[test]
fn every_event_name_is_a_value_wherever_one_is_expected() {
    let workdir = Workdir::new();
    for command in [
        &["trigger"][..],
        &["schema"],
        &["inbox", "list", "--event-type"],
        &["endpoints", "create", "https://a.example", "--events"],
        &["serve", "--events"],
    ] {
        let line = [&["heygen-webhooks"], command, &[""]].concat();
        let bash = [&["--norc", "--noprofile", "-c", BASH, "bash"], &line[..]].concat();
        let offered = shell(&workdir, "bash", &bash).stdout;
        for event_type in EventType::KNOWN {
            let is_there = offered.lines().any(|it| it == event_type.as_str());
            assert!(is_there, "{command:?}: {event_type}: {offered}");
        }
    }
}
