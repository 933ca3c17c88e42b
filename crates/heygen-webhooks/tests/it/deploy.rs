//! The binary understands the command lines of the examples in `deploy/`, to the last argument.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Workdir;

/// A command line, and the file it stands in.
#[derive(Debug)]
struct Line {
    file: String,
    arguments: Vec<String>,
}

/// Files that start the binary, and how often each does.
const FILES: [(&str, usize); 6] = [
    ("compose/compose.yaml", 4),
    ("kubernetes/receiver.yaml", 1),
    ("kubernetes/worker.yaml", 1),
    ("systemd/heygen-webhooks.service", 1),
    ("systemd/heygen-webhooks-receiver.service", 1),
    ("systemd/heygen-webhooks-worker@.service", 1),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn lines_of(file: &str) -> Vec<Line> {
    let text = fs::read_to_string(folder().join(file)).expect("an example");
    let found = match file.ends_with(".service") {
        true => of_unit(&text),
        false => of_yaml(&text),
    };
    let line = |arguments| Line {
        file: file.to_owned(),
        arguments,
    };
    found.into_iter().map(line).collect()
}

/// `ExecStart=…/heygen-webhooks …`, over as many lines as it goes, with systemd's specifiers as they would be.
fn of_unit(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ").replace("%d", "/run/credentials");
    let text = text.replace("%i", "1");
    let commands = text.lines().filter_map(|line| {
        let command = line.strip_prefix("ExecStart=")?;
        command.strip_prefix("/usr/local/bin/heygen-webhooks ")
    });
    commands
        .map(|command| command.split_whitespace().map(str::to_owned).collect())
        .collect()
}

/// Lists that begin with a command of ours, an argument a line.
fn of_yaml(text: &str) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        let item = line.trim_start().strip_prefix("- ");
        is_inside = match item {
            Some("serve" | "work") => {
                found.push(Vec::new());
                true
            }
            Some(_) => is_inside,
            None => false,
        };
        if let (true, Some(item), Some(arguments)) = (is_inside, item, found.last_mut()) {
            arguments.push(item.to_owned());
        }
    }
    found
}

/// What the binary has against a command line. Arguments are read one after the other, so whoever asks for help at the end
/// gets it when everything before, values too, was understood.
fn objection(workdir: &Workdir, arguments: &[String]) -> Option<String> {
    let arguments = arguments.iter().map(String::as_str).chain(["--help"]);
    let ended = workdir.run(&arguments.collect::<Vec<_>>());
    (ended.status != 0).then_some(ended.stderr)
}

#[test]
fn every_command_line_is_understood() {
    let workdir = Workdir::new();
    let mut objections = Vec::new();
    for (file, count) in FILES {
        let lines = lines_of(file);
        assert_eq!(lines.len(), count, "{file}: {lines:?}");
        for line in lines {
            assert!(line.arguments.len() > 3, "{line:?}");
            if let Some(objection) = objection(&workdir, &line.arguments) {
                let first = objection.lines().next().unwrap_or_default();
                objections.push(format!("{} {}: {first}", line.file, line.arguments[0]));
            }
        }
    }
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}

/// The list of files is whole: nothing else in the folder starts the binary.
#[test]
fn every_file_that_starts_it_is_looked_at() {
    let mut others = Vec::new();
    for part in ["compose", "kubernetes", "systemd"] {
        for entry in fs::read_dir(folder().join(part)).expect("a folder") {
            let name = entry.expect("an entry").file_name();
            let file = format!("{part}/{}", name.to_string_lossy());
            if !FILES.iter().any(|(known, _)| *known == file) && !lines_of(&file).is_empty() {
                others.push(file);
            }
        }
    }
    assert!(others.is_empty(), "{others:?}");
}

/// Names of variables are read by the same parser, which tells them in its help.
#[test]
fn every_variable_is_known() {
    let workdir = Workdir::new();
    let nats = workdir.run(&["help", "nats"]).stdout;
    let help = ["serve", "work"].map(|command| workdir.run(&[command, "--help"]).stdout + &nats);
    let mut unknown = Vec::new();
    for (file, _) in FILES {
        let text = fs::read_to_string(folder().join(file)).expect("an example");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| word.starts_with("HEYGEN_")) {
            // The environment of a container goes to one command or the other; both know what is common.
            if !help.iter().all(|help| help.contains(word)) {
                unknown.push(format!("{file}: {word}"));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_wrong_argument_is_found_wherever_it_stands() {
    let workdir = Workdir::new();
    let check = |arguments: &[&str], is_understood: bool| {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        let objection = objection(&workdir, &arguments);
        assert_eq!(objection.is_none(), is_understood, "{objection:?}");
    };
    check(
        &["serve", "--listen=0.0.0.0:8080", "--concurrency", "4"],
        true,
    );
    check(&["serve", "--lisen=0.0.0.0:8080"], false);
    check(&["serve", "--concurrency", "many"], false);
    check(&["server"], false);
}

/// systemd gives up a unit that fails five times within ten seconds, for good.
#[test]
fn units_are_started_again_however_often_they_fail() {
    let mut restarting = 0;
    for entry in fs::read_dir(folder().join("systemd")).expect("the units") {
        let path = entry.expect("a unit").path();
        let text = fs::read_to_string(&path).expect("a unit");
        if text.lines().any(|line| line == "Restart=always") {
            restarting += 1;
            let (unit, _) = text.split_once("[Service]").expect("its sections");
            let is_unlimited = unit.lines().any(|line| line == "StartLimitIntervalSec=0");
            assert!(is_unlimited, "{}", path.display());
        }
    }
    assert_eq!(restarting, 4);
}
