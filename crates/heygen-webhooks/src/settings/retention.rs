//! [`RetentionOptions`]: how long finished deliveries and rejected requests are kept.

use clap::Args;
use heygen_inbox::sqlite::RingOptions;
use heygen_receiver::Retention;
use serde::Deserialize;

use crate::failure::Failure;
use crate::settings::origin;
use crate::settings::span::{Size, Span};

#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "Retention")]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct RetentionOptions {
    /// Delete finished deliveries older than this, such as 30d; pending ones are never deleted
    /// [default: keep everything]
    #[arg(long, value_name = "SPAN", env = "HEYGEN_WEBHOOKS_KEEP")]
    keep: Option<Span>,
    /// Delete the oldest finished deliveries while the inbox is larger than this, such as 10GiB; if it
    /// deletes what --backfill still reads, events may be dispatched again, and the log warns
    /// [default: no limit]
    #[arg(long, value_name = "SIZE", env = "HEYGEN_WEBHOOKS_KEEP_BYTES")]
    keep_bytes: Option<Size>,
    /// Number of rejected requests to keep for `inbox rejected`; 0 for none [default: 1000]
    #[arg(long, value_name = "COUNT", env = "HEYGEN_WEBHOOKS_REJECTED_COUNT")]
    rejected_count: Option<usize>,
    /// Total size of the rejected requests to keep; 0 for none [default: 64MiB]
    #[arg(long, value_name = "SIZE", env = "HEYGEN_WEBHOOKS_REJECTED_BYTES")]
    rejected_bytes: Option<Size>,
}

impl RetentionOptions {
    pub(crate) fn deliveries(&self) -> Result<Retention, Failure> {
        // An empty inbox has a tenth of that. What is deleted at once is no longer recognised when HeyGen sends it again.
        if let Some(Size(bytes)) = self.keep_bytes
            && bytes < MIB
        {
            return Err(Failure::usage(format!(
                "{}: {bytes} bytes would delete every delivery as soon as it is finished: give 1MiB or more, such as 10GiB",
                origin::name("keep-bytes")
            )));
        }
        let mut retention = Retention::default();
        retention.keep = self.keep.map(|span| span.0);
        retention.keep_bytes = self.keep_bytes.map(|size| size.0);
        Ok(retention)
    }

    /// `None` to keep no rejected requests.
    pub(crate) fn rejected(&self) -> Option<RingOptions> {
        let mut ring = RingOptions::default();
        ring.max_requests = self.rejected_count.unwrap_or(ring.max_requests);
        ring.max_bytes = self.rejected_bytes.map_or(ring.max_bytes, |size| size.0);
        (ring.max_requests > 0 && ring.max_bytes > 0).then_some(ring)
    }
}

const MIB: u64 = 1024 * 1024;
