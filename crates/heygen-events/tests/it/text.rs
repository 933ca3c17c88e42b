//! Which characters of foreign text are safe to show.

use heygen_events::text::is_unsafe_to_show;

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
