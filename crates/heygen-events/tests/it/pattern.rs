//! Patterns of event names.

use heygen_events::{Pattern, PatternErrorKind};

#[track_caller]
fn check(pattern: &str, name: &str, expected: bool) {
    let pattern: Pattern = pattern.parse().unwrap();
    assert_eq!(pattern.matches(name), expected, "{pattern} {name:?}");
}

#[test]
fn a_star_is_any_run_of_characters() {
    check("avatar_video.success", "avatar_video.success", true);
    check("avatar_video.success", "avatar_video.success2", false);
    check("avatar_video.success", "avatar_video.Success", false);
    check("avatar_video.*", "avatar_video.success", true);
    check("avatar_video.*", "avatar_video.", true);
    check("avatar_video.*", "avatar_video_gif.success", false);
    check("*.fail", "avatar_video.fail", true);
    check("*.fail", "avatar_video.failed", false);
    check(
        "video_translate.*.download_failed",
        "video_translate.preflight.download_failed",
        true,
    );
    check(
        "video_translate.*.download_failed",
        "video_translate.download_failed",
        false,
    );
    check("*video*.s*", "avatar_video_gif.success", true);
    check("*gif*video*", "avatar_video_gif.success", false);
    check("**", "batch.finished", true);
    check("*é*", "café.x", true);
}

#[test]
fn parts_do_not_overlap() {
    check("a*a", "a", false);
    check("a*a", "aa", true);
    check("ab*b*bc", "abbc", false);
    check("ab*b*bc", "abbbc", true);
    check("*aa*aa*", "aaa", false);
    check("*aa*aa*", "aaaa", true);
    check("*aba*ba", "xababa", true);
}

#[test]
fn only_star_matches_the_empty_name() {
    check("*", "", true);
    check("***", "", true);
    check("a*", "", false);
    check("*.*", "", false);
}

#[test]
fn many_stars_take_no_more_time() {
    // A matcher that tries every place for every star would not end within a lifetime.
    let name = "a".repeat(100_000);
    check(&format!("{}b", "*a".repeat(1000)), &name, false);
    check(&format!("{}*b*", "*a".repeat(1000)), &name, false);
    check(&"*a".repeat(1000), &name, true);
}

#[track_caller]
fn check_error(text: &str, kind: PatternErrorKind) {
    assert_eq!(
        text.parse::<Pattern>().unwrap_err().kind(),
        kind,
        "{text:?}"
    );
}

#[test]
fn what_is_no_pattern() {
    check_error("", PatternErrorKind::Empty);
    check_error(" ", PatternErrorKind::Character);
    check_error("a.*, b.*", PatternErrorKind::Character);
    check_error("a.*\n", PatternErrorKind::Character);
    check_error("a\0", PatternErrorKind::Character);
}
