//! Text of somebody else, made fit for a reason.

use heygen_events::text::is_unsafe_to_show;

/// On one line: bytes that are not UTF-8 and characters that are [unsafe to show](is_unsafe_to_show) are replaced, ends of lines become spaces.
pub(super) fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let tame = text.chars().map(|character| match character {
        '\n' | '\r' | '\t' => ' ',
        other => visible(other),
    });
    tame.collect::<String>().trim().to_owned()
}

/// On as many lines as there are: bytes that are not UTF-8 and other such characters are replaced.
#[cfg(feature = "command")]
pub(super) fn lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let tame = text.chars().map(|character| match character {
        '\n' | '\t' => character,
        other => visible(other),
    });
    tame.collect::<String>().trim().to_owned()
}

fn visible(character: char) -> char {
    match is_unsafe_to_show(character) {
        true => char::REPLACEMENT_CHARACTER,
        false => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "command")]
    #[test]
    fn lines_stay_lines() {
        assert_eq!(
            lines(b"\na\r\n\tb\x1b[31m\xff\n"),
            "a\n\tb\u{fffd}[31m\u{fffd}"
        );
    }

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(
            one_line(b" a\r\nb\tc\x1b[31m\xff\0 "),
            "a  b c\u{fffd}[31m\u{fffd}\u{fffd}"
        );
        assert_eq!(one_line("é\u{85}".as_bytes()), "é\u{fffd}");
        assert_eq!(
            one_line("\u{202e}a\u{2028}".as_bytes()),
            "\u{fffd}a\u{fffd}"
        );
    }
}
