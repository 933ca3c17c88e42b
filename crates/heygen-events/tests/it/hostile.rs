//! Bodies meant to break something.

use heygen_events::{Event, ParseErrorKind, Payload};
use proptest::prelude::*;

use crate::{bodies, invariants};

fn fate(body: &[u8]) -> &'static str {
    match Event::from_slice(body) {
        Ok(event) => match event.payload() {
            Payload::Unknown(_) => "unknown",
            Payload::Malformed(_) => "malformed",
            _ => "well-formed",
        },
        Err(error) if error.kind() == ParseErrorKind::Syntax => "syntax",
        Err(error) if error.kind() == ParseErrorKind::Envelope => "envelope",
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn named_bodies_have_their_fate() {
    for named in bodies::named() {
        assert_eq!(fate(&named.body), named.fate, "{}", named.name);
        invariants::hold(&named.body);
    }
}

#[test]
fn fixtures_hold() {
    bodies::fixtures()
        .iter()
        .for_each(|body| invariants::hold(body));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn generated_bodies_hold(body in bodies::generated()) {
        invariants::hold(&body);
    }

    #[test]
    fn generated_events_are_events_or_say_why(body in bodies::event()) {
        // A name that is no text is the only thing that keeps such a body from being an event.
        let is_event = Event::from_slice(body.as_bytes()).is_ok();
        prop_assert!(is_event || fate(body.as_bytes()) == "envelope", "{body}");
    }
}
