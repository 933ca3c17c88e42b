//! How to test a handler: without a server, a dispatcher or a sleep.
//!
//! `cargo run --example handler_test` runs the checks that would be `#[tokio::test]`s in your
//! crate.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use heygen_events::EventType;
use heygen_receiver::{Delivery, Disposition};
use heygen_testkit::EventBuilder;

/// The handler under test.
async fn handle(delivery: Delivery) -> Disposition {
    match delivery.event() {
        Ok(event) if event.is_missing_media() => Disposition::retry("no link yet"),
        Ok(_) => Disposition::Ack,
        Err(error) => Disposition::dead_letter(error.to_string()),
    }
}

#[tokio::main]
async fn main() {
    let video = || EventBuilder::new(EventType::AvatarVideoSuccess);

    let finished = Delivery::for_test(video().body());
    assert_eq!(handle(finished).await, Disposition::Ack);

    let without_link = Delivery::for_test(video().null("url").body());
    let expected = Disposition::retry("no link yet");
    assert_eq!(handle(without_link).await, expected);

    let unreadable = Delivery::for_test("not JSON");
    let expected = Disposition::dead_letter("body is not JSON");
    assert_eq!(handle(unreadable).await, expected);

    println!("all checks passed");
}
