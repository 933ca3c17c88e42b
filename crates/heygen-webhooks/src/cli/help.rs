//! The layout of the help: examples before options, the commands in groups, and NATS on a page of its own.

use std::fmt::Write as _;

use clap::Command;
use clap::builder::{StyledStr, Styles};

/// The commands, as the help of the whole program groups them.
pub(crate) const GROUPS: [(&str, &[&str]); 5] = [
    ("Receive", &["serve", "dev", "work"]),
    ("Try", &["trigger", "sandbox", "drill", "doctor"]),
    ("Inspect", &["inbox", "dashboard", "inspect", "verify"]),
    (
        "HeyGen",
        &["endpoints", "event-types", "events", "backfill"],
    ),
    (
        "Tools",
        &[
            "config",
            "secrets",
            "schema",
            "health",
            "completions",
            "man",
            "help",
        ],
    ),
];

/// The page about NATS, which is no command: `help nats` shows it.
pub(crate) const NATS: &str = "nats";

/// Lays out the help of the program and of each of its commands.
pub(super) fn laid_out(command: Command) -> Command {
    let template = main_template(&command);
    let command = each(command).help_template(template);
    // clap's own text speaks of the command alone.
    command.mut_subcommand(NATS, |nats| {
        nats.mut_args(|arg| arg.hide(false))
            .override_usage("heygen-webhooks <COMMAND> --inbox nats://HOST:4222/STREAM [OPTIONS]")
    })
}

fn each(command: Command) -> Command {
    let examples = command.get_before_help().map(StyledStr::to_string);
    let command = match examples {
        Some(examples) => command.before_help(styled(&examples)),
        None => command,
    };
    command
        .help_template(TEMPLATE)
        // An address may hold a password, and a help that is the same everywhere can be quoted.
        .mut_args(|arg| arg.hide_env_values(true))
        .mut_subcommands(each)
}

/// What stands between the heading of the examples and the options is theirs.
fn styled(examples: &str) -> StyledStr {
    let mut styled = StyledStr::new();
    // Writing to a string does not fail.
    let _ = match examples.strip_prefix(EXAMPLES) {
        Some(examples) => write!(styled, "{}{examples}", heading(EXAMPLES)),
        None => write!(styled, "{examples}"),
    };
    styled
}

fn main_template(command: &Command) -> StyledStr {
    let mut template = StyledStr::new();
    let _ = write!(
        template,
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{{before-help}}"
    );
    for (group, names) in GROUPS {
        let _ = writeln!(template, "{}", heading(&format!("{group}:")));
        for name in names {
            let about = match command.find_subcommand(name) {
                Some(command) => command.get_about().map(StyledStr::to_string),
                None => Some("Print the help of a command, or the page `nats`".to_owned()),
            };
            let literal = Styles::styled();
            let literal = literal.get_literal();
            let _ = writeln!(
                template,
                "  {literal}{name:<11}{literal:#}  {}",
                about.unwrap_or_default()
            );
        }
        let _ = writeln!(template);
    }
    let _ = write!(
        template,
        "{}\n{{options}}{{after-help}}",
        heading("Options:")
    );
    template
}

fn heading(text: &str) -> String {
    let styles = Styles::styled();
    let style = styles.get_header();
    format!("{style}{text}{style:#}")
}

/// How each block of examples begins.
pub(crate) const EXAMPLES: &str = "Examples:";

const TEMPLATE: &str =
    "{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::cli::definition;

    /// Every command with its full name, from the definition itself.
    fn commands() -> Vec<(String, Command)> {
        fn add(name: &str, command: &Command, found: &mut Vec<(String, Command)>) {
            found.push((name.to_owned(), command.clone()));
            for below in command.get_subcommands() {
                if below.get_name() != "help" {
                    add(&format!("{name} {}", below.get_name()), below, found);
                }
            }
        }
        let mut definition = definition();
        definition.build();
        let mut found = Vec::new();
        add("heygen-webhooks", &definition, &mut found);
        found
    }

    fn help(command: &Command, width: usize) -> String {
        let command = command.clone().term_width(width);
        let help = command
            .disable_help_subcommand(true)
            .render_long_help()
            .to_string();
        let lines: Vec<_> = help.lines().map(str::trim_end).collect();
        lines.join("\n")
    }

    #[test]
    fn help_texts_of_all_commands() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/help");
        let mut expected = BTreeSet::new();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&folder);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| {
            for (name, command) in commands() {
                let name = name.replace(' ', "-");
                insta::assert_snapshot!(name.as_str(), help(&command, 100));
                expected.insert(format!("{name}.snap"));
            }
        });
        let files = fs::read_dir(&folder).expect("the folder of the snapshots");
        let found = files.map(|file| file.expect("a file").file_name().into_string());
        let found: BTreeSet<_> = found.map(|name| name.expect("a name in UTF-8")).collect();
        assert_eq!(found, expected, "a snapshot without a command");
    }

    #[test]
    fn every_command_has_examples_before_its_options_that_fit_80_columns() {
        for (name, command) in commands() {
            let help = help(&command, 80);
            let examples = help
                .find(EXAMPLES)
                .unwrap_or_else(|| panic!("{name}: no examples"));
            let options = help.find("-h, --help").expect("an option");
            assert!(examples < options, "{name}");
            let text = command.get_before_help().expect("examples").to_string();
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{name}: {line}");
                assert!(help.contains(line), "{name}: not as it was written: {line}");
            }
        }
    }

    /// The calls of ours in a line of shell, each as its words.
    fn calls(line: &str) -> Vec<Vec<String>> {
        let mut calls = vec![vec![String::new()]];
        let mut is_quoted = false;
        for c in line.chars() {
            let call = calls.last_mut().expect("there is one");
            match c {
                '\'' => is_quoted = !is_quoted,
                '|' | '>' | '<' | '&' | ';' if !is_quoted => calls.push(vec![String::new()]),
                ' ' if !is_quoted => call.push(String::new()),
                c => call.last_mut().expect("there is one").push(c),
            }
        }
        let words = |call: Vec<String>| {
            let words = call.into_iter().filter(|word| !word.is_empty());
            let words: Vec<_> = words.skip_while(|word| word.contains('=')).collect();
            (words.first()? == "heygen-webhooks").then_some(words)
        };
        calls.into_iter().filter_map(words).collect()
    }

    /// An option or a state that was renamed is renamed in the examples.
    #[test]
    fn every_example_is_understood() {
        let mut count = 0;
        for (name, command) in commands() {
            let text = command.get_before_help().expect("examples").to_string();
            for line in text.replace("\\\n", "").lines() {
                for words in calls(line) {
                    count += 1;
                    if let Err(error) = definition().try_get_matches_from(&words) {
                        let is_help = error.kind() == clap::error::ErrorKind::DisplayHelp;
                        assert!(is_help, "{name}: {words:?}: {error}");
                    }
                }
            }
        }
        assert!(count > 50, "{count}");
    }

    #[test]
    fn every_command_is_in_one_group() {
        let definition = definition();
        for line in help(&definition, 80).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let mut commands: Vec<_> = definition
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .map(Command::get_name)
            .chain(["help"])
            .collect();
        let mut grouped: Vec<_> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        commands.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, commands);
        assert!(
            definition
                .find_subcommand(NATS)
                .is_some_and(Command::is_hide_set)
        );
    }

    #[test]
    fn options_of_nats_are_on_their_own_page_alone() {
        for (name, command) in commands() {
            let is_page = name.ends_with(NATS);
            assert_eq!(
                help(&command, 100).contains("--nats-creds <FILE>"),
                is_page,
                "{name}"
            );
        }
    }
}
