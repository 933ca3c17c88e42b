//! `man`: the man pages, made from the definition of the command line.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use anyhow::Context as _;
use clap::{Arg, Command};
use clap_mangen::roff::{Inline, Roff, roman};

use crate::cli::help::{EXAMPLES, NATS};
use crate::cli::{Man, definition};
use crate::failure::Failure;
use crate::output;

pub(super) fn run(options: &Man) -> Result<(), Failure> {
    let mut definition = definition().disable_help_subcommand(true);
    definition.build();
    let Some(folder) = &options.dir else {
        return Ok(output::write_bytes(page(&definition)?)?);
    };
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot create folder {}", folder.display()))?;
    let mut commands = vec![&definition];
    while let Some(command) = commands.pop() {
        let path = folder.join(format!("{}.1", name(command)));
        fs::write(&path, page(command)?)
            .with_context(|| format!("cannot write man page {}", path.display()))?;
        commands.extend(command.get_subcommands());
    }
    Ok(())
}

/// What `heygen-webhooks nats` prints: the page that `heygen-webhooks help nats` prints.
pub(super) fn nats() -> Result<(), Failure> {
    let mut definition = definition();
    definition.build();
    if let Some(page) = definition.find_subcommand_mut(NATS) {
        output::write_bytes(page.render_long_help().to_string().into_bytes())?;
    }
    Ok(())
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let after_help = command.get_after_help().map(ToString::to_string);
    let after_help = after_help.unwrap_or_default();
    let (notes, exit_status) = match after_help.find(EXIT_STATUS) {
        Some(at) => (&after_help[..at], &after_help[at + EXIT_STATUS.len()..]),
        None => (after_help.as_str(), ""),
    };
    let version = env!("CARGO_PKG_VERSION");
    let man = clap_mangen::Man::new(command.clone())
        .title(name(command))
        .source(format!("heygen-webhooks {version}"));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(command).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    let mut before_options = Roff::new();
    let examples = command.get_before_help().map(ToString::to_string);
    verbatim(
        &mut before_options,
        "EXAMPLES",
        examples.unwrap_or_default().trim_start_matches(EXAMPLES),
    );
    before_options.to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    verbatim(&mut rest, "NOTES", notes);
    rest.control("SH", ["EXIT STATUS"]);
    rest.text([roman(match exit_status.trim() {
        "" => "0 success; 1 failure; 2 wrong usage.",
        own => own,
    })]);
    list(&mut rest, "ENVIRONMENT", variables(command));
    list(&mut rest, "FILES", of_options(command, &FILES));
    rest.control("SH", ["SEE ALSO"]);
    rest.text([roman(see_also(command))]);
    rest.to_writer(&mut page)?;
    page.push(b'\n');
    Ok(page)
}

/// As the help has it: the options have a section of their own.
fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([roman(usage)]);
    roff
}

/// A section whose lines are not filled, so that a command can be copied.
fn verbatim(roff: &mut Roff, heading: &str, text: &str) {
    let text = text.trim_matches('\n').trim_end();
    if text.is_empty() {
        return;
    }
    roff.control("SH", [heading]);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([Inline::from(line)]);
    }
    roff.control("fi", []);
}

fn list(roff: &mut Roff, heading: &str, entries: BTreeMap<String, String>) {
    if entries.is_empty() {
        return;
    }
    roff.control("SH", [heading]);
    for (name, meaning) in entries {
        roff.control("TP", []);
        roff.text([clap_mangen::roff::bold(name)]);
        roff.text([roman(meaning)]);
    }
}

/// The variables that the command reads: those of its options, and those of no option.
fn variables(command: &Command) -> BTreeMap<String, String> {
    let options = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let options = options.filter_map(|arg| {
        let variable = arg.get_env()?.to_string_lossy().into_owned();
        Some((variable, format!("Same as --{}.", arg.get_long()?)))
    });
    options.chain(of_options(command, &VARIABLES)).collect()
}

/// What goes with the options that the command has.
fn of_options(command: &Command, all: &[(&str, &str, &str)]) -> BTreeMap<String, String> {
    let options: Vec<_> = command.get_arguments().filter_map(Arg::get_long).collect();
    let found = all.iter().filter(|(option, ..)| options.contains(option));
    let found = found.map(|(_, name, meaning)| ((*name).to_owned(), (*meaning).to_owned()));
    found.collect()
}

fn see_also(command: &Command) -> String {
    let below = command.get_subcommands().map(name);
    let others = match command.has_subcommands() {
        true => below.collect(),
        false => vec!["heygen-webhooks".to_owned()],
    };
    let others: Vec<_> = others.iter().map(|name| format!("{name}(1)")).collect();
    others.join(", ")
}

fn name(command: &Command) -> String {
    let name = command.get_display_name();
    name.unwrap_or_else(|| command.get_name()).to_owned()
}

const EXIT_STATUS: &str = "Exit status: ";

/// The option that a command has if it reads the variable, the variable, and its meaning.
const VARIABLES: [(&str, &str, &str); 5] = [
    ("base-url", "HEYGEN_API_KEY", "Key of HeyGen's API."),
    (
        "base-url",
        "HEYGEN_OAUTH_TOKEN",
        "OAuth token for HeyGen's API, in place of a key.",
    ),
    (
        "inbox",
        "HEYGEN_WEBHOOKS_INBOX",
        "Same as --inbox. The address of NATS servers may hold a password here.",
    ),
    (
        "secret-file",
        "HEYGEN_WEBHOOK_SECRET",
        "Signing secrets, separated by commas.",
    ),
    (
        "time-scale",
        "HEYGEN_WEBHOOKS_SANDBOX_KEY",
        "The only API key that the sandbox accepts.",
    ),
];

/// The option that a command has if it uses the file, the file, and its meaning.
const FILES: [(&str, &str, &str); 5] = [
    (
        "config",
        "./heygen-webhooks.toml",
        "Configuration file, unless --config names another.",
    ),
    (
        "inbox",
        "./heygen-inbox.db",
        "The inbox, with ./heygen-inbox.db-wal beside it, unless --inbox names another.",
    ),
    (
        "inbox",
        "INBOX.secrets.json",
        "Secrets of endpoints, stored when they were registered or rotated.",
    ),
    (
        "forward-secret-file",
        "INBOX.forward-secret",
        "Secret that signs forwarded deliveries, unless --forward-secret-file names another file.",
    ),
    (
        "rejected-count",
        "INBOX.rejected",
        "Requests that were rejected lately.",
    ),
];
