//! [`LogOrder`]: which way the log of events comes.

use serde::{Deserialize, Serialize};

/// Which way the log of events comes. HeyGen documents none.
///
/// # Wire shape
///
/// `log_order` in [`Misbehaviour`](super::Misbehaviour): `"newest_first"`, `"oldest_first"` or `"shuffled"`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogOrder {
    /// The newest event is the first of the first page.
    #[default]
    NewestFirst,
    /// The oldest event is, and what is new comes at the end of the last page.
    OldestFirst,
    /// None that anybody could see, but the same every time.
    Shuffled,
}

impl LogOrder {
    /// The greater, the sooner an event comes; no two events have the same.
    pub(super) fn rank(self, position: u64) -> u64 {
        match self {
            Self::NewestFirst => position,
            Self::OldestFirst => u64::MAX - position,
            // An odd factor: no two products are equal.
            Self::Shuffled => position.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }
}
