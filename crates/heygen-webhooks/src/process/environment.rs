//! The environment: which variables there are, which are set to nothing, and which were mistyped.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command};

use crate::output::notice;
use crate::settings::nearest::{mistyped, nearest};

/// The command line for this environment: a variable that is set to nothing is not set, and switches take yes and no.
pub(crate) fn prepared(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let Some(name) = arg.get_env() else {
            return arg;
        };
        let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
        let arg = match env::var_os(name).is_some_and(|value| is_blank(&value)) {
            true => arg.env(None::<&'static str>),
            false => arg,
        };
        match is_switch {
            true => arg.value_parser(BoolishValueParser::new()),
            false => arg,
        }
    });
    command.mut_subcommands(prepared)
}

/// The value of a variable that is set to something.
pub(crate) fn variable(name: &str) -> Option<std::ffi::OsString> {
    env::var_os(name).filter(|value| !is_blank(value))
}

/// Every variable of this program, in the order of the alphabet.
fn known(definition: &Command) -> BTreeSet<String> {
    let names = arguments(definition).into_iter().filter_map(Arg::get_env);
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.chain(READ_ELSEWHERE.map(str::to_owned)).collect()
}

/// Warns of variables that nothing reads and that were meant for this program.
pub(crate) fn warn_of_unknown(definition: &Command) {
    for (name, value) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if is_blank(&value) {
            continue;
        }
        if let Some(warning) = warning(name, definition) {
            notice::warn(warning);
        }
    }
}

/// What is to be said of a variable that is set.
pub(crate) fn warning(name: &str, definition: &Command) -> Option<String> {
    if !name.starts_with("HEYGEN") {
        return None;
    }
    let known = known(definition);
    let is_other = known.contains(name) || FOR_OTHERS.contains(&name);
    if is_other {
        return None;
    }
    let names = || known.iter().map(String::as_str);
    let ignored = format!("unknown variable {name} is ignored");
    if let Some(meant) = mistyped(name, names()) {
        return Some(format!("{ignored}: did you mean {meant}?"));
    }
    let option = name.strip_prefix(PREFIX)?.to_lowercase().replace('_', "-");
    let mut options = arguments(definition).into_iter().filter_map(Arg::get_long);
    if options.any(|known| known == option) {
        return Some(format!(
            "{ignored}: --{option} has no variable; use the flag, or `{option}` in the configuration file"
        ));
    }
    let (near, _) = nearest(name, names())?;
    Some(format!("{ignored}: the closest known one is {near}"))
}

/// Those of the command and of all below it.
pub(crate) fn arguments(command: &Command) -> Vec<&Arg> {
    let below = command.get_subcommands().flat_map(arguments);
    command.get_arguments().chain(below).collect()
}

fn is_blank(value: &OsStr) -> bool {
    value.to_str().is_some_and(|text| text.trim().is_empty())
}

const PREFIX: &str = "HEYGEN_WEBHOOKS_";

const READ_ELSEWHERE: [&str; 5] = [
    "HEYGEN_API_KEY",
    "HEYGEN_OAUTH_TOKEN",
    "HEYGEN_WEBHOOKS_INBOX",
    "HEYGEN_WEBHOOKS_SANDBOX_KEY",
    "HEYGEN_WEBHOOK_SECRET",
];

/// What `--exec` and `--on-dead-letter` set for programs, which may call this one, and by what `packages/` find it.
const FOR_OTHERS: [&str; 9] = [
    "HEYGEN_ATTEMPT",
    "HEYGEN_AUTHENTICITY",
    "HEYGEN_DEAD_LETTER_REASON",
    "HEYGEN_DELIVERY_ID",
    "HEYGEN_EVENT_ID",
    "HEYGEN_EVENT_TYPE",
    "HEYGEN_RECEIVED_AT",
    "HEYGEN_SUBJECT_ID",
    "HEYGEN_WEBHOOKS_BIN",
];
