//! Text for people that fits the terminal.

use std::io;

/// The columns of the terminal that standard output is. `None` if it is none: then lines stay whole.
pub(super) fn width() -> Option<usize> {
    let size = terminal_size::terminal_size_of(io::stdout());
    size.map(|(width, _)| usize::from(width.0))
}

/// The text, broken between words. It begins after `indent` columns, as each of its lines does.
pub(super) fn broken(text: &str, indent: usize, width: Option<usize>) -> String {
    let Some(room) = width.map(|width| width.saturating_sub(indent).max(LEAST)) else {
        return text.to_owned();
    };
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > room {
            lines.push(String::new());
            used = 0;
        }
        let Some(line) = lines.last_mut() else {
            continue;
        };
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// What has one reason, together: each reason with the names of those that have it, in their order.
pub(super) fn grouped<'a>(
    names: impl Iterator<Item = (&'a str, &'a str)>,
) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, reason) in names {
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name),
            None => groups.push((reason, vec![name])),
        }
    }
    groups
}

/// However narrow the terminal is, a line has some words.
const LEAST: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_are_indented() {
        #[track_caller]
        fn check(text: &str, width: Option<usize>, expected: &str) {
            assert_eq!(broken(text, 2, width), expected);
        }
        let text = "one two three four five six seven eight";
        check(text, None, text);
        check(text, Some(80), text);
        check(text, Some(34), "one two three four five six\n  seven eight");
        check(text, Some(1), "one two three four five six\n  seven eight");
        let long = "x".repeat(50);
        check(&long, Some(40), &long);
        check(
            &format!("a {long} b"),
            Some(40),
            &format!("a\n  {long}\n  b"),
        );
    }
}
