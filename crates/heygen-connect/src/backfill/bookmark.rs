//! [`Bookmark`]: the progress of backfills, stored in the inbox.
//!
//! Everything in it stays true later, so two processes may overwrite each other's bookmark: at
//! worst one reads a part of the log again.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The progress of backfills.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Bookmark {
    pub(super) complete: Option<Complete>,
    pub(super) unfinished: Option<Unfinished>,
}

/// One pass, or several adjoining ones, read everything in the log.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Complete {
    /// Records created before this time were skipped.
    pub(super) since: Option<Timestamp>,
    /// The start of the last full pass: it read down to [`floor`](Self::floor) of that time.
    pub(super) deep_at: Timestamp,
    /// The start of the last pass.
    pub(super) last_at: Timestamp,
}

/// An interrupted pass.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Unfinished {
    /// What is complete after it.
    pub(super) goal: Complete,
    /// Records created before this time are skipped.
    pub(super) lower: Option<Timestamp>,
    /// The next page. `None`: the first.
    pub(super) token: Option<String>,
    /// When the token was received.
    pub(super) token_at: Timestamp,
}

impl Bookmark {
    /// An unreadable bookmark, for example of another version, counts as none.
    pub(super) fn read(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }
}

impl Complete {
    /// Everything created before this time was read. Records that the inbox has deleted since are
    /// not stored again.
    ///
    /// A record may be logged late: when HeyGen finally delivered the event or gave up, 24 h after
    /// creation.
    pub(super) fn floor(&self) -> Timestamp {
        back(self.deep_at, LATE)
    }

    /// A page of known records created before this time ends an incremental pass.
    pub(super) fn known_before(&self) -> Timestamp {
        back(self.last_at, CLOCKS)
    }

    /// Whether it is valid. One from the future was written with a wrong clock, and would skip too
    /// much.
    pub(super) fn is_past(&self, now: Timestamp) -> bool {
        self.deep_at <= now && self.last_at <= now
    }

    pub(super) fn is_deep_enough(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.deep_at);
        !age.is_negative() && age < DAY
    }
}

impl Unfinished {
    /// The token, unless it is too old.
    pub(super) fn fresh_token(&self, now: Timestamp) -> Option<&str> {
        let age = now.duration_since(self.token_at);
        let is_fresh = !age.is_negative() && age < DAY;
        self.token.as_deref().filter(|_| is_fresh)
    }
}

/// Whether the range from `inner` on is within the range from `outer` on. `None`: everything.
pub(super) fn reaches(outer: Option<Timestamp>, inner: Option<Timestamp>) -> bool {
    outer.is_none_or(|outer| inner.is_some_and(|inner| outer <= inner))
}

fn back(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_sub(by).unwrap_or(Timestamp::MIN)
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How long after its creation a record may be logged: three times HeyGen's retry time.
const LATE: SignedDuration = SignedDuration::from_hours(72);

/// The largest expected difference between HeyGen's clock and ours.
const CLOCKS: SignedDuration = SignedDuration::from_mins(15);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn token_is_fresh_for_a_day() {
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
        let reach = SignedDuration::try_from(crate::BACKFILL_REACH).expect("days");
        assert_eq!(reach, LATE + DAY, "deep enough for a day");
        assert_eq!(complete.known_before(), at("2026-11-01T11:45:00Z"));
    }

    #[test]
    fn bookmark_round_trips_and_unreadable_one_is_none() {
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
    fn reaches_compares_ranges() {
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
