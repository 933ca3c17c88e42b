//! How far long work is, on standard error where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;

/// A bar towards a known number of deliveries.
pub(super) fn deliveries(number: u64) -> Result<ProgressBar, Failure> {
    bar(
        number,
        "{wide_bar} {human_pos} of {human_len} deliveries, {eta} left",
    )
}

/// A bar towards the end of a file.
pub(super) fn bytes(len: u64) -> Result<ProgressBar, Failure> {
    bar(len, "{wide_bar} {bytes} of {total_bytes}, {eta} left")
}

fn bar(len: u64, template: &str) -> Result<ProgressBar, Failure> {
    Ok(ProgressBar::new(len).with_style(ProgressStyle::with_template(template)?))
}
