//! `--color` and `--wide`: how every command shows what it prints.

use clap::{Arg, ArgAction, ArgMatches, ColorChoice, Command, ValueEnum as _, value_parser};

use crate::output::screen;

/// The program with these options, which each of its commands takes too.
pub(super) fn with_options(command: Command) -> Command {
    command
        .arg(
            Arg::new(COLOR)
                .long(COLOR)
                .global(true)
                .value_name("WHEN")
                .value_parser(value_parser!(ColorChoice))
                .default_value("auto")
                .hide_default_value(true)
                .hide_possible_values(true)
                .display_order(LAST)
                .help("Use colors: auto (on a terminal, unless NO_COLOR is set), always, never"),
        )
        .arg(
            Arg::new(WIDE)
                .long(WIDE)
                .global(true)
                .action(ArgAction::SetTrue)
                .display_order(LAST)
                .help("Show lines and tables whole, however narrow the terminal is"),
        )
}

/// Before the command line is understood: what is wrong with it, and the help, are shown in colour too.
pub(super) fn choose_color() {
    // What follows these is for a program of the user's.
    let arguments: Vec<_> = super::arguments()
        .take_while(|argument| !matches!(argument.as_str(), "--" | "--exec"))
        .filter(|argument| !argument.starts_with("--exec="))
        .collect();
    let given = arguments.iter().enumerate().find_map(|(index, argument)| {
        match argument.strip_prefix("--")?.strip_prefix(COLOR)? {
            "" => arguments.get(index + 1).map(String::as_str),
            value => value.strip_prefix('='),
        }
    });
    let choice = given.and_then(|given| ColorChoice::from_str(given, false).ok());
    let choice = match choice.unwrap_or_default() {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// Once it is understood.
pub(super) fn apply(matches: &ArgMatches) {
    if matches.get_flag(WIDE) {
        screen::set_wide();
    }
}

const COLOR: &str = "color";
const WIDE: &str = "wide";

/// Below the options of the command itself.
const LAST: usize = 900;
