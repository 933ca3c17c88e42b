//! What is wrong with a number on the command line: the parser speaks of digits, literals and ranges of its types.

use std::error::Error as _;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The same error, which says what to give where a number was expected.
pub(super) fn explained(error: clap::Error, definition: &Command) -> clap::Error {
    if error.kind() != ErrorKind::ValueValidation {
        return error;
    }
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let reason = error.source().map(ToString::to_string);
    let Some(advice) = reason.and_then(|reason| advice(&reason, argument)) else {
        return error;
    };
    // Only a new one is without the reason.
    let mut explained = clap::Error::new(error.kind()).with_cmd(definition);
    for (kind, value) in error.context() {
        explained.insert(kind, value.clone());
    }
    let advice = ContextValue::StyledStrs(vec![advice.into()]);
    explained.insert(ContextKind::Suggested, advice);
    explained
}

fn advice(reason: &str, argument: &str) -> Option<String> {
    if let Some((_, range)) = reason.split_once(" is not in ") {
        let (least, most) = range.split_once("..")?;
        let most = most.trim_start_matches('=');
        let is_bound = most.len() < u32::MAX.to_string().len() && !most.is_empty();
        return Some(match is_bound {
            true => format!("give a number from {least} to {most}"),
            false => format!("give a number of at least {least}, with fewer than ten digits"),
        });
    }
    if reason.starts_with("number too large") {
        return Some("give a smaller number".to_owned());
    }
    let is_no_number = ["invalid digit", "invalid float", "cannot parse"]
        .iter()
        .any(|start| reason.starts_with(start));
    let unit = UNITS.iter().find(|(unit, _)| argument.ends_with(unit));
    is_no_number.then(|| {
        unit.map_or("give a number", |(_, advice)| advice)
            .to_owned()
    })
}

const UNITS: [(&str, &str); 2] = [
    ("<SECONDS>", "give a number of seconds, such as 30"),
    ("<BYTES>", "give a number of bytes, such as 1048576"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::definition;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let arguments = ["heygen-webhooks"].into_iter().chain(line.split(' '));
        let parsed = definition().try_get_matches_from(arguments);
        let error = explained(parsed.expect_err("no such number"), &definition());
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("invalid value '"), "{text}");
        for jargon in ["digit found", "literal", "..="] {
            assert!(!text.contains(jargon), "{text}");
        }
    }

    #[test]
    fn numbers_are_asked_for_in_words() {
        check(
            "serve --handler-timeout 30s",
            "tip: give a number of seconds",
        );
        check(
            "serve --header-timeout 1.5",
            "tip: give a number of seconds",
        );
        check("serve --max-body-bytes 1k", "tip: give a number of bytes");
        check("serve --concurrency x", "tip: give a number\n");
        check("serve --retry-max-attempts 99999999999", "tip: give a");
        check(
            "inbox list --limit 99999999999999999999999",
            "a smaller number",
        );
        check("sandbox --time-scale x", "tip: give a number\n");
        check(
            "trigger --all --count 0",
            "tip: give a number of at least 1,",
        );
        check("drill http://a --burst 5000", "a number from 0 to 1000");
        check("inbox list --since soon", "give a time (");
    }
}
