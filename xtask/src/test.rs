//! `cargo xtask test`: what the tests need, then the tests.

use std::path::Path;

use anyhow::{Context, Result};
use xtask_checks::{axe, nats, tools, workspace};

use crate::setup::{self, Scope};

/// The arguments of `cargo` that run every test and doctest.
pub(crate) const CARGO_TEST: [&str; 3] = ["test", "--workspace", "--all-features"];

/// Prepares, then tests.
pub(crate) fn run(root: &Path) -> Result<()> {
    setup::run(root, Scope::Test, Scope::Test, false)?;
    nats::ensure(root)?;
    axe::ensure(root)?;
    tools::run(workspace::cargo(root).args(CARGO_TEST)).context("cargo test")
}
