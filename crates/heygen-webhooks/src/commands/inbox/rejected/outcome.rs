//! [`Outcome`]: the result of verifying requests again, as text and as JSON.

use std::collections::BTreeMap;

use heygen_inbox::Appended;
use serde_json::{Value, json};

use super::file::NOTHING;
use crate::commands::inbox::size;

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) checked: u64,
    pub(super) verified: u64,
    /// Accepted requests: the number of each, and what the inbox answered.
    pub(super) appended: Vec<(u64, Appended)>,
    /// How many do not verify, by the label of the diagnosis.
    pub(super) not_verified: BTreeMap<&'static str, u64>,
    /// Requests that were named and are not there.
    pub(super) missing: Vec<u64>,
}

impl Outcome {
    pub(super) fn json(&self, dry_run: bool) -> Value {
        let deliveries = self.appended.iter().map(|(post, appended)| {
            let is_new = matches!(appended, Appended::New(_));
            json!({"request": post, "id": appended.id().to_string(), "new": is_new})
        });
        json!({
            "checked": self.checked,
            "verified": self.verified,
            "new": self.new_ones(),
            "duplicate": self.appended.len() as u64 - self.new_ones(),
            "deliveries": deliveries.collect::<Vec<_>>(),
            "not_verified": self.not_verified,
            "missing": self.missing,
            "dry_run": dry_run,
        })
    }

    pub(super) fn text(&self, dry_run: bool) -> String {
        let missing = self.missing.iter();
        let mut parts: Vec<String> = missing
            .map(|id| format!("no request {id}; it may have been displaced\n"))
            .collect();
        match (self.checked, dry_run) {
            (0, _) if parts.is_empty() => parts.push(NOTHING.to_owned()),
            (0, _) => {}
            (_, true) => parts.push(format!(
                "{} would be accepted, unless already in the inbox; nothing was changed (dry run)\n",
                size::requests(self.verified)
            )),
            (_, false) => parts.push(self.accepted()),
        }
        parts.push(self.left());
        parts.concat()
    }

    fn accepted(&self) -> String {
        let new = self.new_ones();
        let there = self.appended.len() as u64 - new;
        let mut text = format!("{} accepted", size::requests(new));
        if there > 0 {
            let there = size::requests(there);
            text.extend([
                ", ",
                &there,
                " already in the inbox (HeyGen had sent it again)",
            ]);
        }
        text.push('\n');
        if new > 0 {
            text.push_str(
                "a running `serve` picks it up within a second, otherwise the next one does\n",
            );
        }
        text
    }

    fn left(&self) -> String {
        if self.not_verified.is_empty() {
            return String::new();
        }
        let number = size::requests(self.not_verified.values().sum());
        let counts = self.not_verified.iter();
        let counts = counts.map(|(label, count)| format!("  {label}: {}\n", size::count(*count)));
        format!(
            "{number} not verified, and still rejected:\n{}{RETRIES}",
            counts.collect::<String>()
        )
    }

    fn new_ones(&self) -> u64 {
        let is_new = |(_, appended): &&(u64, Appended)| matches!(appended, Appended::New(_));
        self.appended.iter().filter(is_new).count() as u64
    }
}

const RETRIES: &str = "\
`inbox rejected show ID` tells why. HeyGen retries a rejected delivery for 24 hours; `backfill` fetches older events.
";
