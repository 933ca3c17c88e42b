//! The compiled-in fixtures are what they say they are.

use std::collections::HashSet;
use std::{fs, path::Path};

use heygen_events::{Event, EventType, Outcome};
use heygen_testkit::{
    EventBuilder,
    fixtures::{self, Provenance, bodies},
};
use serde_json::Value;

#[test]
fn fixture_parses_as_the_event_of_its_folder() {
    for fixture in fixtures::all() {
        let event = Event::from_slice(fixture.body.as_bytes()).unwrap();
        let path = format!("{}/{}", fixture.event_type, fixture.case);
        assert_eq!(event.event_name(), fixture.event_type, "{path}");
        assert_eq!(
            event.is_well_formed(),
            fixture.is_well_formed(),
            "{path}: {:?}",
            event.payload_error()
        );
        assert!(
            fixture.case.starts_with(fixture.provenance.as_str()),
            "{path}"
        );
        assert!(fixture.body.ends_with("}\n"), "{path}");
    }
}

#[test]
fn builder_with_kept_ids_writes_an_equal_body() {
    for fixture in fixtures::all() {
        let kept: serde_json::Value = serde_json::from_str(fixture.body).unwrap();
        for body in [
            EventBuilder::from_fixture(fixture).keep_ids().body(),
            EventBuilder::from_fixture(fixture).keep_ids().spaced_body(),
        ] {
            assert_eq!(
                serde_json::from_slice::<serde_json::Value>(&body).unwrap(),
                kept
            );
        }
    }
}

#[test]
fn compact_body_is_the_same_event_on_one_line() {
    for fixture in fixtures::all() {
        let compact = fixture.compact_body();
        let event = Event::from_slice(&compact).unwrap();
        assert_eq!(event, fixture.event(), "{}", fixture.case);
        assert!(!compact.contains(&b'\n') && compact.len() < fixture.body.len());
    }
}

#[test]
fn bodies_are_the_files_and_no_events() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/bodies");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap())
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, fs::read(file.path()).unwrap())
        })
        .collect();
    files.sort();
    let bodies: Vec<_> = bodies::ALL
        .iter()
        .map(|(name, body)| ((*name).to_owned(), body.to_vec()))
        .collect();
    assert!(bodies == files, "fixtures/bodies and bodies::ALL differ");
    for (name, body) in bodies::ALL {
        assert!(Event::from_slice(body).is_err(), "{name}");
    }
}

#[test]
fn fixture_names_are_unique() {
    let names: HashSet<_> = fixtures::all()
        .map(|fixture| (fixture.event_type, fixture.case))
        .collect();
    assert_eq!(names.len(), fixtures::ALL.len());
}

#[test]
fn every_known_event_has_a_sample() {
    let samples: Vec<_> = fixtures::samples()
        .map(|fixture| fixture.event_type)
        .collect();
    let known: Vec<_> = EventType::KNOWN.iter().map(EventType::as_str).collect();
    assert_eq!(samples, known);
}

#[track_caller]
fn check_sample(event_type: &str, case: Option<&str>) {
    assert_eq!(
        fixtures::sample(event_type).map(|fixture| fixture.case),
        case
    );
}

#[test]
fn sample_is_the_best_documented_case() {
    check_sample("avatar_video.success", Some("documented-v3"));
    check_sample("avatar_video.fail", Some("documented"));
    check_sample("avatar_video_caption.success", Some("observed-fields"));
    check_sample("ai_clipping.success", Some("resource"));
    for subject in [
        "instant_avatar",
        "photo_avatar_generation",
        "photo_avatar_train",
    ] {
        for outcome in ["success", "fail"] {
            check_sample(&format!("{subject}.{outcome}"), Some("resource"));
        }
    }
    check_sample("personalized_video", Some("documented"));
    check_sample("batch.finished", Some("invented-minimal"));
    check_sample("podcast.success", None);
    check_sample("unknown.event", None);
}

#[test]
fn sample_has_its_link_or_reason() {
    for fixture in fixtures::samples() {
        let event = Event::from_slice(fixture.body.as_bytes()).unwrap();
        assert!(!event.is_missing_media(), "{}", fixture.event_type);
        let invented = fixture.provenance == Provenance::Invented;
        if event.outcome() == Outcome::Failure && !invented {
            assert!(!event.is_missing_reason(), "{}", fixture.event_type);
        }
        if let Some(link) = event.media_url() {
            assert!(link.starts_with("https://"), "{link}");
        }
    }
}

/// As HeyGen's page “Output Videos via API” shows it: an object, and links that carry no query.
#[test]
fn personalized_video_sample_is_as_documented() {
    let sample = fixtures::sample("personalized_video").unwrap();
    let body: Value = serde_json::from_str(sample.body).unwrap();
    let data = &body["event_data"];
    let contact = data["contact_info"].as_object().unwrap();
    assert_eq!(contact.keys().collect::<Vec<_>>(), ["email", "first_name"]);
    for link in ["video_url", "landing_page_url", "gif_url"] {
        assert!(!data[link].as_str().unwrap().contains('?'), "{link}");
    }
}

#[test]
fn job_resource_has_an_id_and_a_reason() {
    let resources = fixtures::all().filter(|fixture| fixture.provenance == Provenance::Resource);
    let mut seen = 0;
    for fixture in resources {
        let event = Event::from_slice(fixture.body.as_bytes()).unwrap();
        assert!(event.subject_id().is_some(), "{}", fixture.event_type);
        assert!(!event.is_missing_reason(), "{}", fixture.event_type);
        seen += 1;
    }
    assert_eq!(
        seen, 10,
        "AI clipping, HyperFrames and three kinds of avatars"
    );
}
