//! packages/python: checked by mypy, built, installed from the archive and tested there.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::Places;
use crate::process::run;
use crate::tools::{Missing, emptied};

/// Builds; installs the archive for the receivers; tests it when that is wanted.
pub(crate) fn check(
    places: &Places,
    venv: &Result<PathBuf, Missing>,
    is_wanted: bool,
) -> Result<String> {
    let venv = venv.clone()?;
    let program = |name: &str| {
        let mut command = Command::new(venv.join("bin").join(name));
        command
            .current_dir(&places.root)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    let built = emptied(places.target.join("dist"))?;
    run(program("python")
        .args([
            "-m",
            "build",
            "--no-isolation",
            "packages/python",
            "--outdir",
        ])
        .arg(&built))?;
    let archive = built.join(ARCHIVE);
    let installed = emptied(installed(places))?;
    run(program("pip")
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--no-index",
            "--target",
        ])
        .args([&installed, &archive]))
    .with_context(|| format!("install {ARCHIVE}"))?;
    if !is_wanted {
        return Ok("installed, not tested".to_owned());
    }
    run(program("mypy")
        .arg("--config-file=packages/python/pyproject.toml")
        .arg("--cache-dir")
        .arg(places.target.join("mypy"))
        .arg("packages/python/src"))?;
    let printed = run(program("python")
        .args([
            "-m",
            "pytest",
            "--quiet",
            "-p",
            "no:cacheprovider",
            "--disable-warnings",
        ])
        .arg(places.root.join("packages/python/tests"))
        .current_dir(&built)
        .env("PYTHONPATH", &installed)
        .env("HEYGEN_FIXTURES", places.root.join("fixtures"))
        .env("HEYGEN_WEBHOOKS_BIN", &places.binary))?;
    let passed = printed.lines().last().unwrap_or_default();
    let passed = passed.split(',').next().unwrap_or_default();
    Ok(format!("mypy --strict, {passed} from {ARCHIVE}"))
}

/// Where the archive is installed, and nothing else.
pub(crate) fn installed(places: &Places) -> PathBuf {
    places.target.join("python")
}

const ARCHIVE: &str = concat!(
    "heygen_webhooks-",
    env!("CARGO_PKG_VERSION"),
    "-py3-none-any.whl"
);
