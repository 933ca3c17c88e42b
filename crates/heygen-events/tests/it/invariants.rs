//! Invariants of every body. The fuzz target `event` checks them too.

use heygen_events::{Document, Event, ParseErrorKind};
use serde_json::Value;
use serde_json::value::RawValue;

/// Panics when something does not hold.
pub(crate) fn hold(body: &[u8]) {
    let event = match Event::from_slice(body) {
        Ok(event) => event,
        Err(error) => {
            let is_json = serde_json::from_slice::<&RawValue>(body).is_ok();
            let expected = match is_json {
                true => ParseErrorKind::Envelope,
                false => ParseErrorKind::Syntax,
            };
            assert_eq!(error.kind(), expected);
            return;
        }
    };
    let document = Document::from_slice(body).unwrap();
    let read = Event::read(&document).unwrap();
    assert_eq!(read, event);
    assert_eq!(answers(&read), answers(&event), "now and later");

    let written = serde_json::to_vec(&event).unwrap();
    let again = Event::from_slice(&written).unwrap();
    assert_eq!(again, event, "written and read again");
    assert_eq!(answers(&again), answers(&event));
    assert_eq!(
        serde_json::to_vec(&again).unwrap(),
        written,
        "written once more"
    );
    let text = std::str::from_utf8(body).unwrap().trim_ascii();
    assert_eq!(
        std::str::from_utf8(&written).unwrap(),
        text.replace(['\n', '\r'], " "),
        "the text, on one line"
    );
    if let Ok(read) = serde_json::from_slice::<Value>(body) {
        let back: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(back, read, "written back");
        assert_eq!(serde_json::to_value(&event).unwrap(), read);
        // It may have lost digits that the text had, and nothing else.
        let of_value = Event::from_value(&read).unwrap();
        assert_eq!(of_value.event_type(), event.event_type());
        assert_eq!(serde_json::to_value(&of_value).unwrap(), read);
    }
}

/// Every question that can be asked of an event.
fn answers(event: &Event) -> String {
    let links = (event.callback_url(), event.media_url(), event.media_kind());
    let reasons = (event.failure_message(), event.is_missing_reason());
    let ids = (event.subject_id(), event.callback_id());
    let fields = (
        event.is_well_formed(),
        event.is_known(),
        event.unknown_fields(),
    );
    let outcome = (event.outcome(), event.is_missing_media());
    format!("{links:?} {reasons:?} {ids:?} {fields:?} {outcome:?}")
}
