//! [`Stats`]: what an inbox holds, by several criteria.

use crate::{AttemptResult, Source, State};

/// What an inbox holds, by several criteria. Counting goes through all of it once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// How many deliveries there are of each event name, state and source that occurs; `None` for bodies that could not be
    /// read as an event.
    pub groups: Vec<StatsGroup>,
    /// How the handings-out ended that began at the asked time or later.
    pub attempts: Vec<(AttemptResult, u64)>,
}

/// How many deliveries have these three in common.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StatsGroup {
    /// The event name; `None` when the body could not be read as an event.
    pub event_type: Option<String>,
    /// How far the handing-out is.
    pub state: State,
    /// Which way they came in.
    pub source: Source,
    /// How many.
    pub count: u64,
}
