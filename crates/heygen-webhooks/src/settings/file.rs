//! [`File`]: the configuration file, whose keys are the long names of options, and [`ConfigFile`]: the option that names it.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context as _;
use clap::{Arg, Args, Command};
use serde::de::{Deserialize as _, DeserializeOwned};
use toml::de::{DeTable, DeValue, Deserializer};
use toml::{Spanned, Table};

use crate::failure::Failure;
use crate::settings::admin::{AdminHosts, AdminListener, DashboardAccess};
use crate::settings::api::ApiOptions;
use crate::settings::backfill::BackfillOptions;
use crate::settings::handlers::{ForwardSecretFile, Handlers};
use crate::settings::inbox::InboxOption;
use crate::settings::nats::{NatsAccess, NatsPromise, NatsStreams};
use crate::settings::nearest::meant;
use crate::settings::origin;
use crate::settings::output::{Log, Printing};
use crate::settings::receiver::{Callbacks, Limits, Listen, Tls};
use crate::settings::registration::{PublicUrl, Subscription};
use crate::settings::retention::RetentionOptions;
use crate::settings::secrets::SecretFiles;
use crate::settings::written;

mod trust;

/// The option of every command that finds inbox, secrets or API where `serve` has them.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigFile {
    /// Configuration file, that of `serve` [default: ./heygen-webhooks.toml if it exists]
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// A pipe, such as the shell makes of `<(…)`, gives what it holds only once.
    #[arg(skip)]
    read: OnceLock<File>,
}

impl ConfigFile {
    pub(crate) fn read(&self) -> Result<File, Failure> {
        if let Some(file) = self.read.get() {
            return Ok(file.clone());
        }
        let file = File::of(self.config.as_deref())?;
        Ok(self.read.get_or_init(|| file).clone())
    }
}

/// What the configuration file says; nothing where there is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    path: Option<PathBuf>,
    table: Table,
}

impl File {
    /// The file that was named, else the one in the current folder, else nothing. One that no one named may have been laid there by
    /// another user, and does not decide where keys and events go.
    pub(crate) fn of(named: Option<&Path>) -> Result<Self, Failure> {
        match named {
            Some(path) => Self::read(path, true),
            None if Path::new(DEFAULT_FILE).exists() => Self::read(Path::new(DEFAULT_FILE), false),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path, is_named: bool) -> Result<Self, Failure> {
        let unreadable = || {
            let option = match is_named {
                true => format!("{}: ", origin::name("config")),
                false => String::new(),
            };
            format!("{option}cannot read configuration file {}", path.display())
        };
        let mut opened = fs::File::open(path).with_context(unreadable)?;
        let mut bytes = Vec::new();
        opened.read_to_end(&mut bytes).with_context(unreadable)?;
        let text = written::text(bytes).with_context(unreadable)?;
        let table = parse(&text).map_err(|mistake| {
            Failure::usage(format!("configuration file {}{mistake}", path.display()))
        })?;
        if !is_named {
            trust::check(path, &opened, &table)?;
        }
        origin::remember_file(path);
        Ok(Self {
            path: Some(path.to_owned()),
            table,
        })
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Logs which file was read.
    pub(crate) fn log(&self) {
        if let Some(path) = &self.path {
            let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            tracing::info!(config = %path.display(), "configuration file read");
        }
    }
}

/// Reads the text, and checks every key of it, also those that the command does not need. Says what is wrong, and where.
fn parse(text: &str) -> Result<Table, String> {
    let mistake = |mut error: toml::de::Error| {
        error.set_input(Some(text));
        unknown_field(text, &error).unwrap_or_else(|| format!(": {}", in_words(&error)))
    };
    let parsed = DeTable::parse(text).map_err(mistake)?;
    let groups = GROUPS.map(|check| check(&parsed));
    let names = || groups.iter().flat_map(|group| &group.keys);
    for (key, value) in parsed.get_ref() {
        let name = key.get_ref().as_ref();
        if !names().any(|known| known == name) {
            let names = names().map(String::as_str);
            return Err(unknown_key(text, key.span().start, name, names));
        }
        let is_empty = match value.get_ref() {
            // A program and its arguments, which may be empty. Without a program deliveries would be printed.
            DeValue::Array(command) if name == "exec" => {
                let program = command.first();
                program.is_none_or(|program| is_blank(program.get_ref()))
            }
            DeValue::Array(values) => values.iter().any(|one| is_blank(one.get_ref())),
            value => is_blank(value),
        };
        if is_empty {
            let line = line(text, key.span().start);
            return Err(format!(
                ", line {line}: `{name}` has an empty value: give one, or remove it"
            ));
        }
    }
    if let Some(error) = groups.into_iter().find_map(|group| group.error) {
        return Err(mistake(error));
    }
    Table::deserialize(Deserializer::from(parsed)).map_err(mistake)
}

/// What is wrong, without the names that Rust has for what was expected.
fn in_words(error: &toml::de::Error) -> String {
    const WORDS: [(&str, &str); 7] = [
        ("expected usize", "expected a number"),
        ("expected u32", "expected a number"),
        ("expected u64", "expected a number"),
        ("expected f64", "expected a number"),
        ("expected a sequence", "expected a list: [\"…\", \"…\"]"),
        ("expected a boolean", "expected true or false"),
        ("expected a string", "expected a text: \"…\""),
    ];
    let text = error.to_string();
    let text = text.trim_end();
    let found = WORDS.iter().find(|(rust, _)| text.ends_with(rust));
    match found {
        Some((rust, words)) => format!("{}{words}", text.trim_end_matches(rust)),
        None => text.to_owned(),
    }
}

/// What can stand in the file: the options of these groups.
const GROUPS: [fn(&Spanned<DeTable<'_>>) -> Checked; 21] = [
    check::<Listen>,
    check::<InboxOption>,
    check::<SecretFiles>,
    check::<Callbacks>,
    check::<AdminListener>,
    check::<AdminHosts>,
    check::<DashboardAccess>,
    check::<Printing>,
    check::<Log>,
    check::<BackfillOptions>,
    check::<Tls>,
    check::<Handlers>,
    check::<ForwardSecretFile>,
    check::<RetentionOptions>,
    check::<PublicUrl>,
    check::<Subscription>,
    check::<Limits>,
    check::<ApiOptions>,
    check::<NatsAccess>,
    check::<NatsStreams>,
    check::<NatsPromise>,
];

/// What is in a configuration file for one group.
struct Checked {
    keys: Vec<String>,
    /// What is wrong with their values.
    error: Option<toml::de::Error>,
}

/// Reads a file for the group `T`, and passes over what belongs to others.
fn check<T: Args + DeserializeOwned>(file: &Spanned<DeTable<'_>>) -> Checked {
    let group = definition::<T>();
    let keys = group.get_arguments().filter_map(Arg::get_long);
    Checked {
        keys: keys.map(str::to_owned).collect(),
        error: T::deserialize(Deserializer::from(file.clone())).err(),
    }
}

/// The options of a group, and nothing else.
pub(crate) fn definition<T: Args>() -> Command {
    T::augment_args(Command::new("group"))
}

/// Every key that can stand in the file.
#[cfg(test)]
pub(crate) fn keys() -> Vec<String> {
    let nothing = DeTable::parse("").expect("TOML");
    let groups = GROUPS.into_iter();
    groups.flat_map(|check| check(&nothing).keys).collect()
}

/// A key below the top that is not known.
fn unknown_field(text: &str, error: &toml::de::Error) -> Option<String> {
    let mut names = error
        .message()
        .strip_prefix("unknown field ")?
        .split('`')
        .skip(1)
        .step_by(2);
    Some(unknown_key(text, error.span()?.start, names.next()?, names))
}

/// A key that is not known, and the one that was meant, in place of all that there are.
fn unknown_key<'a>(
    text: &str,
    start: usize,
    key: &str,
    names: impl Iterator<Item = &'a str>,
) -> String {
    let advice = match meant(key, names) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "the keys are the long option names in `serve --help`".to_owned(),
    };
    let line = line(text, start);
    format!(", line {line}: unknown key `{key}`: {advice}")
}

/// The number of the line at this offset.
fn line(text: &str, start: usize) -> usize {
    let before = text.get(..start).unwrap_or_default();
    before.matches('\n').count() + 1
}

/// As a path it would pass every check of the start, and fail when it is opened.
fn is_blank(value: &DeValue<'_>) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

const DEFAULT_FILE: &str = "heygen-webhooks.toml";
