//! The burst: many deliveries at once, and probes while they are under way.

use std::time::Duration;

use tokio::task::JoinSet;

use super::Session;
use super::observation::{Finding, Observation, summarize};
use crate::drill::{bodies, check::Check};
use crate::sender::{SendError, Sender};

/// The results of a burst.
#[derive(Debug)]
pub(super) struct BurstObservation {
    deliveries: Vec<Observation>,
    probes: Vec<Observation>,
}

impl Session<'_> {
    pub(super) async fn burst(
        &mut self,
        check: Check,
        sender: &Sender,
    ) -> Result<Finding, SendError> {
        if self.drill.burst == 0 {
            return Ok(Finding::skip("the burst is 0"));
        }
        if check == Check::BurstProbe && !self.probed().await?.accepted() {
            return Ok(Finding::skip(
                "OPTIONS is not answered with 2xx without a burst either",
            ));
        }
        let burst = match self.burst.take() {
            Some(burst) => burst,
            None => self.send_burst(sender).await?,
        };
        let finding = match check {
            Check::BurstProbe => summarize(
                &burst.probes,
                burst.probes.len(),
                "probes answered with 2xx",
            ),
            _ => summarize(&burst.deliveries, self.drill.burst, "deliveries accepted"),
        };
        self.burst = Some(burst);
        Ok(finding)
    }

    async fn send_burst(&mut self, sender: &Sender) -> Result<BurstObservation, SendError> {
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
            // The deliveries end by themselves: each has a timeout.
            if tokio::time::timeout(PROBE_PAUSE, all).await.is_ok() {
                break;
            }
        }
        let mut deliveries = Vec::new();
        // A task that panicked is missing in the count, which fails the check.
        for report in reports.into_iter().flatten() {
            deliveries.push(self.record_delivery(report?.attempts().last()));
        }
        Ok(BurstObservation { deliveries, probes })
    }
}

/// The pause between two probes during a burst.
const PROBE_PAUSE: Duration = Duration::from_millis(100);
