//! One walk over the fixtures of the repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use heygen_events::{Event, EventType, ParseErrorKind};
use serde_json::Value;

struct Fixture {
    event_type: String,
    case: String,
    body: Vec<u8>,
}

#[test]
fn every_fixture_is_the_event_of_its_folder_and_nothing_is_lost() {
    for fixture in fixtures() {
        let place = fixture.place();
        let event =
            Event::from_slice(&fixture.body).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(event.event_name(), fixture.event_type, "{place}");
        assert_eq!(
            event.is_well_formed(),
            !fixture.is_malformed(),
            "{place}: {:?}",
            event.payload_error()
        );

        let read: Value = serde_json::from_slice(&fixture.body).unwrap();
        assert_eq!(
            serde_json::to_value(&event).unwrap(),
            read,
            "{place}: written back"
        );
        assert_eq!(
            event.data::<Value>().unwrap(),
            read["event_data"],
            "{place}: as a type"
        );
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            read,
            "{place}: written back as text"
        );
    }
}

/// A connection that broke in the middle must not look like an event.
#[test]
fn no_part_of_a_fixture_is_an_event() {
    for fixture in fixtures() {
        let body = fixture.body.trim_ascii_end();
        for end in 0..body.len() {
            let error = Event::from_slice(&body[..end]).unwrap_err();
            assert_eq!(
                error.kind(),
                ParseErrorKind::Syntax,
                "{} up to {end}",
                fixture.place()
            );
        }
    }
}

/// A field of a body that somebody documented or saw is a field of ours, else we missed one.
#[test]
fn no_field_of_a_documented_body_is_unknown() {
    let is_evidence = |case: &str| {
        ["documented", "observed", "resource"]
            .iter()
            .any(|start| case.starts_with(start))
    };
    for fixture in fixtures().filter(|fixture| is_evidence(&fixture.case)) {
        let event = Event::from_slice(&fixture.body).unwrap();
        assert!(event.unknown_fields().is_empty(), "{}", fixture.place());
    }
}

#[test]
fn every_documented_name_has_a_fixture() {
    let folders: BTreeSet<String> = fixtures().map(|fixture| fixture.event_type).collect();
    for event_type in EventType::KNOWN {
        assert!(folders.contains(event_type.as_str()), "{event_type}");
    }
}

#[cfg(feature = "schema")]
#[test]
fn schemas_accept_every_fixture_that_is_well_formed() {
    use heygen_events::schema;

    let validator = |schema| jsonschema::validator_for(&schema).unwrap();
    let [whole_body, any] = [validator(schema::body()), validator(schema::any())];
    for fixture in fixtures() {
        let body: Value = serde_json::from_slice(&fixture.body).unwrap();
        let event_type = EventType::from(fixture.event_type.as_str());
        let own = validator(schema::for_event(&event_type));
        let is_named_by_type = body["event_type"].is_string();
        let expected = !fixture.is_malformed();
        for (which, validator, expected) in [
            ("body", &whole_body, expected),
            ("its own", &own, expected && is_named_by_type),
            (
                "any",
                &any,
                expected && is_named_by_type && event_type.is_known(),
            ),
        ] {
            let verdict = validator.validate(&body);
            assert_eq!(
                verdict.is_ok(),
                expected,
                "{} by {which}: {verdict:?}",
                fixture.place()
            );
        }
    }
}

impl Fixture {
    fn is_malformed(&self) -> bool {
        self.case.starts_with("malformed-")
    }

    fn place(&self) -> String {
        format!("{}/{}", self.event_type, self.case)
    }
}

fn fixtures() -> impl Iterator<Item = Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/events");
    let files: Vec<PathBuf> = entries(&root)
        .iter()
        .flat_map(|folder| entries(folder))
        .collect();
    assert!(!files.is_empty(), "no fixtures in {}", root.display());
    files.into_iter().map(|file| Fixture {
        event_type: file
            .parent()
            .and_then(Path::file_name)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned(),
        case: file.file_stem().unwrap().to_str().unwrap().to_owned(),
        body: fs::read(&file).unwrap(),
    })
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut entries: Vec<PathBuf> = read.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}
