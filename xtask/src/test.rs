//! `cargo xtask test`: what the tests need, then the tests.
//!
//! They need two things that cargo does not bring: a C compiler with the headers of the C library, because SQLite is
//! built from source, and the servers of [`nats`].

use std::env;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{debian, nats, workspace};

/// What provides the compiler and the headers on Debian and its relatives.
const DEBIAN_PACKAGES: [&str; 2] = ["gcc", "libc6-dev"];

/// The arguments of `cargo` that run every test and doctest.
pub(crate) const CARGO_TEST: [&str; 3] = ["test", "--workspace", "--all-features"];

/// Prepares, then tests.
pub(crate) fn run(root: &Path) -> Result<()> {
    ensure_c_compiler()?;
    nats::ensure(root)?;
    let status = workspace::cargo(root)
        .args(CARGO_TEST)
        .status()
        .context("start cargo test")?;
    if !status.success() {
        bail!("the tests failed: cargo {}", CARGO_TEST.join(" "));
    }
    Ok(())
}

/// Finds a working C compiler, or installs one where that is plainly allowed.
pub(crate) fn ensure_c_compiler() -> Result<()> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if compiles(&compiler) {
        return Ok(());
    }
    let packages = DEBIAN_PACKAGES.join(" ");
    if !debian::may_install() {
        bail!(
            "`{compiler}` compiles no C, and SQLite is built from source: install a C compiler \
             (Debian and Ubuntu: `apt-get install {packages}`) or name one in CC"
        );
    }
    println!("no C compiler: installing {packages}");
    debian::install(&DEBIAN_PACKAGES)?;
    if !compiles(&compiler) {
        bail!("`{compiler}` still compiles no C after installing {packages}");
    }
    Ok(())
}

/// Whether `compiler` takes a small program that needs the C library's headers.
///
/// `CC` may hold arguments after the name, as it may for the build of SQLite.
fn compiles(compiler: &str) -> bool {
    let mut words = compiler.split_whitespace();
    let Some(program) = words.next() else {
        return false;
    };
    let child = Command::new(program)
        .args(words)
        .args(["-x", "c", "-fsyntax-only", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return false;
    };
    // A compiler that stops reading has failed, and its status says so.
    if let Some(mut input) = child.stdin.take() {
        let _ =
            input.write_all(b"#include <stdio.h>\nint main(void) { return puts(\"\") == EOF; }\n");
    }
    child.wait().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(compiler: &str, expected: bool) {
        assert_eq!(compiles(compiler), expected, "{compiler}");
    }

    #[test]
    fn only_a_compiler_compiles() {
        check("", false);
        check("no-such-compiler", false);
        check("false", false);
        check(&env::var("CC").unwrap_or_else(|_| "cc".to_owned()), true);
    }
}
