//! Many deliveries at once, and probes meanwhile.

use std::time::Duration;

use tokio::task::JoinSet;

use super::seen::{Seen, told_of_many};
use super::{Session, Told};
use crate::drill::{Check, Verdict, bodies};
use crate::sender::{SendError, Sender};

/// What came of a burst.
#[derive(Debug)]
pub(super) struct BurstSeen {
    deliveries: Vec<Seen>,
    probes: Vec<Seen>,
}

impl Session<'_> {
    pub(super) async fn burst(&mut self, check: Check, sender: &Sender) -> Result<Told, SendError> {
        if self.drill.burst == 0 {
            return Ok((Verdict::Skip, "a burst of none".to_owned()));
        }
        let burst = match self.burst.take() {
            Some(burst) => burst,
            None => self.send_burst(sender).await?,
        };
        let told = match check {
            Check::BurstProbe => told_of_many(
                &burst.probes,
                burst.probes.len(),
                "probes answered with 2xx",
            ),
            _ => told_of_many(&burst.deliveries, self.drill.burst, "deliveries accepted"),
        };
        self.burst = Some(burst);
        Ok(told)
    }

    async fn send_burst(&mut self, sender: &Sender) -> Result<BurstSeen, SendError> {
        let mut under_way = JoinSet::new();
        for _ in 0..self.drill.burst {
            let (sender, body) = (sender.clone(), bodies::plain());
            under_way.spawn(async move { sender.deliver(body).await });
        }
        let mut reports = Vec::new();
        let mut probes = Vec::new();
        loop {
            probes.push(self.probe().await?);
            let all = async {
                while let Some(report) = under_way.join_next().await {
                    reports.push(report);
                }
            };
            // What is under way ends by itself: every delivery has its time.
            if tokio::time::timeout(PROBE_PAUSE, all).await.is_ok() {
                break;
            }
        }
        let mut deliveries = Vec::new();
        // A task that panicked is missing in the count, and that is told.
        for report in reports.into_iter().flatten() {
            deliveries.push(self.saw_delivery(report?.attempts().last()));
        }
        Ok(BurstSeen { deliveries, probes })
    }
}

/// Between two probes during a burst.
const PROBE_PAUSE: Duration = Duration::from_millis(100);
