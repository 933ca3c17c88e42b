//! [`TrafficCount`]: how many deliveries were received over time, including those pruned since.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::names::impl_names;
use crate::record::DeliverySummary;
use crate::time;

/// How often one thing happened to deliveries of one event type, in one minute or hour.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrafficCount {
    /// When the minute or hour begins.
    #[serde(serialize_with = "time::serialize")]
    pub at: SystemTime,
    /// What happened.
    pub kind: TrafficKind,
    /// To deliveries of this event; `None` for bodies that could not be read as an event.
    pub event_type: Option<String>,
    /// How often.
    pub count: u64,
}

/// What happened to a delivery.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum TrafficKind {
    /// It was stored as new. Imports are not counted.
    Accepted,
    /// It was received again.
    Duplicate,
    /// An attempt ended without an acknowledgement.
    FailedAttempt,
}

/// The units in which traffic is counted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TrafficUnit {
    /// By minute, for the last two hours.
    Minute,
    /// By hour, for the last 31 days.
    Hour,
}

impl TrafficCount {
    /// A count.
    #[must_use]
    pub fn new(at: SystemTime, kind: TrafficKind, event_type: Option<String>, count: u64) -> Self {
        Self {
            at,
            kind,
            event_type,
            count,
        }
    }
}

impl_names! {
    TrafficKind, "a kind: accepted, duplicate or failed_attempt";
    /// Every kind.
    ALL: 3;
    /// Its name in JSON and in the file.
    as_str {
        Accepted => "accepted",
        Duplicate => "duplicate",
        FailedAttempt => "failed_attempt",
    }
}

impl TrafficUnit {
    /// How long one is.
    #[must_use]
    pub fn length(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::Hour => Duration::from_secs(3600),
        }
    }

    /// How the files of SQLite name it: by its length in seconds.
    #[cfg(feature = "sqlite")]
    pub(crate) fn span(self) -> i64 {
        self.length().as_secs().cast_signed()
    }

    /// When the unit that `time` is in begins.
    pub(crate) fn start_of(self, time: SystemTime) -> SystemTime {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let length = self.length().as_secs();
        UNIX_EPOCH + Duration::from_secs(since.as_secs() / length * length)
    }
}

/// The traffic of stored deliveries, for a store that has no counts.
pub(crate) fn of_summaries(summaries: &[DeliverySummary], unit: TrafficUnit) -> Vec<TrafficCount> {
    let mut counts = BTreeMap::<_, u64>::new();
    for summary in summaries {
        let event_type = summary.event_type.as_deref();
        let start = unit.start_of(summary.received_at);
        *counts.entry((start, event_type)).or_default() += 1;
    }
    let counts = counts.into_iter().map(|((at, event_type), count)| {
        let event_type = event_type.map(str::to_owned);
        TrafficCount::new(at, TrafficKind::Accepted, event_type, count)
    });
    counts.collect()
}
