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
const PROVENANCES: [(&str, &str); 6] = [
    ("documented", "Documented"),
    ("observed", "Observed"),
    ("resource", "Resource"),
    ("invented", "Invented"),
    ("odd", "Odd"),
    ("malformed", "Malformed"),
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
        PROVENANCES
            .iter()
            .find(|(word, _)| *word == start)
            .map(|(_, variant)| *variant)
            .with_context(|| {
                let words = PROVENANCES.map(|(word, _)| word).join(", ");
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
        let (open, close) = raw_quotes(&fixture.body);
        writeln!(
            text,
            "    {constant} is {event_type:?}, {case:?}, {provenance}, {open}{body}{close};",
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

/// The delimiters of a raw string that can hold `body`: with as many `#` as it takes, and at least one.
fn raw_quotes(body: &str) -> (String, String) {
    let mut hashes = "#".to_owned();
    while body.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    (format!("r{hashes}\""), format!("\"{hashes}"))
}

/// Fails unless the rows of the table in the README are the files there are.
fn check_list(readme: &str, files: &[String]) -> Result<()> {
    let files = files
        .iter()
        .filter_map(|path| path.strip_prefix("fixtures/"));
    let there: BTreeSet<&str> = files.filter(|path| path.contains('/')).collect();
    let listed: BTreeSet<&str> = readme.lines().filter_map(row).collect();
    if let Some(path) = there.symmetric_difference(&listed).next() {
        bail!("{path} is listed and does not exist, or is not listed");
    }
    Ok(())
}

/// The path in the first column of a row, if the line is one: ``| `events/…` | … |``.
fn row(line: &str) -> Option<&str> {
    let (path, _) = line.strip_prefix("| `")?.split_once("` |")?;
    Some(path)
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

    #[track_caller]
    fn check(path: &str, body: &str, expected: Result<&str, &str>) {
        let fixture = Fixture::new(path, body.to_owned());
        let constant = fixture.and_then(|fixture| {
            fixture.provenance()?;
            Ok(fixture.constant())
        });
        match (constant, expected) {
            (Ok(constant), Ok(expected)) => assert_eq!(constant, expected),
            (Err(error), Err(expected)) => {
                assert!(format!("{error:#}").contains(expected), "{error:#}");
            }
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_fixture_is_what_its_path_says() {
        let body = "{\"event_type\":\"a.b\"}\n";
        let path = "fixtures/events/a.b/odd-x.json";
        check(path, body, Ok("A_B_ODD_X"));
        check(path, "{\"event\":\"a.b\"}\n", Ok("A_B_ODD_X"));
        check(path, "{\"event_type\":\"a.c\"}\n", Err("the folder is a.b"));
        check(path, "{\"event_type\":\"a.b\"\n", Err("parse the JSON"));
        check(path, "{\"event_type\":\"a.b\"}", Err("the last line"));
        check(
            "fixtures/events/a.b/new.json",
            body,
            Err("begins with none of"),
        );
        check("fixtures/events/a.b/odd.txt", body, Err("ends in .json"));
        check(
            "fixtures/events/odd.json",
            body,
            Err("events/<event_type>/<case>.json"),
        );
    }

    #[track_caller]
    fn check_entry(case: &str, data: &str, expected: Result<&str, &str>) {
        let path = format!("fixtures/events/avatar_video.fail/{case}.json");
        let body = format!("{{\"event_type\":\"avatar_video.fail\",\"event_data\":{data}}}\n");
        let entry = Fixture::new(&path, body).unwrap().entry();
        let verdict = entry
            .as_ref()
            .map(|entry| entry["verdict"].as_str().unwrap());
        let verdict = verdict.map_err(ToString::to_string);
        assert_eq!(verdict, expected.map_err(str::to_owned));
    }

    #[test]
    fn verdict_is_what_the_case_says() {
        let (good, bad) = (r#"{"video_id":"v"}"#, "[]");
        check_entry("odd-x", good, Ok("well_formed"));
        check_entry("malformed-x", bad, Ok("malformed"));
        let differ = "the event is malformed, and its case says odd";
        check_entry("odd-x", bad, Err(differ));
        let differ = "the event is well_formed, and its case says malformed";
        check_entry("malformed-x", good, Err(differ));
    }

    #[track_caller]
    fn check_sample(cases: &[&str], expected: Option<&str>) {
        let fixtures: Vec<Fixture> = cases
            .iter()
            .map(|case| {
                let path = format!("fixtures/events/a/{case}.json");
                Fixture::new(&path, "{\"event_type\":\"a\"}\n".to_owned()).unwrap()
            })
            .collect();
        let found = sample(&fixtures, "a").map(|fixture| fixture.case.as_str());
        assert_eq!(found, expected);
        assert!(sample(&fixtures, "b").is_none());
    }

    #[test]
    fn the_sample_is_the_best_case() {
        check_sample(
            &["documented", "documented-older", "documented-v3"],
            Some("documented-v3"),
        );
        check_sample(
            &["documented-older", "observed-2025-01"],
            Some("observed-2025-01"),
        );
        check_sample(&["invented-minimal", "resource"], Some("resource"));
        check_sample(&["invented-minimal", "odd-x"], Some("invented-minimal"));
        check_sample(&["documented-older", "odd-x", "invented-x"], None);
    }

    #[test]
    fn the_readme_lists_what_there_is() {
        let files = [
            "fixtures/README.md",
            "fixtures/events/a/odd.json",
            "fixtures/bodies/b.bin",
        ];
        let files = files.map(str::to_owned);
        let check = |rows: &[&str]| {
            let readme: String = rows
                .iter()
                .map(|row| format!("| `{row}` | odd |\n"))
                .collect();
            check_list(&readme, &files).is_ok()
        };
        let (event, body) = ("events/a/odd.json", "bodies/b.bin");
        assert!(check(&[event, body]));
        assert!(!check(&[event]));
        assert!(!check(&[event, body, "x"]));
    }

    #[test]
    fn a_body_is_quoted_whatever_it_holds() {
        assert_eq!(raw_quotes("{}"), ("r#\"".to_owned(), "\"#".to_owned()));
        assert_eq!(
            raw_quotes("\"#\" \"##"),
            ("r###\"".to_owned(), "\"###".to_owned())
        );
    }
}
