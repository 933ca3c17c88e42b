//! `cargo xtask fixtures`: the bodies in `fixtures/events` as constants of `heygen-testkit`, checked on the way, and the
//! list of all bodies with what a receiver makes of them, `fixtures/index.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use heygen_events::{Event, EventType, schema};
use serde_json::{Value, json};
use xtask_checks::workspace;
use xtask_contracts::{answers, vectors};

use crate::generated::Generated;

/// One body of `fixtures/events`.
#[derive(Debug)]
pub(crate) struct Fixture {
    /// Its path below `fixtures/`.
    path: String,
    /// The folder.
    event_type: String,
    /// The name of the file, without its ending.
    case: String,
    /// The file as it is.
    pub(crate) body: String,
}

/// Where a fixture comes from: how its case begins, and the variant of the testkit's `Provenance`.
const PROVENANCES: [&str; 6] = [
    "Documented",
    "Observed",
    "Resource",
    "Invented",
    "Odd",
    "Malformed",
];

const VECTORS: &str = "fixtures/signature-vectors.json";
const ANSWERS: &str = "fixtures/answers.json";
const TYPESCRIPT: &str = "packages/npm/src/names.ts";
const PYTHON: &str = "packages/python/src/heygen_webhooks/names.py";

/// How the case of an event's sample may begin, best first.
const SAMPLES: [&str; 5] = [
    "documented-v3",
    "documented",
    "observed",
    "resource",
    "invented-minimal",
];

/// The file that compiles the fixtures in, and what tests and packages of other languages take from here. Fails when a fixture or the list of them is not as it should be.
pub(crate) fn generated(root: &Path) -> Result<Generated> {
    let fixtures = read(root)?;
    let readme = workspace::read(root, "fixtures/README.md")?;
    let files = workspace::files_below(root, "fixtures")?;
    check_list(&readme, &files).context("fixtures/README.md")?;
    for event_type in EventType::KNOWN {
        if sample(&fixtures, event_type.as_str()).is_none() {
            bail!("fixtures/events/{event_type} has no case that can be the sample of the event");
        }
    }
    let table = "crates/heygen-testkit/src/fixtures/table.rs".to_owned();
    Ok(Generated {
        command: "cargo xtask fixtures",
        folder: None,
        files: BTreeMap::from([
            (table, text(&fixtures)?),
            (INDEX.to_owned(), schema::text(&index(root, &fixtures)?)),
            (VECTORS.to_owned(), vectors::text()?),
            (ANSWERS.to_owned(), answers::text(root, &files)?),
            (TYPESCRIPT.to_owned(), answers::typescript()),
            (PYTHON.to_owned(), answers::python()),
        ]),
    })
}

/// Every fixture, in the order of their paths, each checked to be the event that its folder names.
pub(crate) fn read(root: &Path) -> Result<Vec<Fixture>> {
    workspace::files_below(root, "fixtures/events")?
        .iter()
        .map(|path| {
            let body = workspace::read(root, path)?;
            Fixture::new(path, body).with_context(|| path.clone())
        })
        .collect()
}

/// The body that stands for an event: the best of its cases.
pub(crate) fn sample<'a>(fixtures: &'a [Fixture], event_type: &str) -> Option<&'a Fixture> {
    SAMPLES.iter().find_map(|wanted| {
        fixtures.iter().find(|fixture| {
            // An observed case says when (`observed-2025-01`); the others must match in full, for `documented-older`
            // is no sample.
            let is_wanted = fixture.case == *wanted
                || *wanted == "observed" && fixture.case.starts_with("observed-");
            fixture.event_type == event_type && is_wanted
        })
    })
}

impl Fixture {
    fn new(path: &str, body: String) -> Result<Self> {
        let path = path.strip_prefix("fixtures/").unwrap_or(path).to_owned();
        let names: Vec<&str> = path.split('/').collect();
        let ["events", event_type, file] = names[..] else {
            bail!("a fixture is events/<event_type>/<case>.json");
        };
        let Some(case) = file.strip_suffix(".json") else {
            bail!("a fixture ends in .json");
        };
        let value: Value = serde_json::from_str(&body).context("parse the JSON")?;
        let name = value.get("event_type").or_else(|| value.get("event"));
        if name.and_then(Value::as_str) != Some(event_type) {
            bail!("the folder is {event_type}, and the body's event_type is not");
        }
        if !body.ends_with('\n') {
            bail!("the last line is not ended");
        }
        Ok(Self {
            event_type: event_type.to_owned(),
            case: case.to_owned(),
            body,
            path,
        })
    }

    /// Its path from the root.
    pub(crate) fn path_in_repository(&self) -> String {
        format!("fixtures/{}", self.path)
    }

    /// The variant of the testkit's `Provenance`.
    pub(crate) fn provenance(&self) -> Result<&'static str> {
        let start = self.case.split('-').next().unwrap_or_default();
        let mut variants = PROVENANCES.into_iter();
        let found = variants.find(|variant| variant.to_lowercase() == start);
        found.with_context(|| {
            let words = PROVENANCES.join(", ").to_lowercase();
            format!("{}: the case begins with none of {words}", self.path)
        })
    }

    /// Its entry in the list.
    fn entry(&self) -> Result<Value> {
        let provenance = self.provenance()?.to_lowercase();
        let event = Event::from_slice(self.body.as_bytes()).context("parse the event")?;
        let verdict = match event.is_well_formed() {
            true => "well_formed",
            false => MALFORMED,
        };
        if (verdict == MALFORMED) != (provenance == MALFORMED) {
            bail!("the event is {verdict}, and its case says {provenance}");
        }
        Ok(json!({
            "file": self.path,
            "event_type": self.event_type,
            "known": event.is_known(),
            "provenance": provenance,
            "verdict": verdict,
        }))
    }

    fn constant(&self) -> String {
        format!("{}_{}", self.event_type, self.case)
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
            .to_ascii_uppercase()
    }
}

/// The text of the table: one entry each.
fn text(fixtures: &[Fixture]) -> Result<String> {
    let mut text = HEADER.to_owned();
    for fixture in fixtures {
        // A body with the end of these quotes in it would not compile; none has them so far.
        writeln!(
            text,
            "    {constant} is {event_type:?}, {case:?}, {provenance}, r#\"{body}\"#;",
            constant = fixture.constant(),
            event_type = fixture.event_type,
            case = fixture.case,
            provenance = fixture.provenance()?,
            body = fixture.body,
        )?;
    }
    text.push_str("}\n");
    Ok(text)
}

/// Every body with its provenance and what is expected of a receiver, for tests in any language.
fn index(root: &Path, fixtures: &[Fixture]) -> Result<Value> {
    let mut entries = Vec::new();
    for path in workspace::files_below(root, "fixtures/bodies")? {
        let body = fs::read(root.join(&path)).with_context(|| format!("read {path}"))?;
        if Event::from_slice(&body).is_ok() {
            bail!("{path} is an event, which belongs into fixtures/events");
        }
        entries.push(json!({
            "file": path.strip_prefix("fixtures/"),
            "event_type": null,
            "known": false,
            "provenance": UNREADABLE,
            "verdict": UNREADABLE,
        }));
    }
    for fixture in fixtures {
        entries.push(fixture.entry().with_context(|| fixture.path.clone())?);
    }
    Ok(json!({ "$comment": COMMENT, "fixtures": entries }))
}

/// Fails unless the rows of the table in the README are the files there are.
fn check_list<'a>(readme: &'a str, files: &[String]) -> Result<()> {
    let files = files
        .iter()
        .filter_map(|path| path.strip_prefix("fixtures/"));
    let there: BTreeSet<&str> = files.filter(|path| path.contains('/')).collect();
    // The first column of a row: ``| `events/…` | … |``.
    let row = |line: &'a str| Some(line.strip_prefix("| `")?.split_once("` |")?.0);
    let listed: BTreeSet<&str> = readme.lines().filter_map(row).collect();
    if let Some(path) = there.symmetric_difference(&listed).next() {
        bail!("{path} is listed and does not exist, or is not listed");
    }
    Ok(())
}

const INDEX: &str = "fixtures/index.json";

const COMMENT: &str = "Generated by `cargo xtask fixtures`; do not edit.";

const MALFORMED: &str = "malformed";

const UNREADABLE: &str = "unreadable";

const HEADER: &str = "\
// @generated by `cargo xtask fixtures`; do not edit.

//! Every file of `fixtures/events`, in the order of their paths.

use super::{Fixture, Provenance};

fixtures! {
";

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a fixture; nothing if that is empty.
    #[track_caller]
    fn check(path: &str, body: &str, expected: &str) {
        let fixture = Fixture::new(&format!("fixtures/events/{path}"), body.to_owned());
        let error = fixture.and_then(|fixture| fixture.entry()).err();
        let error = error.map_or_else(String::new, |error| format!("{error:#}"));
        let is_expected = error.is_empty() == expected.is_empty() && error.contains(expected);
        assert!(is_expected, "{path}: {error}");
    }

    #[test]
    fn a_fixture_is_what_its_path_says() {
        let body = |data: &str| {
            format!("{{\"event_type\":\"avatar_video.fail\",\"event_data\":{data}}}\n")
        };
        let (good, bad) = (body(r#"{"video_id":"v"}"#), body("[]"));
        let path = "avatar_video.fail/odd-x.json";
        check(path, &good, "");
        check("avatar_video.fail/malformed-x.json", &bad, "");
        check("a.b/odd-x.json", &good, "the folder is a.b");
        check(path, &good[1..], "parse the JSON");
        check(path, good.trim_end(), "the last line");
        check("avatar_video.fail/new.json", &good, "begins with none of");
        check("avatar_video.fail/odd.txt", &good, "ends in .json");
        check("odd.json", &good, "events/<event_type>/<case>.json");
        check(path, &bad, "the event is malformed, and its case says odd");
        let differ = "the event is well_formed, and its case says malformed";
        check("avatar_video.fail/malformed-x.json", &good, differ);
    }
}
