//! What can be said of a group of options by its type alone: which there are, and whether a file says sensible things of them.

use clap::{Arg, Args, Command};
use serde::de::DeserializeOwned;

/// What is in a configuration file for one group.
pub(crate) struct Checked {
    /// The keys that the group has.
    pub(crate) keys: Vec<String>,
    /// What is wrong with their values.
    pub(crate) error: Option<toml::de::Error>,
}

/// Looks at the text of a file for the group `T`, and passes over what belongs to others.
pub(crate) fn check<T: Args + DeserializeOwned>(text: &str) -> Checked {
    let group = definition::<T>();
    let keys = group.get_arguments().filter_map(Arg::get_long);
    Checked {
        keys: keys.map(str::to_owned).collect(),
        error: toml::from_str::<T>(text).err(),
    }
}

/// The options of a group, and nothing else.
pub(crate) fn definition<T: Args>() -> Command {
    T::augment_args(Command::new("group"))
}
