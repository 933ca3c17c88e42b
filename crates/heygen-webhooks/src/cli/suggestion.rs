//! What was probably meant by an option that there is not: the parser also names options that no help shows, and some that have
//! hardly a letter in common.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

use crate::settings::nearest::meant;

/// Replaces the parser's own suggestion in an error about the command line of `words`.
pub(super) fn correct(error: &mut clap::Error, definition: &Command, words: &[String]) {
    if error.kind() != ErrorKind::UnknownArgument {
        return;
    }
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    if unknown == "-v" {
        // Elsewhere it is that, or `--verbose`.
        let version = ContextValue::String("--version".to_owned());
        error.insert(ContextKind::SuggestedArg, version);
        return;
    }
    let Some(unknown) = unknown.strip_prefix("--").map(str::to_owned) else {
        return;
    };
    let mut definition = definition.clone();
    definition.build();
    let mut command = &definition;
    for word in words {
        match command.find_subcommand(word) {
            Some(below) => command = below,
            None => break,
        }
    }
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let shown = shown.filter_map(clap::Arg::get_long);
    let meant = meant(&unknown, shown);
    let meant = meant.map(|meant| ContextValue::String(format!("--{meant}")));
    let was_named = error.remove(ContextKind::SuggestedArg).is_some();
    if let Some(meant) = meant {
        error.insert(ContextKind::SuggestedArg, meant);
    }
    if was_named {
        // It was that of the option that was named.
        let usage = command.clone().render_usage();
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    }
}

/// A warning of options of the command that stand after `--exec`, where they are arguments of the program. Those after `--` are
/// meant for it.
pub(super) fn options_after_exec(definition: &Command, matches: &ArgMatches) -> Option<String> {
    let (mut path, mut matches) = (Vec::new(), matches);
    while let Some((name, below)) = matches.subcommand() {
        path.push(name);
        matches = below;
    }
    let program = matches.try_get_many::<String>("exec").ok()??;
    let mut definition = definition.clone();
    // Each command gets the options that all have.
    definition.build();
    let mut path = path.into_iter();
    let command = path.try_fold(&definition, |command, name| command.find_subcommand(name))?;
    let words = program.skip(1).take_while(|word| *word != "--");
    let names = words.filter_map(|word| word.strip_prefix("--")?.split('=').next());
    let is_ours = |name: &&str| {
        let mut arguments = command.get_arguments();
        arguments.any(|arg| arg.get_long() == Some(name) && !arg.is_hide_set())
    };
    let ours: Vec<_> = names
        .filter(is_ours)
        .map(|name| format!("--{name}"))
        .collect();
    (!ours.is_empty()).then(|| {
        format!(
            "what follows --exec is passed to the program, also {}: put options of {} before --exec; \
             if they are meant for the program, set `exec = [\"…\"]` in the configuration file",
            ours.join(", "),
            command.get_name()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::definition;

    #[track_caller]
    fn check(line: &str, expected: Option<&str>) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let arguments = ["heygen-webhooks"].into_iter().chain(line.split(' '));
        let parsed = definition().try_get_matches_from(arguments);
        let mut error = parsed.expect_err("no such option");
        correct(&mut error, &definition(), &words);
        let text = error.to_string();
        let meant = text.split("a similar argument exists: '").nth(1);
        let meant = meant.and_then(|meant| meant.split('\'').next());
        assert_eq!(meant, expected, "{text}");
        assert!(!text.contains("--nats"), "{text}");
        assert!(text.contains("Usage: "), "{text}");
    }

    #[test]
    fn options_after_exec_are_named() {
        #[track_caller]
        fn check(line: &str, expected: Option<&str>) {
            let arguments = ["heygen-webhooks"].into_iter().chain(line.split(' '));
            let matches = definition().try_get_matches_from(arguments);
            let warning = options_after_exec(&definition(), &matches.expect("a command"));
            let named = warning.as_deref().map(|warning| {
                let named = warning.split("also ").nth(1);
                named
                    .and_then(|named| named.split(':').next())
                    .expect("names")
            });
            assert_eq!(named, expected, "{warning:?}");
            let tells_how_to_keep = |warning: &str| {
                warning.contains("; if they are meant for the program, set `exec = [")
            };
            assert!(
                warning.as_deref().is_none_or(tells_how_to_keep),
                "{warning:?}"
            );
        }
        check(
            "serve --exec ./a --retry-max-attempts 2",
            Some("--retry-max-attempts"),
        );
        check(
            "serve --exec ./a x --json --keep=3d",
            Some("--json, --keep"),
        );
        check("work --exec ./a --color never", Some("--color"));
        check("config show --exec ./a --listen 1", Some("--listen"));
        check("serve --json --exec ./a --loud -h --since=1 serve", None);
        check("serve --exec ./a -- --json", None);
        check("serve --exec --json", None);
        check("serve --json", None);
        check("inbox list --json", None);
    }

    #[test]
    fn options_are_suggested_that_are_shown_and_near() {
        check("inbox list --limt 3", Some("--limit"));
        check("inbox prune --older-than 1d --state x", None);
        check("serve --port 1", Some("--listen"));
        check("serve --forwad http://a", Some("--forward"));
        check("inbox list --type x", Some("--event-type"));
        check("inbox list --port x", None);
        check("inbox list --colr never", Some("--color"));
        check("serve --max-body 1", Some("--max-body-bytes"));
        check("serve --secret whsec_a", Some("--secret-file"));
        check("serve --retry 1", None);
        check("-v", Some("--version"));
        check("inbox list -v", Some("--version"));
    }
}
