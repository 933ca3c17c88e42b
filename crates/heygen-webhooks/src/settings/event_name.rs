//! Names of events as people give them, with `*` for any run of characters: what they stand for, and which were mistyped.

use heygen_events::{EventType, Pattern};
use heygen_inbox::Query;

use crate::output::notice;
use crate::output::tame;
use crate::settings::nearest::mistyped;

/// Warns of a name or pattern that no known event has, where one that is nearly the same is known.
pub(crate) fn warn_if_mistyped(given: &str) {
    if let Some(meant) = meant(given) {
        notice::warn(format!("{}: did you mean {meant}?", unknown(given)));
    }
}

/// For a search that has found nothing: whether that may be for the name.
pub(crate) fn warn_if_unknown(given: &str) {
    if is_known(given) {
        return;
    }
    notice::warn(match meant(given) {
        Some(meant) => format!("{}: did you mean {meant}?", unknown(given)),
        None => format!("{}: list the names with `schema --list`", unknown(given)),
    });
}

/// Narrows a query to what was given: one name, or a pattern.
pub(crate) fn choose(query: &mut Query, given: Option<&str>) {
    let pattern = given.filter(|given| given.contains('*'));
    query.events = pattern.and_then(|pattern| pattern.parse().ok());
    // A single name is found without going through the others; white space is in no pattern, but may be in a name.
    if query.events.is_none() {
        query.event_type = given.map(str::to_owned);
    }
}

/// The known names that a pattern stands for; a name stands for itself, known or not.
pub(crate) fn expanded(given: &str) -> Vec<EventType> {
    if !given.contains('*') {
        return vec![EventType::from(given)];
    }
    EventType::KNOWN
        .iter()
        .filter(|known| Pattern::text_matches(given, known.as_str()))
        .cloned()
        .collect()
}

/// The known name that is nearest, for a message of one's own.
pub(crate) fn meant(given: &str) -> Option<&'static str> {
    match is_known(given) {
        true => None,
        false => mistyped(given, names()),
    }
}

fn is_known(given: &str) -> bool {
    names().any(|name| Pattern::text_matches(given, name))
}

fn names() -> impl Iterator<Item = &'static str> {
    EventType::KNOWN.iter().map(EventType::as_str)
}

fn unknown(given: &str) -> String {
    format!("no known event is named `{}`", tame(given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_names() {
        for (given, expected) in [
            ("avatar_video.sucess", Some("avatar_video.success")),
            ("avatar_video.success", None),
            ("avatar_vido.*", Some("avatar_video.success")),
            ("*.sucess", Some("avatar_video.success")),
            ("avatar_video.*", None),
            ("*", None),
            ("something.new", None),
            ("podcast.success", None),
        ] {
            assert_eq!(meant(given), expected, "{given}");
        }
    }

    #[test]
    fn patterns_stand_for_known_names() {
        let names = |given| -> Vec<_> { expanded(given).into_iter().collect() };
        assert_eq!(
            names("avatar_video.*"),
            [EventType::AvatarVideoSuccess, EventType::AvatarVideoFail]
        );
        assert_eq!(names("something.new"), [EventType::from("something.new")]);
        assert!(names("something.*").is_empty());
    }
}
