//! Where the value of an option stands, as the person who wrote it would look for it: a flag, a variable, or a key of the
//! configuration file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::process::environment;

/// By the long name of the option; what is missing stands in the file, or nowhere.
static GIVEN: OnceLock<HashMap<String, String>> = OnceLock::new();
static FILE: OnceLock<PathBuf> = OnceLock::new();

/// The name under which the value of an option was written: `--forward`, `HEYGEN_WEBHOOKS_FORWARD`, or
/// `` `forward` in heygen-webhooks.toml ``.
pub(crate) fn name(option: &str) -> String {
    let given = GIVEN.get().and_then(|given| given.get(option));
    if let Some(name) = given {
        return name.clone();
    }
    // Some variables are not read by the parser, or belong to an option of another command.
    let variable = format!(
        "HEYGEN_WEBHOOKS_{}",
        option.to_uppercase().replace('-', "_")
    );
    if environment::variable(&variable).is_some() {
        return variable;
    }
    match FILE.get() {
        Some(file) => format!("`{option}` in {}", file.display()),
        None => format!("--{option}"),
    }
}

/// The configuration file, where one was read.
pub(crate) fn file() -> Option<&'static Path> {
    FILE.get().map(PathBuf::as_path)
}

/// Remembers what stands on the command line and in the environment.
pub(crate) fn remember(definition: &clap::Command, matches: &ArgMatches) {
    let (mut command, mut matches) = (definition, matches);
    while let Some((name, below)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(name) else {
            break;
        };
        (command, matches) = (found, below);
    }
    let mut given = HashMap::new();
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let source = matches
            .try_contains_id(id)
            .is_ok()
            .then(|| matches.value_source(id))
            .flatten();
        let long = arg.get_long();
        let variable = arg
            .get_env()
            .map(|name| name.to_string_lossy().into_owned());
        let name = match (source, long, variable) {
            (Some(ValueSource::CommandLine), Some(long), _) => format!("--{long}"),
            (Some(ValueSource::CommandLine), None, _) => arg.to_string(),
            (Some(ValueSource::EnvVariable), _, Some(variable)) => variable,
            (Some(ValueSource::DefaultValue), Some(long), _) => format!("--{long}"),
            _ => continue,
        };
        given.insert(long.unwrap_or(id).to_owned(), name);
    }
    // One command a process.
    let _ = GIVEN.set(given);
}

pub(crate) fn remember_file(path: &Path) {
    let _ = FILE.set(path.to_owned());
}
