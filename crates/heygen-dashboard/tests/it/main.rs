//! The pages in a real browser, and what is answered to requests that no page of ours makes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic in a test is its report"
)]

mod pages;
mod requests;
mod support;
