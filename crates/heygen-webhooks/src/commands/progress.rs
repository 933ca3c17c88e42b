//! Progress bars on standard error, if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;

pub(super) fn deliveries(number: u64) -> Result<ProgressBar, Failure> {
    bar(
        number,
        "{wide_bar} {human_pos} of {human_len} deliveries, {eta} left",
    )
}

pub(super) fn posts(number: u64) -> Result<ProgressBar, Failure> {
    bar(
        number,
        "{wide_bar} {human_pos} of {human_len} requests, {eta} left",
    )
}

pub(super) fn bytes(len: u64) -> Result<ProgressBar, Failure> {
    bar(len, "{wide_bar} {bytes} of {total_bytes}, {eta} left")
}

/// A bar towards a number of pages that becomes known at the first of them.
pub(super) fn pages() -> Result<ProgressBar, Failure> {
    bar(0, "{wide_bar} {percent} %, {eta} left")
}

/// Something of which no one knows how long it takes, or how much there is.
pub(super) fn spinner(template: &str) -> Result<ProgressBar, Failure> {
    let style = ProgressStyle::with_template(template)?;
    let spinner = ProgressBar::new_spinner().with_style(style);
    spinner.enable_steady_tick(Duration::from_millis(100));
    Ok(spinner)
}

fn bar(len: u64, template: &str) -> Result<ProgressBar, Failure> {
    Ok(ProgressBar::new(len).with_style(ProgressStyle::with_template(template)?))
}
