//! Makes untrusted text safe to show: in a log, in a reason, on a terminal.

/// Whether a character of untrusted text is unsafe to show: a control character, which controls a
/// terminal (C0, DEL, C1), one that reorders or hides its neighbours (bidirectional controls,
/// zero-width and other format characters, tags), or a separator that some programs treat as a line
/// end (U+2028, U+2029).
///
/// These are the general categories Cc, Cf, Zl and Zp, and the letters that have no glyph (Hangul
/// fillers, U+034F).
///
/// # Examples
///
/// ```
/// use heygen_events::text::is_unsafe_to_show;
///
/// assert!("video\u{202e}4pm.exe".contains(is_unsafe_to_show));
/// assert!(!"Vidéo 動画 🎬".contains(is_unsafe_to_show));
/// ```
#[must_use]
pub fn is_unsafe_to_show(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    let code = u32::from(character);
    UNSAFE
        .binary_search_by(|&(first, last)| match code {
            code if code < first => std::cmp::Ordering::Greater,
            code if code > last => std::cmp::Ordering::Less,
            _ => std::cmp::Ordering::Equal,
        })
        .is_ok()
}

/// The text with every character that is [unsafe to show](is_unsafe_to_show) replaced by U+FFFD.
///
/// # Examples
///
/// ```
/// use heygen_events::text::visible;
///
/// assert_eq!(visible("a\u{1b}[31mb\nc"), "a\u{fffd}[31mb\u{fffd}c");
/// ```
#[must_use]
pub fn visible(text: &str) -> String {
    text.replace(is_unsafe_to_show, "\u{fffd}")
}

/// The longest beginning of a text that has at most so many bytes and ends with a whole character.
///
/// # Examples
///
/// ```
/// use heygen_events::text::truncated;
///
/// assert_eq!(truncated("Vidéo", 4), "Vid");
/// assert_eq!(truncated("Vidéo", 5), "Vidé");
/// assert_eq!(truncated("Vidéo", 100), "Vidéo");
/// ```
#[must_use]
pub fn truncated(text: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The text on one line: line ends and tabs become spaces, other unsafe characters become U+FFFD,
/// and surrounding white space is cut.
///
/// # Examples
///
/// ```
/// use heygen_events::text::one_line;
///
/// assert_eq!(one_line(" no credit:\nretry\tlater\u{1b} "), "no credit: retry later\u{fffd}");
/// ```
#[must_use]
pub fn one_line(text: &str) -> String {
    visible(&text.replace(['\n', '\r', '\t'], " "))
        .trim()
        .to_owned()
}

/// The text with its lines: line ends and tabs stay, other unsafe characters become U+FFFD, and
/// surrounding white space is cut.
///
/// # Examples
///
/// ```
/// use heygen_events::text::lines;
///
/// assert_eq!(lines("a\r\n\tb\u{1b}\n"), "a\n\tb\u{fffd}");
/// ```
#[must_use]
pub fn lines(text: &str) -> String {
    let is_unsafe = |c| is_unsafe_to_show(c) && c != '\n' && c != '\t';
    let text = text.replace("\r\n", "\n").replace(is_unsafe, "\u{fffd}");
    text.trim().to_owned()
}

/// Beyond ASCII, from the Unicode Character Database 16.0: first and last of each range, in order.
const UNSAFE: [(u32, u32); 25] = [
    (0x80, 0x9f),
    (0xad, 0xad),
    (0x34f, 0x34f),
    (0x600, 0x605),
    (0x61c, 0x61c),
    (0x6dd, 0x6dd),
    (0x70f, 0x70f),
    (0x890, 0x891),
    (0x8e2, 0x8e2),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x3164, 0x3164),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_lines() {
        let shown = "a\n\tb\u{fffd}[31m\u{fffd}";
        assert_eq!(lines("\na\r\n\tb\u{1b}[31m\u{fffd}\n"), shown);
    }

    #[test]
    fn one_line_stays_one_line() {
        for (text, expected) in [
            (
                " a\r\nb\tc\u{1b}[31m\u{fffd}\0 ",
                "a  b c\u{fffd}[31m\u{fffd}\u{fffd}",
            ),
            ("é\u{85}", "é\u{fffd}"),
            ("\u{202e}a\u{2028}", "\u{fffd}a\u{fffd}"),
        ] {
            assert_eq!(one_line(text), expected);
        }
    }

    #[test]
    fn text_that_is_visible_steers_nothing() {
        assert_eq!(visible("a\u{1b}[31mb\nc"), "a\u{fffd}[31mb\u{fffd}c");
        assert_eq!(
            visible("\u{9b}\u{202e}\u{2028}é"),
            "\u{fffd}\u{fffd}\u{fffd}é"
        );
    }

    #[test]
    fn ranges_stand_in_order() {
        assert!(UNSAFE.iter().all(|(first, last)| first <= last));
        assert!(UNSAFE.windows(2).all(|two| two[0].1 < two[1].0));
    }
}
