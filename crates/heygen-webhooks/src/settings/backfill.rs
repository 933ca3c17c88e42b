//! [`BackfillOptions`]: whether and how often `serve` reads HeyGen's log of events.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::failure::Failure;
use crate::settings::span::seconds;

#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct BackfillOptions {
    /// Store missed events from HeyGen's event log, at the start and then at intervals; needs an API
    /// key
    #[arg(long)]
    backfill: bool,
    /// Interval of --backfill in seconds [default: 3600]
    #[arg(
        long,
        value_name = "SECONDS",
        env = "HEYGEN_WEBHOOKS_BACKFILL_INTERVAL"
    )]
    backfill_interval: Option<f64>,
}

impl BackfillOptions {
    /// How often the log is read; `None` for never.
    pub(crate) fn interval(&self) -> Result<Option<Duration>, Failure> {
        if !self.backfill {
            return Ok(None);
        }
        let given = self.backfill_interval.unwrap_or(3600.0);
        seconds("backfill-interval", given, Some(1.0)).map(Some)
    }
}
