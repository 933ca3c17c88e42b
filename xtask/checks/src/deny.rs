//! `cargo xtask deny`: what is in the tree of dependencies.
//!
//! cargo-deny reads licences, bans and sources against `deny.toml`. cargo-audit looks up known vulnerabilities and yanked
//! versions; `.cargo/audit.toml` holds exceptions. `RustSec`'s database comes from its repository, or from the folder that
//! `RUSTSEC_DB` names.

use std::env;
use std::path::{self, Path};

use anyhow::{Context, Result, bail};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

use crate::not_run::{self, InCi};
use crate::tools::{self, Checks};
use crate::workspace;

/// Checks everything that can be checked here.
pub fn run(root: &Path) -> Result<()> {
    let checks = match Checks::ensure(root) {
        Ok(checks) => checks,
        Err(error) => {
            let what = "cargo-deny and cargo-audit";
            return not_run::note(root, InCi::Fails, what, &format!("{error:#}"));
        }
    };
    tools::run(checks.command(root, "cargo-deny").args([
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
    .context("deny.toml says what is allowed")?;

    let mut audit = checks.command(root, "cargo-audit");
    audit.arg("audit");
    if let Some(folder) = env::var_os("RUSTSEC_DB") {
        // cargo-audit starts in the root.
        let folder = path::absolute(folder).context("RUSTSEC_DB")?;
        println!("RUSTSEC_DB: {}", state(&folder, today())?);
        audit.args(["--no-fetch", "--db"]).arg(folder);
    } else {
        audit.arg("--db").arg(root.join("target/advisory-db"));
    }
    let output = audit.output().context("start cargo-audit")?;
    let said = String::from_utf8_lossy(&output.stderr);
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{said}");
    if let Some(why) = unreachable(&said) {
        let what = "known vulnerabilities and yanked versions";
        let why = format!("RustSec's database cannot be reached and RUSTSEC_DB is not set ({why})");
        return not_run::note(root, InCi::Passes, what, &why);
    }
    if said.contains("couldn't check if the package is yanked") {
        let why = "the registry cannot be reached";
        not_run::note(root, InCi::Fails, "yanked versions", why)?;
    }
    if !output.status.success() {
        bail!("cargo-audit found a problem; exceptions are in .cargo/audit.toml");
    }
    Ok(())
}

fn today() -> Date {
    TimeZone::UTC.to_datetime(Timestamp::now()).date()
}

/// Why the database could not be fetched, in the words of cargo-audit.
fn unreachable(said: &str) -> Option<&str> {
    said.lines()
        .find_map(|line| line.split_once("couldn't fetch advisory database: "))
        .map(|(_, why)| why)
}

/// How old a copy of the database is, by its newest advisory.
fn state(folder: &Path, today: Date) -> Result<String> {
    let newest = workspace::files_below(folder, "crates")?
        .iter()
        .filter(|path| path.ends_with(".md"))
        .filter_map(|path| workspace::read(folder, path).ok())
        .filter_map(|text| dated(&text))
        .max()
        .with_context(|| format!("{} holds no advisory", folder.display()))?;
    let days = newest.until((Unit::Day, today)).context("count days")?;
    let days = days.get_days();
    Ok(format!(
        "the newest advisory is of {newest}, {days} days ago"
    ))
}

/// The date of an advisory.
fn dated(advisory: &str) -> Option<Date> {
    advisory
        .lines()
        .find_map(|line| line.strip_prefix("date = \"")?.strip_suffix('"'))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn age_is_that_of_the_newest_advisory() {
        let folder = tempfile::tempdir().unwrap();
        let today = jiff::civil::date(2026, 3, 4);
        assert!(state(folder.path(), today).is_err());
        for (name, date) in [("a", "2026-03-01"), ("b", "2025-12-31")] {
            let place = folder.path().join("crates").join(name);
            fs::create_dir_all(&place).unwrap();
            let text = format!("```toml\n[advisory]\ndate = \"{date}\"\n```\n");
            fs::write(place.join("RUSTSEC-0.md"), text).unwrap();
        }
        let found = state(folder.path(), today).unwrap();
        assert_eq!(found, "the newest advisory is of 2026-03-01, 3 days ago");
    }

    #[test]
    fn database_out_of_reach_is_no_vulnerability() {
        let said =
            "    Fetching advisory database\nerror: couldn't fetch advisory database: offline\n";
        assert_eq!(unreachable(said), Some("offline"));
        assert_eq!(unreachable("error: 4 vulnerabilities found!"), None);
    }
}
