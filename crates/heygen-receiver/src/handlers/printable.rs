//! Text of somebody else, made fit for a reason.

/// On one line: bytes that are not UTF-8 and control characters are replaced, ends of lines become spaces.
#[cfg(feature = "forward")]
pub(super) fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let tame = text.chars().map(|character| match character {
        '\n' | '\r' | '\t' => ' ',
        other => visible(other),
    });
    tame.collect::<String>().trim().to_owned()
}

fn visible(character: char) -> char {
    match character.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "forward")]
    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(
            one_line(b" a\r\nb\tc\x1b[31m\xff\0 "),
            "a  b c\u{fffd}[31m\u{fffd}\u{fffd}"
        );
        assert_eq!(one_line("é\u{85}".as_bytes()), "é\u{fffd}");
    }
}
