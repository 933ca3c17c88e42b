//! What was probably meant by an option that there is not: the parser also names options that no help shows, and some that have
//! hardly a letter in common.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::settings::nearest::mistyped;

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
    let shown: Vec<&str> = shown.filter_map(clap::Arg::get_long).collect();
    let same = ELSEWHERE.iter().find(|(other, _)| *other == unknown);
    let same = same
        .map(|(_, ours)| *ours)
        .filter(|ours| shown.contains(ours));
    let meant = same.or_else(|| mistyped(&unknown, shown.iter().copied()));
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

/// What other programs call it.
const ELSEWHERE: [(&str, &str); 12] = [
    ("addr", "listen"),
    ("address", "listen"),
    ("bind", "listen"),
    ("colour", "color"),
    ("database", "inbox"),
    ("db", "inbox"),
    ("event", "event-type"),
    ("forward-to", "forward"),
    ("host", "listen"),
    ("port", "listen"),
    ("type", "event-type"),
    ("verbose", "log"),
];

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
    fn options_are_suggested_that_are_shown_and_near() {
        check("inbox list --limt 3", Some("--limit"));
        check("inbox prune --older-than 1d --state x", None);
        check("serve --port 1", Some("--listen"));
        check("serve --forwad http://a", Some("--forward"));
        check("inbox list --type x", Some("--event-type"));
        check("inbox list --port x", None);
        check("inbox list --colr never", Some("--color"));
        check("-v", Some("--version"));
        check("inbox list -v", Some("--version"));
    }
}
