//! [`Scraped`]: values that are read at a scrape.

use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use heygen_inbox::Counts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::panics::locked;

#[derive(Default)]
pub(super) struct Scraped {
    state: Mutex<State>,
    external: Mutex<Vec<External>>,
}

/// A metric that is kept elsewhere.
pub(super) struct External {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) label: Option<(&'static str, String)>,
    pub(super) read: Reading,
}

/// How an external metric is read.
pub(super) enum Reading {
    Counter(Box<dyn Fn() -> u64 + Send + Sync>),
    /// Absent while it has no value.
    Gauge(Box<dyn Fn() -> Option<f64> + Send + Sync>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) queue_len: Option<u64>,
    pub(super) counts: Option<Counts>,
    pub(super) is_paused: Option<bool>,
    /// `None` without a dispatcher.
    pub(super) is_stalled: Option<bool>,
}

impl Scraped {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    pub(super) fn add(&self, external: External) {
        locked(&self.external).push(external);
    }
}

impl Collector for Scraped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let State {
            queue_len,
            counts,
            is_paused,
            is_stalled,
        } = self.state().clone();
        let mut encoder = Gauges(&mut encoder);
        if let Some(len) = queue_len {
            encoder.write(
                "append_queue_length",
                "Requests that wait to be stored in the inbox.",
                len,
            )?;
        }
        if let Some(is_paused) = is_paused {
            encoder.write(
                "dispatch_paused",
                "Whether an operator paused dispatch.",
                u64::from(is_paused),
            )?;
        }
        if let Some(is_stalled) = is_stalled {
            encoder.write(
                "dispatch_stalled",
                "Whether the inbox has failed or hung for 30 s or longer, so that nothing is dispatched.",
                u64::from(is_stalled),
            )?;
        }
        if let Some(counts) = counts {
            encoder.write("pending", "Deliveries to be dispatched.", counts.pending)?;
            encoder.write("claimed", "Deliveries being handled.", counts.claimed)?;
            encoder.write(
                "dead_lettered",
                "Deliveries that were dead-lettered.",
                counts.dead_lettered,
            )?;
            encoder.write(
                "inbox_bytes",
                "Storage that the inbox uses, including a long write-ahead log.",
                counts.bytes,
            )?;
            encoder.write(
                "inbox_log_bytes",
                "Size of the write-ahead log of the inbox.",
                counts.log_bytes,
            )?;
            let age = counts.oldest_pending.map_or(0.0, |oldest| {
                let age = SystemTime::now().duration_since(oldest);
                age.unwrap_or_default().as_secs_f64()
            });
            encoder.write(
                "oldest_pending_age_seconds",
                "Age of the oldest pending delivery.",
                age,
            )?;
        }
        for external in &*locked(&self.external) {
            match &external.read {
                Reading::Counter(read) => encoder.external(external, &ConstCounter::new(read()))?,
                Reading::Gauge(read) => {
                    if let Some(value) = read() {
                        encoder.external(external, &ConstGauge::new(value))?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Scraped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scraped")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

struct Gauges<'a, 'e>(&'a mut DescriptorEncoder<'e>);

impl Gauges<'_, '_> {
    fn external(&mut self, external: &External, metric: &impl EncodeMetric) -> fmt::Result {
        let name = format!("heygen_webhooks_{}", external.name);
        let mut encoder =
            self.0
                .encode_descriptor(&name, external.help, None, metric.metric_type())?;
        match &external.label {
            Some((name, value)) => {
                metric.encode(encoder.encode_family(&[(*name, value.as_str())])?)
            }
            None => metric.encode(encoder),
        }
    }

    fn write<N: EncodeGaugeValue>(&mut self, name: &str, help: &str, value: N) -> fmt::Result {
        let name = format!("heygen_webhooks_{name}");
        let gauge = ConstGauge::new(value);
        let metric = self
            .0
            .encode_descriptor(&name, help, None, gauge.metric_type())?;
        gauge.encode(metric)
    }
}
