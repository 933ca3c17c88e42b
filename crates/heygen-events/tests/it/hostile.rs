//! Bodies meant to break something.

use heygen_events::{Document, Event, Node, ParseErrorKind, Payload};
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

/// The texts of all values that a node does not hold otherwise.
fn raw<'n>(node: &'n Node<'_>) -> Vec<&'n str> {
    match node {
        Node::Raw(raw) => vec![raw.get()],
        Node::List(items) => items.iter().flat_map(raw).collect(),
        object => object
            .fields()
            .iter()
            .flat_map(|(_, node)| raw(node))
            .collect(),
    }
}

#[test]
fn number_that_would_lose_digits_is_its_text() {
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let document = Document::from_slice(text.as_bytes()).unwrap();
        assert_eq!(raw(document.root()), expected, "{text}");
        assert_eq!(document.is_whole(), expected.is_empty(), "{text}");
    }
    check(r#"[1, -2.5, "18446744073709551616"]"#, &[]);
    check("18446744073709551616", &["18446744073709551616"]);
    check(
        r#"{"a \" 7": "8 \\", "b": [9, -9223372036854775809 ,1e30], "c": {"d":-1E+20}}"#,
        &["-9223372036854775809", "1e30", "-1E+20"],
    );
    // The first is beyond a double, so each value is parsed by itself.
    check("[1e999, 1e30, 7]", &["1e999", "1e30"]);
}
