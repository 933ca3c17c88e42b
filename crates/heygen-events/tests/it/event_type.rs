//! The names of events.

use std::collections::{BTreeSet, HashSet};

use heygen_events::EventType;

#[test]
fn thirty_names_each_its_own_and_read_back() {
    let names: HashSet<&str> = EventType::KNOWN.iter().map(EventType::as_str).collect();
    assert_eq!(names.len(), 30);
    for event_type in EventType::KNOWN {
        assert!(event_type.is_known());
        assert_eq!(&EventType::from(event_type.as_str()), event_type);
        let description = event_type.description();
        assert!(
            description.ends_with('.') && !description.starts_with(' '),
            "{event_type}: {description:?}"
        );
    }
}

#[track_caller]
fn check_unknown(name: &str) {
    let event_type = EventType::from(name);
    assert!(!event_type.is_known(), "{name}");
    assert_eq!(event_type.as_str(), name);
    assert_eq!(event_type.to_string(), name);
    assert_eq!(serde_json::to_value(&event_type).unwrap(), name);
}

#[test]
fn unknown_name_is_stored_as_received() {
    check_unknown("podcast.success");
    check_unknown("avatar_video.failed");
    check_unknown("AVATAR_VIDEO.SUCCESS");
    check_unknown("avatar_video.success ");
    check_unknown("");
}

#[test]
fn names_compare_with_text_and_stand_in_order() {
    assert_eq!(EventType::BatchFinished, *"batch.finished");
    assert_eq!(EventType::BatchFinished, "batch.finished");
    assert_ne!(EventType::BatchFinished, "batch.Finished");
    assert_eq!(EventType::from("a.b"), "a.b");
    let sorted: BTreeSet<_> = EventType::KNOWN.iter().cloned().collect();
    assert_eq!(sorted.len(), EventType::KNOWN.len());
}
