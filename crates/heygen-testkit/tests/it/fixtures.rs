//! The compiled-in fixtures are what they say they are.

use std::collections::HashSet;

use heygen_events::{Event, EventType, Outcome};
use heygen_testkit::{
    EventBuilder,
    fixtures::{self, Provenance},
};
use serde_json::Value;

#[test]
fn each_reads_as_the_event_it_names() {
    for fixture in fixtures::all() {
        let event = Event::from_slice(fixture.body.as_bytes()).unwrap();
        let place = format!("{}/{}", fixture.event_type, fixture.case);
        assert_eq!(event.event_name(), fixture.event_type, "{place}");
        assert_eq!(
            event.is_well_formed(),
            fixture.provenance != Provenance::Malformed,
            "{place}: {:?}",
            event.payload_error()
        );
        assert!(
            fixture.case.starts_with(fixture.provenance.as_str()),
            "{place}"
        );
        assert!(fixture.body.ends_with("}\n"), "{place}");
    }
}

#[test]
fn each_can_be_built_upon() {
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
fn no_two_have_the_same_name() {
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
fn the_best_known_body_is_the_sample() {
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
    check_sample("nobody.knows", None);
}

#[test]
fn a_sample_has_what_its_event_is_for() {
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
fn the_sample_of_a_personalized_video_is_as_documented() {
    let sample = fixtures::sample("personalized_video").unwrap();
    let body: Value = serde_json::from_str(sample.body).unwrap();
    let data = &body["event_data"];
    let contact = data["contact_info"].as_object().unwrap();
    assert_eq!(contact.keys().collect::<Vec<_>>(), ["email", "first_name"]);
    for link in ["video_url", "landing_page_url", "gif_url"] {
        assert!(!data[link].as_str().unwrap().contains('?'), "{link}");
    }
}

/// What a person looks for in the data of a job resource is found.
#[test]
fn a_resource_has_an_id_and_a_reason() {
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
