//! [`DriftCounter`]: counts by names that senders choose, so their number is limited.

use std::collections::HashSet;
use std::sync::Mutex;

use heygen_inbox::Drift;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::panics::locked;

#[derive(Debug)]
pub(super) struct DriftCounter {
    family: Family<DriftLabels, Counter>,
    known: Mutex<HashSet<Drift>>,
}

type DriftLabels = [(&'static str, String); 3];

impl DriftCounter {
    pub(super) fn new(family: Family<DriftLabels, Counter>) -> Self {
        let known = Mutex::default();
        Self { family, known }
    }

    pub(super) fn count(&self, drift: &[Drift]) {
        for drift in drift {
            let (event_type, name) = if self.has_own_label(drift) {
                (drift.event_type.as_str(), drift.name.as_str())
            } else {
                (OTHER, OTHER)
            };
            let labels = [
                ("kind", drift.kind.as_str().to_owned()),
                ("event_type", event_type.to_owned()),
                ("name", name.to_owned()),
            ];
            self.family.get_or_create(&labels).inc();
        }
    }

    fn has_own_label(&self, drift: &Drift) -> bool {
        let mut known = locked(&self.known);
        if known.contains(drift) {
            return true;
        }
        known.len() < MAX_NAMES && known.insert(drift.clone())
    }
}

const OTHER: &str = "other";
const MAX_NAMES: usize = 200;
