//! [`Bookmark`]: how far back-filling has come, as the inbox keeps it.
//!
//! Each of its sentences stays true whatever else happens, so two processes that overwrite each other's do no harm: at worst
//! one of them goes over a part of the log again.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How far back-filling has come.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Bookmark {
    pub(super) complete: Option<Complete>,
    pub(super) unfinished: Option<Unfinished>,
}

/// A pass, or several that join, went over everything that was in the log.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Complete {
    /// What was made before it was left out.
    pub(super) since: Option<Timestamp>,
    /// When the last pass of these began that went down to what [`floor`](Self::floor) was then.
    pub(super) deep_at: Timestamp,
    /// When the last pass of these began.
    pub(super) last_at: Timestamp,
}

/// A pass that has not come to its end.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Unfinished {
    /// What it will have made complete.
    pub(super) goal: Complete,
    /// What was made before it is left out.
    pub(super) lower: Option<Timestamp>,
    /// The page to go on with; `None` is the first.
    pub(super) token: Option<String>,
    /// When HeyGen gave the token.
    pub(super) token_at: Timestamp,
}

impl Bookmark {
    /// What is no bookmark, one of another version for instance, is as good as none.
    pub(super) fn read(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }
}

impl Complete {
    /// Everything made before this was gone over. What fell out of the inbox meanwhile is not taken again.
    ///
    /// A record may come into the log late, when HeyGen at last delivered the event or gave it up, 24 h after it was made.
    pub(super) fn floor(&self) -> Timestamp {
        back(self.deep_at, LATE)
    }

    /// A page of events all made before this and all known ends a pass between two deep ones.
    pub(super) fn known_before(&self) -> Timestamp {
        back(self.last_at, CLOCKS)
    }

    /// Whether it can be believed: one from the future was written while the clock was wrong, and would leave out too much.
    pub(super) fn is_past(&self, now: Timestamp) -> bool {
        self.deep_at <= now && self.last_at <= now
    }

    pub(super) fn is_deep_enough(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.deep_at);
        !age.is_negative() && age < DAY
    }
}

impl Unfinished {
    /// The token, while HeyGen can be expected to know it.
    pub(super) fn fresh_token(&self, now: Timestamp) -> Option<&str> {
        let age = now.duration_since(self.token_at);
        let is_fresh = !age.is_negative() && age < DAY;
        self.token.as_deref().filter(|_| is_fresh)
    }
}

/// Whether what begins at `inner` lies within what begins at `outer`; `None` is the beginning of all.
pub(super) fn reaches(outer: Option<Timestamp>, inner: Option<Timestamp>) -> bool {
    outer.is_none_or(|outer| inner.is_some_and(|inner| outer <= inner))
}

fn back(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_sub(by).unwrap_or(Timestamp::MIN)
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Three times as long as HeyGen tries to deliver.
const LATE: SignedDuration = SignedDuration::from_hours(72);

/// How far HeyGen's clock and ours may be apart.
const CLOCKS: SignedDuration = SignedDuration::from_mins(15);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_token_lives_for_a_day() {
        let moment = at("2026-11-01T12:00:00Z");
        let complete = Complete {
            since: None,
            deep_at: moment,
            last_at: moment,
        };
        let unfinished = Unfinished {
            goal: complete,
            lower: None,
            token: Some("t".to_owned()),
            token_at: moment,
        };
        for (now, fresh) in [
            ("2026-11-01T12:00:00Z", true),
            ("2026-11-02T11:59:59Z", true),
            ("2026-11-02T12:00:00Z", false),
            ("2026-11-01T11:59:59Z", false),
        ] {
            assert_eq!(unfinished.fresh_token(at(now)).is_some(), fresh, "{now}");
            assert_eq!(complete.is_deep_enough(at(now)), fresh, "{now}");
        }
        assert_eq!(complete.floor(), at("2026-10-29T12:00:00Z"));
        assert_eq!(complete.known_before(), at("2026-11-01T11:45:00Z"));
    }

    #[test]
    fn it_is_read_back_and_what_is_none_is_nothing() {
        let moment = at("2026-11-01T12:00:00Z");
        let complete = Complete {
            since: Some(moment),
            deep_at: moment,
            last_at: moment,
        };
        let bookmark = Bookmark {
            complete: Some(complete),
            unfinished: Some(Unfinished {
                goal: complete,
                lower: None,
                token: None,
                token_at: moment,
            }),
        };
        let text = serde_json::to_string(&bookmark).expect("JSON");
        assert_eq!(Bookmark::read(Some(&text)), bookmark);
        for other in [None, Some(""), Some("7"), Some(r#"{"complete":7}"#)] {
            assert_eq!(Bookmark::read(other), Bookmark::default());
        }
    }

    #[test]
    fn bounds_are_compared() {
        let (early, late) = (
            Some(at("2026-11-01T00:00:00Z")),
            Some(at("2026-11-02T00:00:00Z")),
        );
        for (outer, inner, expected) in [
            (None, None, true),
            (None, late, true),
            (early, late, true),
            (late, late, true),
            (late, early, false),
            (early, None, false),
        ] {
            assert_eq!(reaches(outer, inner), expected, "{outer:?} {inner:?}");
        }
    }
}
