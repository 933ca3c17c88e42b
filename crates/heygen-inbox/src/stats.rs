//! [`Stats`]: what an inbox holds, by several criteria.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::record::{Attempt, AttemptOutcome, DeliverySummary, State};
use crate::source::Source;

/// What an inbox holds, by several criteria. Counting scans all of it once.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// The number of deliveries of each event name, state and source that occurs.
    pub groups: Vec<StatsGroup>,
    /// The results of the attempts that began at the given time or later. In JSON an object.
    #[serde(serialize_with = "by_result")]
    pub attempts: Vec<(AttemptOutcome, u64)>,
}

/// How many deliveries have these three in common.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StatsGroup {
    /// The event name; `None` when the body could not be read as an event.
    pub event_type: Option<String>,
    /// Their state.
    pub state: State,
    /// How they were received.
    pub source: Source,
    /// The number of deliveries.
    pub count: u64,
}

impl Stats {
    /// Adds one delivery, with those of its attempts that are to be counted.
    pub fn add<'a>(
        &mut self,
        summary: &DeliverySummary,
        attempts: impl Iterator<Item = &'a Attempt>,
    ) {
        let known = self.groups.iter_mut().find(|group| {
            group.event_type == summary.event_type
                && (group.state, group.source) == (summary.state, summary.source)
        });
        match known {
            Some(group) => group.count += 1,
            None => self.groups.push(StatsGroup {
                event_type: summary.event_type.clone(),
                state: summary.state,
                source: summary.source,
                count: 1,
            }),
        }
        for attempt in attempts {
            let known = self.attempts.iter_mut();
            let mut known = known.filter(|(result, _)| *result == attempt.result);
            match known.next() {
                Some((_, count)) => *count += 1,
                None => self.attempts.push((attempt.result, 1)),
            }
        }
    }
}

fn by_result<S: Serializer>(
    attempts: &[(AttemptOutcome, u64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(attempts.len()))?;
    for (result, count) in attempts {
        map.serialize_entry(result, count)?;
    }
    map.end()
}
