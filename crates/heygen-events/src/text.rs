//! Which characters of a stranger's text show as what they are.

/// Whether a character of a stranger's text is unsafe to show as it is: a control character, which steers a terminal (C0, DEL, C1),
/// one that reorders or hides what stands beside it (bidirectional controls, zero-width and other format characters, tags), or a
/// separator that some readers take for the end of a line (U+2028, U+2029).
///
/// These are the general categories Cc, Cf, Zl and Zp, and the letters that have no glyph (Hangul fillers, U+034F).
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

    #[track_caller]
    fn check(characters: &str, expected: bool) {
        for character in characters.chars() {
            let found = is_unsafe_to_show(character);
            assert_eq!(found, expected, "U+{:04X}", u32::from(character));
        }
    }

    #[test]
    fn what_steers_hides_or_reorders_is_unsafe() {
        check("\0\t\n\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{9f}", true);
        check(
            "\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{feff}\u{2060}\u{ad}\u{180e}",
            true,
        );
        check(
            "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2069}\u{61c}",
            true,
        );
        check("\u{2028}\u{2029}\u{fff9}\u{e0001}\u{e0041}\u{3164}", true);
        check(
            "aZ09 ~\u{a0}éßЖ動畫עברית한🎬\u{fe0f}\u{fffd}\u{2027}\u{202f}\u{2070}",
            false,
        );
    }

    #[test]
    fn ranges_stand_in_order() {
        assert!(UNSAFE.iter().all(|(first, last)| first <= last));
        assert!(UNSAFE.windows(2).all(|two| two[0].1 < two[1].0));
    }
}
