//! [`Options`]: a group of options on the command line, whose values are known once it is laid over the configuration file.

use std::marker::PhantomData;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use serde::de::DeserializeOwned;
use toml::Table;

use crate::failure::Failure;
use crate::process::environment;
use crate::settings::file::{File, definition};
use crate::settings::setting::{Setting, Source, written};

/// The options of a group `T` as flags and environment give them. A field of `T` is an option, with
/// its long name as the key of the file, so that all three are declared once.
#[derive(Clone, Debug)]
pub(crate) struct Options<T> {
    /// Without defaults of the parser: these were not given.
    given: ArgMatches,
    group: PhantomData<T>,
}

impl<T: Args + DeserializeOwned> Options<T> {
    /// For a command that does not have these options: what the environment says.
    pub(crate) fn of_environment() -> Result<Self, Failure> {
        let command = environment::prepared(definition::<T>().no_binary_name(true));
        let read = command
            .try_get_matches_from([""; 0])
            .and_then(|matches| Self::from_arg_matches(&matches));
        read.map_err(|error| Failure::usage(error.to_string()))
    }

    /// The values: flags go before the environment, the environment before the file.
    pub(crate) fn over(&self, file: &File) -> Result<T, Failure> {
        let mut values: T = self.beneath(file).try_into()?;
        values.update_from_arg_matches(&self.given)?;
        Ok(values)
    }
}

impl<T: Args> Options<T> {
    /// What the file says, without the keys that an option which is given excludes.
    fn beneath(&self, file: &File) -> Table {
        let mut table = file.table().clone();
        let group = definition::<T>();
        for arg in group.get_arguments() {
            for other in group.get_arg_conflicts_with(arg) {
                for (one, excluded) in [(arg, other), (other, arg)] {
                    if self.given.contains_id(one.get_id().as_str()) {
                        table.remove(excluded.get_long().unwrap_or_default());
                    }
                }
            }
        }
        table
    }

    /// Each option of the group, as it is in force.
    pub(crate) fn settings(&self, file: &File) -> Vec<Setting> {
        let mut in_file = self.beneath(file);
        let group = definition::<T>();
        let setting = |arg: &Arg| {
            let id = arg.get_id().as_str();
            let in_file = in_file.remove(arg.get_long().unwrap_or_default());
            let in_file = in_file.and_then(|value| serde_json::to_value(value).ok());
            let given = self.given.get_raw(id).map(|texts| {
                let texts: Vec<_> = texts
                    .map(|text| text.to_string_lossy().into_owned())
                    .collect();
                let variable = arg
                    .get_env()
                    .filter(|_| self.given.value_source(id) == Some(ValueSource::EnvVariable));
                let source = variable.map_or(Source::Flag, |name| {
                    Source::Variable(name.to_string_lossy().into_owned())
                });
                let value = match arg.get_action() {
                    ArgAction::SetTrue => self.given.get_flag(id).into(),
                    _ => written(arg, &texts),
                };
                (value, source)
            });
            Setting::new(arg, given.or(in_file.map(|value| (value, Source::File))))
        };
        group.get_arguments().map(setting).collect()
    }
}

impl<T: Args + Default> Options<T> {
    /// What flags and environment say alone.
    pub(crate) fn given(&self) -> Result<T, Failure> {
        let mut values = T::default();
        values.update_from_arg_matches(&self.given)?;
        Ok(values)
    }
}

impl<T: Args> Args for Options<T> {
    fn augment_args(command: Command) -> Command {
        // Headings of the group do not go on over what follows it.
        let group = T::augment_args(Command::new("group").next_display_order(None));
        command.args(group.get_arguments().cloned())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: Args> FromArgMatches for Options<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = matches.clone();
        for arg in definition::<T>().get_arguments() {
            let id = arg.get_id().as_str();
            let is_default = given.value_source(id) == Some(ValueSource::DefaultValue);
            // A comma alone, at the end of a variable, names nothing. An option that was typed does
            // not go unnoticed.
            let is_empty = given.value_source(id) == Some(ValueSource::EnvVariable)
                && arg.get_value_delimiter().is_some()
                && given
                    .get_raw(id)
                    .is_some_and(|mut values| values.all(|value| value.is_empty()));
            if is_default || is_empty {
                // Of an option that is there, as `value_source` has shown.
                let _ = given.try_clear_id(id);
            }
        }
        Ok(Self {
            given,
            group: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
